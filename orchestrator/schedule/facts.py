"""What the schedule is derived from, read from the catalogue in a fixed number of queries, however many systems there
are.

A catalogue keeps a year of points and runs, and a look at it must not grow with them: the newest is found by walking
an index from its end, failures and ends are read as far back as the schedule needs them, and what verification and
retention remember is a row each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    ScalarSelect,
    Select,
    Subquery,
    and_,
    case,
    func,
    literal,
    select,
)

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.facts import CLOCKS_DIFFER, RECOVERED, Key, held_by_people
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.records import RunState
from orchestrator.catalogue.store import Catalogue
from policies.work import COPY_CENTRES, DONE_WITHIN, FAILURES_WITHIN, Archived, AtCentre, Facts, Failures

#: What a centre lacks is looked for among points of the last days; older ones are known by the newest alone.
LACKING_WITHIN = timedelta(days=7)

FAILED = (RunState.FAILED, RunState.ABORTED, RunState.INTERRUPTED)


def read_schedule_facts(catalogue: Catalogue, now: datetime) -> Facts:
    """Return what is known as of `now`, all of one moment. Raises Unreachable when the catalogue does not answer."""
    with reading(catalogue) as db:
        bundles = db.execute(_bundles()).all()
        return Facts(
            known_since={(row.tenant, row.system): row.created_at for row in db.execute(select(t.systems))},
            at=dict(_at_centres(db, now)),
            drift_at=_drift(db),
            plan_checked=_plan_checked(db),
            spotted=_spotted(db),
            archived=_archived(db),
            escrow={row.centre: row.made_at for row in bundles},
            configured_at=next((row.configured_at for row in bundles), None),
            failures=dict(_failures(db, now)),
            done=dict(_done(db, now)),
            open=dict(_open(db)),
        )


def _at_centres(db: Connection, now: datetime) -> Iterator[tuple[tuple[str, str, str], AtCentre]]:
    nearest, *farther = COPY_CENTRES
    held, owed = held_by_people(db, now), _owed(db, nearest, now)
    for query in (_known_at(nearest, None, now), *(_known_at(centre, nearest, now) for centre in farther)):
        for tenant, system, centre, *known, damaged_since in db.execute(query):
            key = Key(tenant, system, centre)
            of_key = {"held": held.get(key, {}), "owed": owed.get(key), "damaged_since": damaged_since}
            yield (tenant, system, centre), replace(AtCentre(*known), **of_key)


def _known_at(centre: str, nearest: str | None, now: datetime) -> Select[Any]:
    """Return the query of what is known of each system at one centre, in the order of AtCentre's first fields.

    Last comes since when something there is damaged.
    """
    keys = select(t.systems.c.tenant, t.systems.c.system, literal(centre).label("centre")).subquery("keys")
    newest = select(keys, _newest(keys, centre, now).label("data_time")).subquery("newest")
    nothing = literal(None, t.UtcTime())
    lacking = _lacking(newest, nearest, now) if nearest else nothing
    checks, reads = t.verifications.alias("checks"), t.verifications.alias("reads")
    joined = (
        newest.outerjoin(checks, and_(_same(newest, checks), checks.c.depth == "structure"))
        .outerjoin(reads, and_(_same(newest, reads), reads.c.depth == "data"))
        .outerjoin(t.expiries, _same(newest, t.expiries))
        .outerjoin(t.locks, _same(newest, t.locks))
    )
    return select(
        newest.c.tenant,
        newest.c.system,
        newest.c.centre,
        newest.c.data_time,
        lacking.label("lacking_since"),
        checks.c.began_at,
        reads.c.began_at,
        t.expiries.c.ran_at,
        t.locks.c.ran_at,
        _last_drill(newest, centre).label("drilled_at"),
        _last_drill(newest, centre, t.drills.c.verdict.in_(RECOVERED)).label("recovered_at"),
        _damaged_since(newest, centre).label("damaged_since"),
    ).select_from(joined)


def _same(left: FromClause, right: FromClause) -> ColumnElement[bool]:
    return and_(*(getattr(left.c, name) == getattr(right.c, name) for name in ("tenant", "system", "centre")))


def _newest(keys: Subquery, centre: str, now: datetime) -> ScalarSelect[datetime]:
    """The data time of the newest point that a centre lists."""
    return (
        select(t.points.c.data_time)
        .join(t.landings, t.landings.c.point_id == t.points.c.id)
        .where(
            (t.points.c.tenant == keys.c.tenant)
            & (t.points.c.system == keys.c.system)
            & (t.points.c.data_time <= now + CLOCKS_DIFFER)
            & (t.landings.c.centre == centre)
        )
        .order_by(t.points.c.data_time.desc())
        .limit(1)
        .correlate(keys)
        .scalar_subquery()
    )


def _lacking(newest: Subquery, nearest: str, now: datetime) -> ScalarSelect[datetime]:
    """When the first of the points landed at the nearest centre that are newer than all that this centre has."""
    horizon = literal(now - LACKING_WITHIN, t.UtcTime())
    return (
        select(t.landings.c.landed_at)
        .join(t.points, t.landings.c.point_id == t.points.c.id)
        .where(
            (t.points.c.tenant == newest.c.tenant)
            & (t.points.c.system == newest.c.system)
            & (t.points.c.data_time > func.coalesce(newest.c.data_time, horizon, type_=t.UtcTime()))
            & (t.points.c.data_time > horizon)
            & (t.landings.c.centre == nearest)
        )
        .order_by(t.points.c.data_time)
        .limit(1)
        .correlate(newest)
        .scalar_subquery()
    )


def _owed(db: Connection, nearest: str, now: datetime) -> dict[Key, datetime]:
    """The newest data of the points at each centre that were written past the nearest and have not come to it."""
    key = (t.points.c.tenant, t.points.c.system, t.landings.c.centre)
    query = (
        select(*key, func.max(t.points.c.data_time, type_=t.UtcTime()))
        .join_from(t.bypasses, t.points, t.points.c.id == t.bypasses.c.point_id)
        .join(t.landings, t.landings.c.point_id == t.points.c.id)
        .where((t.bypasses.c.centre == nearest) & t.bypasses.c.landed_at.is_(None))
        .where((t.landings.c.centre != nearest) & (t.points.c.data_time <= now + CLOCKS_DIFFER))
        .group_by(*key)
    )
    return {Key(tenant, system, centre): newest for tenant, system, centre, newest in db.execute(query)}


def _last_drill(keys: Subquery, centre: str, *more: ColumnElement[bool]) -> ScalarSelect[datetime]:
    return (
        select(t.drills.c.ended_at)
        .where(
            t.drills.c.tenant == keys.c.tenant, t.drills.c.system == keys.c.system, t.drills.c.centre == centre, *more
        )
        .order_by(t.drills.c.ended_at.desc())
        .limit(1)
        .correlate(keys)
        .scalar_subquery()
    )


def _damaged_since(keys: Subquery, centre: str) -> ScalarSelect[datetime]:
    """When the first of the findings that are open was found."""
    found = t.findings.c
    return (
        select(func.min(found.found_at))
        .where(
            (found.tenant == keys.c.tenant)
            & (found.system == keys.c.system)
            & (found.centre == centre)
            & found.healed_at.is_(None)
        )
        .correlate(keys)
        .scalar_subquery()
    )


def _drift(db: Connection) -> dict[str, datetime]:
    done = (t.runs.c.flow == "tenant-drift") & (t.runs.c.state == RunState.DONE)
    return {row[0]: row[1] for row in db.execute(_last_by_subject().where(done))}


def _plan_checked(db: Connection) -> dict[tuple[str, str], datetime]:
    columns = t.plan_checks.c
    query = select(columns.plan, columns.centre, func.max(columns.checked_at)).group_by(columns.plan, columns.centre)
    return {(plan, centre): checked_at for plan, centre, checked_at in db.execute(query)}


def _spotted(db: Connection) -> dict[tuple[str, str], datetime]:
    columns = t.spot_checks.c
    return {(row[0], row[1]): row[2] for row in db.execute(select(columns.tenant, columns.system, columns.began_at))}


def _archived(db: Connection) -> dict[tuple[str, str, str, str], Archived]:
    columns = t.archives.c
    key = (columns.tenant, columns.system, columns.source, columns.centre)
    query = select(*key, columns.full_at, columns.backup_at, columns.observed_at)
    return {(row[0], row[1], row[2], row[3]): Archived(*row[4:]) for row in db.execute(query)}


def _bundles() -> Select[Any]:
    """The query of the newest rescue bundles, each with when the configuration last changed."""
    changed = select(t.audit.c.at).where(t.audit.c.kind == "config").order_by(t.audit.c.id.desc()).limit(1)
    bundles = t.escrow_bundles.c
    return select(bundles.centre, bundles.made_at, changed.scalar_subquery().label("configured_at"))


def _last_by_subject() -> Select[Any]:
    return select(t.runs.c.subject, func.max(t.runs.c.started_at)).group_by(t.runs.c.subject)


def _done(db: Connection, now: datetime) -> Iterator[tuple[tuple[str, str], datetime]]:
    for flow in ("backup", "replicate"):
        done = (t.runs.c.flow == flow) & (t.runs.c.state == RunState.DONE) & (t.runs.c.ended_at > now - DONE_WITHIN)
        for subject, started_at in db.execute(_last_by_subject().where(done)):
            yield (flow, subject), started_at


def _failures(db: Connection, now: datetime) -> Iterator[tuple[tuple[str, str], Failures]]:
    ended = t.runs.c.ended_at
    key = (t.runs.c.flow, t.runs.c.subject)
    aborted = func.max(case((t.runs.c.state == RunState.ABORTED, ended))).label("aborted_at")
    query = select(*key, func.min(ended), func.max(ended), aborted).group_by(*key)
    query = query.where(t.runs.c.state.in_(FAILED) & (ended > now - FAILURES_WITHIN))
    for flow, subject, first, last, aborted_at in db.execute(query):
        yield (flow, subject), Failures(first, last, aborted_at)


def _open(db: Connection) -> Iterator[tuple[tuple[str, str], str]]:
    query = select(t.runs.c.flow, t.runs.c.subject, t.runs.c.state).where(t.runs.c.ended_at.is_(None))
    for flow, subject, state in db.execute(query):
        yield (flow, subject), state
