"""Looking at the centres: what each tenant wants there, what is there, and the plan between the two.

Centres are looked at side by side. One that does not answer is told apart from one that is wrong: an outage of one
centre must not keep the others from being looked at, while a refused password or a fault in the site stops everything
before anything is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, cast

from orchestrator.cloud.connection import Connection, disconnect
from orchestrator.cloud.occupants import occupants
from orchestrator.errors import Unreachable
from orchestrator.tenants import items
from orchestrator.tenants.asking import Memory
from orchestrator.tenants.desired import CENTRES, Desired, Target
from orchestrator.tenants.items import Observed, Seen
from orchestrator.tenants.lacking import fitted
from orchestrator.tenants.leftovers import allowed, destroying, leftovers
from orchestrator.tenants.nesting import Shared
from orchestrator.tenants.observing import by_key, observe
from orchestrator.tenants.place import Place, ids_of
from orchestrator.tenants.planning import Action, plan
from orchestrator.tenants.survey import Survey, confirmed, survey
from orchestrator.vault.admin import VaultAdmin
from policies.site import Site
from policies.tenancy import Nested, OwnDomain
from policies.tiers import CentreName


class Centres(Protocol):
    """What is needed of the program to reach the centres."""

    @property
    def site(self) -> Site: ...

    @property
    def secrets_folder(self) -> Path: ...

    def new_cloud(self, centre: str) -> Connection:
        """Return a connection of its own."""

    def vault_admin(self, centre: str) -> VaultAdmin: ...


@dataclass(frozen=True, slots=True)
class Look:
    """One tenant at one centre, as it was found. `wanted` is what this cloud can be wanted to have.

    `left` is what Tricenter made and the site no longer wants, when nobody allowed that it is destroyed. A part of what
    is told as unchanged may be remembered since `remembered_at`; None: everything was asked now.
    """

    wanted: Desired
    observed: Observed
    actions: tuple[Action, ...]
    left: tuple[Action, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    external_networks: Mapping[str, str] = field(default_factory=dict)
    remembered_at: datetime | None = None
    #: Services that the cloud lacks, and whose limits, all of a quota class, are not wanted there for that.
    left_out: tuple[str, ...] = ()
    tenancy: OwnDomain | Nested = field(default_factory=OwnDomain)
    shared: Shared | None = None

    @property
    def target(self) -> Target:
        return self.wanted.target

    @property
    def absent(self) -> bool:
        """Whether nothing of the tenant is there."""
        return not self.observed

    @property
    def unchanged(self) -> int:
        """How many items are as they must be."""
        touched = {each.item.key for each in self.actions if each.kind not in ("remove", "destroy")}
        return sum(each.key in self.observed and each.key not in touched for each in self.wanted.items)

    def place(self, connection: Connection | None, vault: VaultAdmin | None, secrets_folder: Path) -> Place:
        """Return where the actions of this look can be carried out."""
        return Place(
            self.target,
            connection,
            vault,
            secrets_folder,
            ids_of(self.observed),
            self.roles,
            self.external_networks,
            self.tenancy,
            self.shared,
        )


@dataclass(frozen=True, slots=True)
class Looks:
    """What was seen at all centres that answered, and the errors of those that did not."""

    found: tuple[Look, ...]
    unreachable: Mapping[str, Unreachable]

    @property
    def actions(self) -> tuple[Action, ...]:
        return tuple(action for look in self.found for action in look.actions)

    @property
    def remembered_at(self) -> datetime | None:
        """When the oldest of what was remembered was asked; None when all was asked now."""
        return min((each.remembered_at for each in self.found if each.remembered_at), default=None)


@dataclass(frozen=True, slots=True)
class View:
    """How to look: at quotas that the site leaves alone, may what it no longer wants go, and with what memory."""

    all_quotas: bool = False
    allow_destroy: bool = False
    memory: Memory | None = None


def look(
    centres: Centres,
    wanted: Sequence[Desired],
    *,
    all_quotas: bool = False,
    allow_destroy: bool = False,
    memory: Memory | None = None,
) -> Looks:
    """Look at everything that these tenants want. Raises CredentialRefused or InvalidInput as soon as one is met.

    With `allow_destroy` what Tricenter made and the site no longer wants is destroyed by the plan; otherwise it stands
    beside it as `left`. With a `memory` tenants whose details it holds are not asked for them, unless that gives them
    something to do: what is planned was always asked now.
    """
    view = View(all_quotas, allow_destroy, memory)
    by_centre = {centre: [each for each in wanted if each.target.centre == centre] for centre in CENTRES}
    asked = {centre: several for centre, several in by_centre.items() if several}
    unreachable: dict[str, Unreachable] = {}
    found: dict[Target, Look] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(asked))) as pool:
        futures = {centre: pool.submit(_look_at, centres, centre, several, view) for centre, several in asked.items()}
        for centre, future in futures.items():
            try:
                found |= {each.target: each for each in future.result()}
            except Unreachable as error:
                unreachable[centre] = error
    ordered = tuple(found[each.target] for each in wanted if each.target in found)
    return Looks(ordered, unreachable)


def _look_at(centres: Centres, centre: str, wanted: Collection[Desired], view: View) -> list[Look]:
    has_bucket = any(_buckets(each) for each in wanted)
    connection = centres.new_cloud(centre) if centre in centres.site.clouds() else None
    try:
        cloud = _survey(connection, centres, centre, wanted, view) if connection else None
        vault = centres.vault_admin(centre) if has_bucket else None
        tenancy = _tenancy(centres, centre)
        looks = {want.target: _seen_of(want, connection, cloud, vault, view, tenancy) for want in wanted}
        doubtful = [want for want in wanted if (each := looks[want.target]).actions and each.remembered_at]
        if not doubtful or cloud is None or connection is None:
            return list(looks.values())
        certain = replace(view.memory, longest=timedelta()) if view.memory else None
        cloud = confirmed(cloud, connection, centre, doubtful, centres.secrets_folder, certain)
        looks |= {want.target: _seen_of(want, connection, cloud, vault, view, tenancy) for want in doubtful}
        return list(looks.values())
    finally:
        if connection:
            disconnect(connection)


def _survey(connection: Connection, centres: Centres, centre: str, wanted: Collection[Desired], view: View) -> Survey:
    secrets, closely = centres.secrets_folder, view.all_quotas
    tenancy = _tenancy(centres, centre)
    return survey(connection, centre, wanted, secrets, tenancy=tenancy, all_quotas=closely, memory=view.memory)


def _tenancy(centres: Centres, centre: str) -> OwnDomain | Nested:
    cloud = centres.site.clouds().get(cast(CentreName, centre))
    return cloud.tenancy if cloud else OwnDomain()


def _seen_of(
    want: Desired,
    connection: Connection | None,
    cloud: Survey | None,
    vault: VaultAdmin | None,
    view: View,
    tenancy: OwnDomain | Nested,
) -> Look:
    want, left_out, lacking = fitted(want, cloud.services) if cloud else (want, (), ())
    seen = [*_seen_buckets(vault, want)] if vault else []
    observed = {**(observe(cloud, want.target.tenant) if cloud else {}), **by_key(seen)}
    roles, external = (cloud.roles, cloud.external_networks) if cloud else ({}, {})
    actions, left = (*plan(want, observed), *lacking), _left(want, observed, connection)
    if cloud and (why := cloud.elsewhere.get(want.target.tenant)):
        actions, left = (Action(want.target, "conflict", items.Project(want.target.tenant, ""), reason=why),), ()
    if view.allow_destroy:
        actions, left = allowed(actions, left), ()
    details = cloud.details.get(want.target.tenant) if cloud else None
    remembered_at, shared = details.remembered_at if details else None, cloud.shared if cloud else None
    return Look(want, observed, actions, left, roles, external, remembered_at, left_out, tenancy, shared)


def _left(want: Desired, observed: Observed, connection: Connection | None) -> tuple[Action, ...]:
    """Return what the site no longer wants. Only then the cloud is asked who uses it."""
    unwanted = leftovers(want, observed)
    if not unwanted or connection is None:
        return ()
    networks = {each.id for each in unwanted if isinstance(each.item, items.Network)}
    networks |= {each.inside for each in unwanted if isinstance(each.item, items.Subnet)}
    projects = observed.get((items.Project.noun, want.target.tenant), ())
    there = [port for each in projects for port in occupants(connection, each.id, networks)]
    return destroying(want, observed, unwanted, there)


def _buckets(want: Desired) -> list[items.Bucket]:
    return [each for each in want.items if isinstance(each, items.Bucket)]


def _seen_buckets(vault: VaultAdmin, want: Desired) -> Iterator[Seen]:
    for bucket in _buckets(want):
        state = vault.observe_bucket(bucket.name)
        if state:
            # What a store has no rules for is no difference that anybody could mend.
            kept = bucket.kept_days if state.kept_days is None else state.kept_days
            item = items.Bucket(bucket.name, state.versioning, state.lock_mode, state.lock_days, kept)
            yield Seen(bucket.name, True, item)
