"""The scheduled look at a centre: what differs is noted, and what policy heals is made as the site says."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from orchestrator.catalogue import leases
from orchestrator.catalogue.details import forget_details
from orchestrator.catalogue.drifts import record_drift
from orchestrator.catalogue.lives import not_applied
from orchestrator.catalogue.parities import forget_parities, record_parities
from orchestrator.catalogue.store import Catalogue
from orchestrator.engine.port import Run
from orchestrator.errors import Busy, TricenterError
from orchestrator.tenants.applying import Connections, Program
from orchestrator.tenants.asking import Memory
from orchestrator.tenants.building import carry_out
from orchestrator.tenants.desired import Desired, all_desired
from orchestrator.tenants.drift import NOUNS, differences, healing, policy_of
from orchestrator.tenants.lacking import is_of_lacking
from orchestrator.tenants.looking import Look, look
from orchestrator.tenants.parity import parity
from orchestrator.tenants.planning import Action
from policies.confirming import ROTATION
from policies.site import Site
from policies.tiers import CentreName

#: Whoever changes tenants holds it: an apply of people alone, flows beside each other.
LEASE = "tenant-apply"

#: So many differences of a tenant stand in the evidence of a look; the catalogue has the number of all.
TOLD = 100

#: What the name of a step may be long.
NAME_LENGTH = 120

log = logging.getLogger(__name__)


class Town(Program, Protocol):
    """What the flows of tenants need of the object graph."""

    @property
    def catalogue(self) -> Catalogue: ...


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one look saw. Its evidence are the differences, a line each."""

    found: tuple[Look, ...]
    site: Site

    def as_evidence(self) -> dict[str, list[str]]:
        told = {each.target.tenant: differences(each, policy_of(self.site, each.target.tenant)) for each in self.found}
        return {
            tenant: [f"{each.fate}: {each.action}" for each in several[:TOLD]]
            for tenant, several in told.items()
            if several
        }


def look_for_drift(run: Run, program: Town, centre: CentreName) -> dict[str, int]:
    """Look at all tenants of a centre, note what differs, heal what policy says, and note what is left.

    What has to be asked tenant by tenant is asked of a part of them at each look, whoever was asked longest ago first.
    May be repeated: what was healed is not there to be healed again. Nothing is healed while a person applies: the next
    look does it. A tenant that cannot be healed keeps no other from it. One that is suspended or leaves differs on
    purpose: it is left alone, and is no drift. Raises Unreachable, and what the clouds said
    last when something could not be healed.
    """
    parked = not_applied(program.catalogue)
    for each in all_desired(program.site, sorted(set(program.site.tenants) & set(parked)), centre):
        program.catalogue.record_look(each.target.tenant, centre, pending=0)
        record_drift(program.catalogue, each.target.tenant, centre, {})
    forget_parities(program.catalogue, centre, parked)
    wanted = all_desired(program.site, sorted(set(program.site.tenants) - set(parked)), centre)
    memory = Memory(lambda: program.catalogue, rotation=ROTATION)
    seen = run.attempt("look", _looked, program, wanted, memory)
    _note(program, seen)
    ill = {each.target for each in seen.found if healing(each, policy_of(program.site, each.target.tenant))}
    healed = _heal(run, program, [each for each in wanted if each.target in ill]) if ill else []
    drifted = sum(any(not is_of_lacking(one, each.wanted) for one in each.actions) for each in seen.found)
    return {"tenants": len(seen.found), "drifted": drifted, "healed": len(healed)}


def _applied(program: Town, wanted: Sequence[Desired]) -> list[Desired]:
    """Return what is wanted of tenants that are in use: who is locked out of one must not be healed into it again."""
    resting = not_applied(program.catalogue)
    return [each for each in wanted if each.target.tenant not in resting]


def _heal(run: Run, program: Town, wanted: Sequence[Desired]) -> list[Action]:
    try:
        with leases.hold(program.catalogue, LEASE, run.id, exclusive=False):
            return _heal_alone(run, program, wanted)
    except Busy as error:
        log.info("nothing is healed now: %s", error)
        return []


def _heal_alone(run: Run, program: Town, wanted: Sequence[Desired]) -> list[Action]:
    """Look again, for what was seen before may be done by now; heal tenant by tenant; and look at what is left."""
    connections, done, failed = Connections(program), list[Action](), list[TricenterError]()
    try:
        for each in _looked(program, _applied(program, wanted)).found:
            try:
                for action in _healed_of(run, program, connections, each):
                    done.append(action)
            except TricenterError as error:
                failed.append(error)
    finally:
        connections.close()
    _note(program, run.attempt("look-again", _looked, program, wanted), done)
    if failed:
        raise failed[-1]
    return done


def _healed_of(run: Run, program: Town, connections: Connections, found: Look) -> Iterator[Action]:
    """Heal one tenant, and yield each action when it is done."""
    centre = found.target.centre
    cloud = connections.to(centre) if centre in program.site.clouds() else None
    vault = program.vault_admin(centre) if centre in program.site.vaults() else None
    place = found.place(cloud, vault, program.secrets_folder)
    forget_details(program.catalogue, *found.target)
    for action in healing(found, policy_of(program.site, found.target.tenant)):
        run.attempt(f"heal {found.target.tenant}: {action.name}"[:NAME_LENGTH], carry_out, place, action)
        yield action


def _looked(program: Town, wanted: Sequence[Desired], memory: Memory | None = None) -> Sighting:
    looks = look(program, wanted, memory=memory)
    for error in looks.unreachable.values():
        raise error
    return Sighting(looks.found, program.site)


def _note(program: Town, seen: Sighting, healed: Sequence[Action] = ()) -> None:
    moment = datetime.now(UTC)
    for centre in {each.target.centre for each in seen.found}:
        here = [(each.target.tenant, parity(each)) for each in seen.found if each.target.centre == centre]
        record_parities(program.catalogue, centre, here, moment)
    for each in seen.found:
        tenant, centre = each.target
        program.catalogue.record_look(tenant, centre, pending=len(each.actions))
        differing = Counter(str(one.noun) for one in differences(each, policy_of(program.site, tenant)))
        done = Counter(str(NOUNS[one.item.noun]) for one in healed if one.target == each.target)
        record_drift(program.catalogue, tenant, centre, dict(differing), dict(done))
