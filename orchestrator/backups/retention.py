"""The retention flow: what a centre need not keep any longer is forgotten there, and its data removed.

Only this centre's objects are touched: deletes never travel. Where the vault locks objects, what is deleted stays as
a version behind a delete marker until its lock has ended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
from orchestrator.engine.port import Run
from orchestrator.epoch.fence import check_fence
from orchestrator.errors import InvalidInput, Refused, Unreachable
from orchestrator.vault.restic import Snapshot
from policies.retention import (
    Decision,
    Farther,
    Held,
    Reason,
    counted,
    decide,
    has_expired,
    is_leftover,
    is_too_many,
    suspicion,
)
from policies.site import SystemRef
from policies.tiers import Retention
from policies.work import copy_centres

#: A prune also removes what killed backups uploaded and never referred to, so it runs although nothing was forgotten.
PRUNE_AT_LEAST_EVERY = timedelta(days=7)
POINT = "point="


@dataclass(frozen=True, slots=True)
class ExpiryPlan:
    """What retention would do at a centre, and why it must not, if so.

    `points` are the decisions on points that are whole there, `remains` on what is left of others. `snapshots` are
    all that would be forgotten. `suspicion` says why the dates are not to be trusted.
    """

    centre: str
    points: tuple[Decision, ...]
    remains: tuple[Decision, ...]
    snapshots: tuple[str, ...]
    prune: bool
    suspicion: str | None
    too_many: bool
    open_findings: int

    def as_evidence(self) -> dict[str, Any]:
        every = (*self.points, *self.remains)
        return {
            "counts": {str(reason): count for reason, count in counted(every).items()},
            "forgotten": {each.id: str(each.reason) for each in every if not each.kept},
            "snapshots": len(self.snapshots),
            "prune": self.prune,
        }


@dataclass(frozen=True, slots=True)
class Expired:
    """What retention did: the plan that it carried out, and the points that are at the centre now."""

    plan: ExpiryPlan
    left: tuple[str, ...]


def expire_system(run: Run, access: Access, ref: SystemRef, centre: str, *, force: bool = False) -> Expired:
    """Forget what a system's tier does not keep at `centre`, and prune. May be repeated; a killed run is made good.

    Raises Refused when more than half of the points would go (unless `force`), when their dates are not to be
    trusted, or when something there is known to be damaged; Fenced when the centre's register knows of an epoch that
    moved the system; Busy while the repository is in use.
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
        return ExpiryPlan(centre, (), (), (), prune=False, suspicion=None, too_many=False, open_findings=0)
    held = [_held(each) for each in observe_landings(access.catalogue, bucket, ref, centre)]
    in_use = read_in_use(access.catalogue)
    points = decide(held, rule, now, in_use=in_use.points, farther=_farther(access, ref, centre))
    groups = _by_point(access.repository(centre, ref).snapshots())
    decided = {each.id for each in points}
    rest = {point: group for point, group in groups.items() if point not in decided}
    known = {each.id: each.data_time for each in access.catalogue.points(ref.tenant.tenant, ref.name)}
    newest = points[0].data_time if points else None
    remains = tuple(_remains(rest, known, newest, rule, in_use.runs - {run_id}, now))
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
        suspicion=suspicion(held, now),
        too_many=is_too_many(points),
        open_findings=len(memory.open_faults(access.catalogue, place)),
    )


def check_plan(ref: SystemRef, plan: ExpiryPlan, *, force: bool) -> None:
    """Raise Refused when this plan must not be carried out."""
    where = f"{ref} at {plan.centre}"
    if plan.suspicion:
        raise Refused(
            f"nothing of {where} is forgotten: {plan.suspicion}",
            hint="set the clock of the host that backs up, and make a new point: tricenter backup run",
        )
    if plan.open_findings:
        raise Refused(
            f"nothing of {where} is forgotten: {plan.open_findings} findings of its verification are open",
            hint=f"tricenter backup verify {ref} --centre {plan.centre} says which, and what to do",
        )
    if plan.too_many and not force:
        going = sum(not each.kept for each in plan.points)
        raise Refused(
            f"nothing of {where} is forgotten: {going} of {len(plan.points)} points would go at once",
            hint="was the tier's keep_within shortened? if it is meant: tricenter backup expire --more-than-half",
        )


def _plan(access: Access, ref: SystemRef, centre: str, run_id: str, *, force: bool) -> ExpiryPlan:
    check_fence(access, str(ref), centre)
    plan = plan_expiry(access, ref, centre, run_id=run_id)
    check_plan(ref, plan, force=force)
    return plan


def _forget(access: Access, ref: SystemRef, centre: str, snapshots: Sequence[str]) -> int:
    check_fence(access, str(ref), centre)
    repository, place = access.repository(centre, ref), Key(ref.tenant.tenant, ref.name, centre)
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
    repository, began = access.repository(centre, ref), datetime.now(UTC)
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


def _held(at: PointAt) -> Held:
    point = at.point
    return Held(point.id, point.data_time, point.finished_at, at.landed_at, proved=at.proved_at is not None)


def _farther(access: Access, ref: SystemRef, centre: str) -> list[Farther]:
    """Return the centres behind this one. One that does not answer counts as empty: what it has may be lost."""
    centres = [str(each) for each in copy_centres(ref)]
    copies = {str(name): copy for name, copy in ref.copies.items()}
    return [
        Farther(other, copies[other].retention.keep_within, _held_at(access, ref, other))
        for other in centres[centres.index(centre) + 1 :]
    ]


def _held_at(access: Access, ref: SystemRef, centre: str) -> frozenset[str]:
    try:
        landed = observe_landings(access.catalogue, access.bucket(centre, ref.tenant.tenant), ref, centre)
    except Unreachable:
        return frozenset()
    return frozenset(each.point.id for each in landed)


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
    newest: datetime | None,
    rule: Retention,
    open_runs: Collection[str],
    now: datetime,
) -> Iterator[Decision]:
    """Yield a decision on every group of snapshots that is no whole point here."""
    for point, group in sorted(groups.items()):
        made_at = max(each.time for each in group)
        if point in known:  # half copied, or half forgotten by a run that was killed
            gone = newest is not None and has_expired(known[point], newest, rule)
            yield Decision(point, known[point], Reason.EXPIRED if gone else Reason.INCOMPLETE)
        elif any(TAG in each.tags for each in group):
            yield Decision(point, made_at, Reason.UNKNOWN)
        elif point in open_runs:
            yield Decision(point, made_at, Reason.IN_USE)
        else:
            yield Decision(point, made_at, Reason.LEFTOVER if is_leftover(made_at, now) else Reason.YOUNG)
