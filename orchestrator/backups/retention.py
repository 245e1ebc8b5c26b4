"""The retention flow: what a centre need not keep any longer is forgotten there, and its data removed.

Only this centre's objects are touched: deletes never travel. Where the vault locks objects, what is deleted stays as
a version behind a delete marker until its lock has ended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.backups.access import Access, repository_lease, target_lease
from orchestrator.backups.document import TAG
from orchestrator.backups.landings import observe_landings
from orchestrator.catalogue import leases
from orchestrator.catalogue import verifications as memory
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.in_use import read_in_use
from orchestrator.catalogue.records import PointAt
from orchestrator.catalogue.suspicions import bad_points, open_suspects
from orchestrator.engine.port import Run
from orchestrator.epoch.fence import check_fence
from orchestrator.errors import InvalidInput, Refused, TricenterError, Unreachable
from orchestrator.vault.restic import Snapshot
from policies.retention import (
    LEFTOVERS_STAY,
    Decision,
    Farther,
    Ground,
    Held,
    Reason,
    counted,
    decide,
    is_leftover,
    is_too_many,
    kept_by_rule,
    look_at_dates,
)
from policies.site import SystemRef
from policies.suspicion import Signal
from policies.tiers import Retention
from policies.windows import zone
from policies.work import copy_centres

#: A prune also removes what killed backups uploaded and never referred to, so it runs although nothing was forgotten.
PRUNE_AT_LEAST_EVERY = timedelta(days=7)
POINT = "point="


@dataclass(frozen=True, slots=True)
class ExpiryPlan:
    """What retention would do at a centre, and why it must not, if so.

    `points` are the decisions on points that are whole there, `remains` on what is left of others. `snapshots` are
    all that would be forgotten. `suspects` are the points of the system that nobody has settled, here or at another
    centre, with their signals: until then nothing good is forgotten.
    """

    centre: str
    points: tuple[Decision, ...]
    remains: tuple[Decision, ...]
    snapshots: tuple[str, ...]
    prune: bool
    suspects: Mapping[str, tuple[Signal, ...]]
    too_many: bool
    open_findings: int

    def as_evidence(self) -> dict[str, Any]:
        every = (*self.points, *self.remains)
        return {
            "counts": {str(reason): count for reason, count in counted(every).items()},
            "forgotten": {each.id: str(each.reason) for each in every if not each.kept},
            "snapshots": len(self.snapshots),
            "prune": self.prune,
            "suspects": sorted(self.suspects),
        }


@dataclass(frozen=True, slots=True)
class Expired:
    """What retention did: the plan that it carried out, and the points that are at the centre now."""

    plan: ExpiryPlan
    left: tuple[str, ...]


def expire_system(run: Run, access: Access, ref: SystemRef, centre: str, *, force: bool = False) -> Expired:
    """Forget what a system's tier does not keep at `centre`, and prune. May be repeated; a killed run is made good.

    Raises Refused when more than half of the points would go (unless `force`), or when something there is known to be
    damaged; Fenced when the centre's register knows of an epoch that moved the system; Busy while the repository is
    in use. While a point of the system is suspect and not settled, what is good stays.
    """
    holder, catalogue = run.id, access.catalogue
    with (
        leases.hold(catalogue, repository_lease(centre, ref), holder, exclusive=True),
        leases.hold(catalogue, target_lease(centre, ref), holder, exclusive=True),
    ):
        plan = run.step("plan", _plan, access, ref, centre, holder, force=force)
        if plan.snapshots:
            run.step("forget", _forget, access, ref, centre, plan.snapshots)
        if plan.prune:
            run.step("prune", _prune, access, ref, centre)
        left = run.step("observe-landing", _observe, access, ref, centre)
    return Expired(plan, left)


def plan_expiry(access: Access, ref: SystemRef, centre: str, *, run_id: str = "") -> ExpiryPlan:
    """Return what retention would do now. Changes nothing but what the catalogue knows of the centre's listing.

    `run_id` is the run that asks, which is no user of what it looks at.
    """
    rule, bucket = _rule(ref, centre), access.bucket(centre, ref.tenant.tenant)
    place, now = Key(ref.tenant.tenant, ref.name, centre), datetime.now(UTC)
    if bucket.head(f"{ref.name}/config") is None:
        return ExpiryPlan(centre, (), (), (), prune=False, suspects={}, too_many=False, open_findings=0)
    held = [as_held(each) for each in observe_landings(access.catalogue, bucket, ref, centre)]
    in_use, local = read_in_use(access.catalogue), zone(access.site.timezone)
    suspects = {each.point.id: each.point.suspicion for each in open_suspects(access.catalogue, *place[:2])}
    suspects |= {point: (signal,) for point, signal in look_at_dates(held, now)[1].items()}
    farther = _farther(access, ref, centre)
    points = decide(held, rule, now, local, in_use=in_use.points, farther=farther, held=bool(suspects))
    damaged = len(memory.open_faults(access.catalogue, place))
    try:
        groups = _by_point(access.repository(centre, ref).snapshots())
    except TricenterError:
        if not damaged:
            raise
        groups = {}  # it does not open, or a snapshot does not: nothing is forgotten there for that reason
    decided = {each.id for each in points}
    rest = {point: group for point, group in groups.items() if point not in decided}
    known = {each.id: each.data_time for each in access.catalogue.points(ref.tenant.tenant, ref.name)}
    good = [each for each in held if each.good and each.id not in suspects]

    bad = bad_points(access.catalogue, *place[:2])

    def would_stay(point: str) -> bool:
        """Whether a point that is not whole here would stay if it were."""
        if point in bad:
            return False
        if suspects or not good:
            return True
        at = known[point]
        return point in kept_by_rule([*good, Held(point, at, at, at, proved=False)], rule, now, local)

    remains = tuple(_remains(rest, known, would_stay, in_use.runs - {run_id}, now))
    snapshots = tuple(
        snapshot.id for each in (*points, *remains) if not each.kept for snapshot in groups.get(each.id, ())
    )
    pruned = memory.pruned_since_forgotten(access.catalogue, place, not_before=now - PRUNE_AT_LEAST_EVERY)
    return ExpiryPlan(
        centre,
        points,
        remains,
        snapshots,
        prune=bool(snapshots) or not pruned,
        suspects=suspects,
        too_many=is_too_many(points),
        open_findings=damaged,
    )


def check_plan(ref: SystemRef, plan: ExpiryPlan, *, force: bool) -> None:
    """Raise Refused when this plan must not be carried out."""
    where = f"{ref} at {plan.centre}"
    if plan.open_findings:
        raise Refused(
            f"nothing of {where} is forgotten: {plan.open_findings} findings of its verification are open",
            hint=f"tricenter backup heal {ref} --centre {plan.centre}; which they are: tricenter backup faults {ref}",
        )
    if plan.too_many and not force:
        going = sum(not each.kept for each in plan.points)
        raise Refused(
            f"nothing of {where} is forgotten: {going} of {len(plan.points)} points would go at once",
            hint="was the tier's retention shortened? if it is meant: tricenter backup expire --more-than-half",
        )


def _plan(access: Access, ref: SystemRef, centre: str, run_id: str, *, force: bool) -> ExpiryPlan:
    check_fence(access, str(ref), centre)
    plan = plan_expiry(access, ref, centre, run_id=run_id)
    check_plan(ref, plan, force=force)
    return plan


def _forget(access: Access, ref: SystemRef, centre: str, snapshots: Sequence[str]) -> int:
    check_fence(access, str(ref), centre)
    repository, place = access.expirer(centre, ref), Key(ref.tenant.tenant, ref.name, centre)
    repository.clear_dead_locks()
    # First, so that a run killed from here on owes a prune.
    memory.record_expiry(access.catalogue, place, forgot_at=datetime.now(UTC))
    repository.forget(snapshots)
    return len(snapshots)


def _prune(access: Access, ref: SystemRef, centre: str) -> None:
    """Remove unreferenced data.

    Packs are rewritten only where backups go. A farther centre would get the old ones again with the next
    replication, for as long as the nearer one keeps them; what it holds in part is removed when the rest expires.
    """
    check_fence(access, str(ref), centre)
    repository, began = access.expirer(centre, ref), datetime.now(UTC)
    repository.clear_dead_locks()
    repository.prune(repack=copy_centres(ref)[0] == centre)
    memory.record_expiry(access.catalogue, Key(ref.tenant.tenant, ref.name, centre), pruned_at=began)


def _observe(access: Access, ref: SystemRef, centre: str) -> tuple[str, ...]:
    tenant = ref.tenant.tenant
    landed = observe_landings(access.catalogue, access.bucket(centre, tenant), ref, centre)
    memory.record_expiry(access.catalogue, Key(tenant, ref.name, centre), ran_at=datetime.now(UTC), points=len(landed))
    return tuple(each.point.id for each in landed)


def _rule(ref: SystemRef, centre: str) -> Retention:
    copies = {str(name): copy for name, copy in ref.copies.items()}
    if centre not in copies:
        raise InvalidInput(f"the tier of {ref} has no copy at {centre}", hint=f"it has: {', '.join(copies)}")
    return copies[centre].retention


def as_held(at: PointAt) -> Held:
    point, settled = at.point, at.settlement
    return Held(
        point.id,
        point.data_time,
        point.finished_at,
        at.landed_at,
        proved=at.proved_at is not None,
        standing=at.standing,
        settled_at=settled.settled_at if settled else None,
    )


def _farther(access: Access, ref: SystemRef, centre: str) -> list[Farther]:
    """Return the centres behind this one. One that does not answer counts as empty: what it has may be lost."""
    centres = [str(each) for each in copy_centres(ref)]
    copies = {str(name): copy for name, copy in ref.copies.items()}
    return [
        Farther(other, copies[other].retention, _good_at(access, ref, other))
        for other in centres[centres.index(centre) + 1 :]
    ]


def _good_at(access: Access, ref: SystemRef, centre: str) -> dict[str, datetime]:
    try:
        landed = observe_landings(access.catalogue, access.bucket(centre, ref.tenant.tenant), ref, centre)
    except Unreachable:
        return {}
    return {each.point.id: each.point.data_time for each in landed if each.good}


def _by_point(snapshots: Iterable[Snapshot]) -> dict[str, list[Snapshot]]:
    """Return the snapshots of each point. Those that belong to none are not ours to forget."""
    groups: defaultdict[str, list[Snapshot]] = defaultdict(list)
    for each in snapshots:
        for tag in each.tags:
            if tag.startswith(POINT):
                groups[tag.removeprefix(POINT)].append(each)
    return dict(groups)


def _remains(
    groups: Mapping[str, Sequence[Snapshot]],
    known: Mapping[str, datetime],
    would_stay: Callable[[str], bool],
    open_runs: Collection[str],
    now: datetime,
) -> Iterator[Decision]:
    """Yield a decision on every group of snapshots that is no whole point here."""
    for point, group in sorted(groups.items()):
        made_at = max(each.time for each in group)
        if point in known:  # half copied, or half forgotten by a run that was killed
            yield _decided(point, known[point], Reason.INCOMPLETE if would_stay(point) else Reason.EXPIRED)
        elif any(TAG in each.tags for each in group):
            yield _decided(point, made_at, Reason.UNKNOWN)
        elif point in open_runs:
            yield _decided(point, made_at, Reason.IN_USE)
        elif is_leftover(made_at, now):
            yield _decided(point, made_at, Reason.LEFTOVER)
        else:
            yield _decided(point, made_at, Reason.YOUNG, until=made_at + LEFTOVERS_STAY)


def _decided(point: str, moment: datetime, reason: Reason, until: datetime | None = None) -> Decision:
    return Decision(point, moment, (Ground(reason, until=until),))
