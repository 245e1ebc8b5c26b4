"""What the program has done, counted: recovery points, runs, failed attempts, tenants.

These look at every row of their tables. They are for a reader that comes once a minute, not once a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import now
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.records import Outcome, RunState, TenantCentre
from orchestrator.catalogue.store import Catalogue

WORKER_KINDS = ("server", "worker", "one-shot")


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last run of a flow that was done to its end."""

    flow: str
    ended_at: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class Activity:
    #: Recovery points that are at a centre now.
    points: dict[Key, int]
    #: Recovery points that were written past a centre, are at another one, and have not come to it.
    owed: dict[Key, int]
    #: (flow, state) -> runs; every state of a flow that ever ran is there.
    runs: dict[tuple[str, RunState], int]
    #: Kind -> processes that execute runs; every kind is there.
    workers: dict[str, int]
    #: When the run that waits longest in the queue was asked for.
    queued_since: datetime | None
    last_runs: tuple[LastRun, ...]
    #: Type of error -> attempts that failed of it.
    failures: dict[str, int]
    tenants: tuple[TenantCentre, ...]


def read_activity(catalogue: Catalogue) -> Activity:
    """Return the counts as they are now. Raises Unreachable when the catalogue does not answer."""
    with reading(catalogue) as db:
        return Activity(
            points=_points(db),
            owed=_owed(db),
            runs=_runs(db),
            workers=_workers(db),
            queued_since=_queued_since(db),
            last_runs=_last_runs(db),
            failures=_failures(db),
            tenants=tuple(TenantCentre(*row) for row in db.execute(select(t.tenant_centres))),
        )


def _points(db: Connection) -> dict[Key, int]:
    key = (t.points.c.tenant, t.points.c.system, t.landings.c.centre)
    query = select(*key, func.count()).join(t.landings, t.landings.c.point_id == t.points.c.id).group_by(*key)
    return {Key(tenant, system, centre): count for tenant, system, centre, count in db.execute(query)}


def _owed(db: Connection) -> dict[Key, int]:
    key = (t.points.c.tenant, t.points.c.system, t.bypasses.c.centre)
    somewhere = select(t.landings.c.point_id).where(t.landings.c.point_id == t.bypasses.c.point_id).exists()
    query = select(*key, func.count()).join_from(t.bypasses, t.points, t.points.c.id == t.bypasses.c.point_id)
    query = query.where(t.bypasses.c.landed_at.is_(None) & somewhere).group_by(*key)
    return {Key(tenant, system, centre): count for tenant, system, centre, count in db.execute(query)}


def _runs(db: Connection) -> dict[tuple[str, RunState], int]:
    query = select(t.runs.c.flow, t.runs.c.state, func.count()).group_by(t.runs.c.flow, t.runs.c.state)
    counted = {(flow, RunState(state)): count for flow, state, count in db.execute(query)}
    return {(flow, state): counted.get((flow, state), 0) for flow, _ in counted for state in RunState}


def _workers(db: Connection) -> dict[str, int]:
    counted = db.execute(select(t.workers.c.kind, func.count()).group_by(t.workers.c.kind))
    return dict.fromkeys(WORKER_KINDS, 0) | {str(kind): int(count) for kind, count in counted}


def _queued_since(db: Connection) -> datetime | None:
    # A run that is to begin later does not wait for anybody.
    since = func.coalesce(t.runs.c.not_before, t.runs.c.queued_at)
    query = select(since).where((t.runs.c.state == RunState.QUEUED) & (since <= now())).order_by(since).limit(1)
    moment: datetime | None = db.execute(query).scalar()
    return moment


def _last_runs(db: Connection) -> tuple[LastRun, ...]:
    done = t.runs.c.state == RunState.DONE
    last = select(t.runs.c.flow, func.max(t.runs.c.ended_at).label("ended_at")).where(done).group_by(t.runs.c.flow)
    ends = last.subquery("ends")
    query = (
        select(t.runs.c.flow, t.runs.c.ended_at, func.max(t.runs.c.started_at))
        .join(ends, (ends.c.flow == t.runs.c.flow) & (ends.c.ended_at == t.runs.c.ended_at))
        .where(done)
        .group_by(t.runs.c.flow, t.runs.c.ended_at)
    )
    return tuple(
        LastRun(flow, ended_at, (ended_at - started_at).total_seconds())
        for flow, ended_at, started_at in db.execute(query)
    )


def _failures(db: Connection) -> dict[str, int]:
    kind = t.attempts.c.error_type
    query = select(kind, func.count()).where(t.attempts.c.outcome == Outcome.FAILED).group_by(kind)
    return {error_type or "unknown": count for error_type, count in db.execute(query)}
