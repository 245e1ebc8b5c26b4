"""The healing flow: what a centre holds corrupt or has lost is brought back from another centre.

Only what findings name is touched, and only by a copy that is what the object's name says. Nothing is deleted; and a
snapshot that was lost comes back only after all the data and indexes that were to be healed have.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from orchestrator.backups.access import Access, repository_lease, target_lease
from orchestrator.backups.landings import observe_landings
from orchestrator.backups.looked import place_of
from orchestrator.backups.opening import config_key, opening_faults, others
from orchestrator.backups.structure import verify_structure
from orchestrator.catalogue import leases
from orchestrator.catalogue import verifications as memory
from orchestrator.catalogue.verifications import Fault, Good, Kind
from orchestrator.engine.port import Run
from orchestrator.epoch.fence import check_fence
from orchestrator.errors import PartlyDone, TricenterError, Unreachable
from orchestrator.vault.heal import Donors, Mended
from orchestrator.vault.parallel import parallel
from orchestrator.vault.plan import COPYING_ORDER, Part, part_of
from policies.site import SystemRef

THREADS = 4
#: What a healed index or `config` hid is seen after it only, and healed in another turn.
TURNS = 3
NAMED = 5

#: What others hang on: until these are whole, a lost snapshot stays away.
UNDER_SNAPSHOTS: tuple[Part, ...] = ("data", "index")
#: What hides other damage while it is itself damaged.
HIDING: tuple[Part, ...] = ("keys", "config", "index")


@dataclass(frozen=True, slots=True)
class Wound:
    """One finding that a healing can do something about. `sha256` is what its content must hash to."""

    key: str
    part: Part
    kind: Kind
    sha256: str


@dataclass(frozen=True, slots=True)
class Planned:
    """What would be done about one finding: the centre whose copy is taken and its size, or why there is none."""

    fault: Fault
    source: str | None
    size_bytes: int
    why: str


@dataclass(frozen=True, slots=True)
class SystemHealed:
    """How the healing of a system at a centre ended: each object, and what findings are open there now.

    `affected` are the recovery points there that need what could not be healed; `certain` tells that this was found
    out, and is not all that there are.
    """

    system: str
    centre: str
    objects: tuple[Mended, ...]
    open: tuple[Fault, ...]
    affected: tuple[str, ...] = ()
    certain: bool = True

    @property
    def healed(self) -> tuple[Mended, ...]:
        return tuple(each for each in self.objects if each.good)


def heal_system(run: Run, access: Access, ref: SystemRef, centre: str) -> SystemHealed:
    """Heal what is known to be wrong with a system's repository at `centre`. May be repeated; a killed run goes on.

    The nearest other centre with a good copy gives it. Raises PartlyDone that names what no centre could give, with
    the recovery points that need it; Unreachable when all of that may be at a centre that cannot be asked; Fenced when
    the centre's register knows of an epoch that moved the system; Busy while the repository is being rewritten.
    """
    holder, catalogue = run.id, access.catalogue
    # No lease of the centres that give: a copy that a prune takes away there is one that does not match, or is gone.
    with (
        leases.hold(catalogue, repository_lease(centre, ref), holder, exclusive=False),
        leases.hold(catalogue, target_lease(centre, ref), holder, exclusive=True),
    ):
        done: tuple[Mended, ...] = ()
        for turn in range(1, TURNS + 1):
            tried = frozenset(each.key for each in done)
            wounds = run.step(f"plan:{turn}", _plan, access, ref, centre, tried)
            mended = _mend_in_order(run, access, ref, centre, turn, wounds)
            done += mended
            if not run.step(f"ask:{turn}", _must_look, access, ref, centre, mended):
                break
            looked = verify_structure(run, access, ref, centre, suffix=f":{turn}")
            run.step(f"record:{turn}", _record, access, ref, centre, run.id, looked.faults, looked.healed)
        result = run.step("conclude", _conclude, access, ref, centre, done)
    if result.open:
        raise _not_whole(ref, centre, result)
    return result


def plan_healing(access: Access, ref: SystemRef, centre: str) -> list[Planned]:
    """Return what `heal_system` would do now, by what centres list and what is known of them. Changes nothing.

    The content of copies is proved as they are taken, and not here.
    """
    donors = list(others(access, ref, centre))
    corrupt = {each.centre: _corrupt_keys(access, ref, each.centre) for each in donors}
    away: set[str] = set()

    def plan(fault: Fault) -> Planned:
        if fault.key.endswith("/") or (fault.kind is Kind.DAMAGED and fault.key != config_key(ref)):
            return Planned(fault, None, 0, "is looked at again when the others are healed")
        why = []
        for bucket in donors:
            try:
                entry = None if bucket.centre in away else bucket.head(fault.key)
            except TricenterError:
                away.add(bucket.centre)
                entry = None
            if bucket.centre in away:
                why.append(f"{bucket.centre} cannot be asked")
            elif entry is None:
                why.append(f"{bucket.centre} does not hold it")
            elif fault.key in corrupt[bucket.centre]:
                why.append(f"{bucket.centre} holds a corrupt copy as well")
            else:
                return Planned(fault, bucket.centre, entry.size_bytes, "")
        return Planned(fault, None, 0, _why(ref, centre, fault.key, why))

    return [plan(each) for each in memory.open_faults(access.catalogue, place_of(ref, centre))]


def _corrupt_keys(access: Access, ref: SystemRef, centre: str) -> set[str]:
    faults = memory.open_faults(access.catalogue, place_of(ref, centre))
    return {each.key for each in faults if each.kind is not Kind.DAMAGED}


# --- the steps


def _plan(access: Access, ref: SystemRef, centre: str, tried: Collection[str]) -> tuple[Wound, ...]:
    """Return what can be tried, and was not yet in this run."""
    faults = [each for each in memory.open_faults(access.catalogue, place_of(ref, centre)) if each.key not in tried]
    if any(each.key == config_key(ref) for each in faults):
        _learn_config(access, ref, centre)
    found = (_wound(access, ref, each) for each in faults)
    return tuple(each for each in found if each)


def _wound(access: Access, ref: SystemRef, fault: Fault) -> Wound | None:
    part = part_of(fault.key.removeprefix(f"{ref.name}/"))
    if part == "config":
        known = memory.config_hash(access.catalogue, ref.tenant.tenant, ref.name)
        return Wound(fault.key, part, fault.kind, known) if known else None
    if part is None or fault.kind is Kind.DAMAGED:  # its content is what its name says
        return None
    return Wound(fault.key, part, fault.kind, fault.key.rpartition("/")[2])


def _learn_config(access: Access, ref: SystemRef, centre: str) -> None:
    """Find out which `config` opens the repository, where that is not known yet: one that opens is remembered."""
    for each in (centre, *(bucket.centre for bucket in others(access, ref, centre))):
        if memory.config_hash(access.catalogue, ref.tenant.tenant, ref.name) is None:
            opening_faults(access, ref, each, try_it=True)


def _mend_in_order(
    run: Run, access: Access, ref: SystemRef, centre: str, turn: int, wounds: Sequence[Wound]
) -> tuple[Mended, ...]:
    done: tuple[Mended, ...] = ()
    for part in COPYING_ORDER:
        mine = tuple(each for each in wounds if each.part == part)
        failed = [each for each in done if not each.good and _part(ref, each) in UNDER_SNAPSHOTS]
        if part == "snapshots" and failed:
            away = all(each.away for each in failed)
            done += tuple(
                Mended(each.key, each.sha256, 0, good=False, why=(HELD_BACK,), away=away)
                for each in mine
                if each.kind is Kind.MISSING
            )
            mine = tuple(each for each in mine if each.kind is not Kind.MISSING)
        if mine:
            report = partial(run.progress, f"{centre} {part}")
            done += run.step(f"{part}:{turn}", _mend, access, ref, centre, mine, run.id, report)
    return done


HELD_BACK = "is held back, as data or an index could not be healed that it may need"


def _mend(
    access: Access,
    ref: SystemRef,
    centre: str,
    wounds: Sequence[Wound],
    run_id: str,
    report: Callable[[float, float], None],
) -> tuple[Mended, ...]:
    """Heal the objects of one part; each finding is closed when its object is good, so a kill costs nothing."""
    check_fence(access, str(ref), centre)
    target, donors = access.bucket(centre, ref.tenant.tenant), Donors(others(access, ref, centre))
    done: list[Mended] = []
    for wound, mended in parallel(wounds, lambda each: donors.mend(target, each.key, each.sha256), THREADS):
        done.append(mended)
        now, place = datetime.now(UTC), place_of(ref, centre)
        if mended.source:
            good = Good(mended.source, mended.sha256, mended.size_bytes)
            memory.record_healed(access.catalogue, place, wound.key, good, now, by=run_id)
        elif mended.good:
            memory.heal(access.catalogue, place, [wound.key], now, by=run_id)
        report(len(done), len(wounds))
    return tuple(sorted(done, key=lambda each: each.key))


def _must_look(access: Access, ref: SystemRef, centre: str, mended: Sequence[Mended]) -> bool:
    """Return whether the structure must be checked: something was hidden, or only that check can close what is open."""
    if any(each.good and _part(ref, each) in HIDING for each in mended):
        return True
    failed = {each.key for each in mended if not each.good}
    faults = memory.open_faults(access.catalogue, place_of(ref, centre))
    # While what the others hang on is not whole, it would say no more than is known.
    return not failed and any(each.kind is Kind.DAMAGED for each in faults)


def _record(
    access: Access, ref: SystemRef, centre: str, run_id: str, faults: Iterable[Fault], healed: Collection[str]
) -> None:
    place, now = place_of(ref, centre), datetime.now(UTC)
    memory.heal(access.catalogue, place, healed, now, by=run_id)
    memory.record_faults(access.catalogue, place, faults, now, by=run_id)


def _conclude(access: Access, ref: SystemRef, centre: str, done: tuple[Mended, ...]) -> SystemHealed:
    observe_landings(access.catalogue, access.bucket(centre, ref.tenant.tenant), ref, centre)
    left = tuple(memory.open_faults(access.catalogue, place_of(ref, centre)))
    objects = tuple(replace(each, why=(_why(ref, centre, each.key, each.why),)) if each.why else each for each in done)
    affected, certain = _affected(access, ref, centre, left) if left else (frozenset(), True)
    return SystemHealed(str(ref), centre, objects, left, tuple(sorted(affected)), certain)


# --- what could not be healed


def _affected(access: Access, ref: SystemRef, centre: str, left: Sequence[Fault]) -> tuple[frozenset[str], bool]:
    """Return the recovery points of a centre that need what is wrong there, and whether it was found out which."""
    parts = {part_of(each.key.removeprefix(f"{ref.name}/")) for each in left}
    names = frozenset(each.key.rpartition("/")[2] for each in left)
    points = access.catalogue.points(ref.tenant.tenant, ref.name)
    there = {each.point.id for each in access.catalogue.points_at(centre, ref.tenant.tenant, ref.name)}
    lost = frozenset(each.id for each in points if each.snapshot_ids & names)
    if parts <= {"snapshots"}:
        return lost, True
    if parts <= {"snapshots", "data"}:
        try:
            needing = access.repository(centre, ref).snapshots_with(names)
        except TricenterError:  # it was asked for more than it can tell of a repository in this state
            return lost | there, False
        return lost | frozenset(each.id for each in points if each.id in there and each.snapshot_ids & needing), True
    return lost | there, False


def _not_whole(ref: SystemRef, centre: str, result: SystemHealed) -> TricenterError:
    """Return what is raised when findings are open: what, why, and which recovery points need it."""
    failed = {each.key: each for each in result.objects if not each.good}
    told = [
        f"{each.key} ({each.kind}): {'; '.join(failed[each.key].why) if each.key in failed else each.detail}"
        for each in result.open
    ]
    head = f"{len(result.healed)} objects of {ref} at {centre} are good again, and {len(told)} findings are open: "
    text = head + _listed(told)
    if all(each.key in failed and failed[each.key].away for each in result.open):
        return Unreachable(text, hint="heal again when that centre answers; nothing there is pruned until then")
    points = f"{'' if result.certain else 'any of '}{_listed(result.affected, ', ') or 'none'}"
    return PartlyDone(
        f"{text}; recovery points there that need this: {points}",
        hint=f"use other points, or those of another centre, and do not prune at {centre}. To store anew what the "
        f"sources still hold: delete the corrupt objects, restic rebuild-index, tricenter backup run {ref}",
    )


def _listed(each: Sequence[str], between: str = "; ") -> str:
    return between.join(each[:NAMED]) + (f"{between}and {len(each) - NAMED} more" if len(each) > NAMED else "")


def _why(ref: SystemRef, centre: str, key: str, why: Sequence[str]) -> str:
    reasons = "; ".join(why) or "no other centre keeps copies"
    if part_of(key.removeprefix(f"{ref.name}/")) == "keys":
        return f"a key of {centre} alone: {reasons}"
    return reasons


def _part(ref: SystemRef, each: Mended) -> Part | None:
    return part_of(each.key.removeprefix(f"{ref.name}/"))
