"""What the board is made of, read in a fixed number of queries, however many systems and points there are.

A catalogue keeps a year of points and more, and a look at it must not grow with them: each query walks the points of
a system from the newest on and stops as soon as it can.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, ScalarSelect, Subquery, and_, func, literal, select, union_all

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.records import DrillRow
from policies.objectives import Landing

#: The centres that may hold copies, the nearest first.
COPY_CENTRES = ("same-city", "provincial")

#: Verdicts of drills that did recover the system. Only these count as having drilled it.
RECOVERED = ("met", "missed")

BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)


class Key(NamedTuple):
    """A system at a centre."""

    tenant: str
    system: str
    centre: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at one moment. A key that is not there: nothing of that kind ever happened."""

    #: (tenant, system) -> since when it is known.
    created: dict[tuple[str, str], datetime]
    #: The point with the newest data, and the one with the oldest.
    newest: dict[Key, Landing]
    oldest: dict[Key, Landing]
    #: The newest data time among the points that a restore has proved.
    proved: dict[Key, datetime]
    #: What landed in the window and bears on exposure, led by what was the newest when the window began.
    landings: dict[Key, list[Landing]]
    #: The last drill of each plan and kind, newest first.
    drills: dict[Key, list[DrillRow]]
    #: The end of the last drill that did recover the system.
    recovered: dict[Key, datetime]


def read_facts(db: Connection, since: datetime, now: datetime) -> Facts:
    """Return what was known at `now`, with the landings of the window that begins at `since`."""
    landings: defaultdict[Key, list[Landing]] = defaultdict(list)
    for key, landing in (*_edge(db, since), *_within(db, since, now)):
        landings[key].append(landing)
    drills: defaultdict[Key, list[DrillRow]] = defaultdict(list)
    for drill in _last_drills(db, now):
        drills[Key(drill.tenant, drill.system, drill.centre)].append(drill)
    return Facts(
        created={(row.tenant, row.system): row.created_at for row in db.execute(select(t.systems))},
        newest=dict(_edge(db, now)),
        oldest=dict(_edge(db, now, oldest=True)),
        proved=dict(_proved(db, now)),
        landings=dict(landings),
        drills=dict(drills),
        recovered=dict(_recovered(db, now)),
    )


def _keys() -> Subquery:
    return union_all(
        *(select(t.systems.c.tenant, t.systems.c.system, literal(centre).label("centre")) for centre in COPY_CENTRES)
    ).subquery("keys")


def _point_at(keys: Subquery, at: datetime, *, oldest: bool = False) -> ScalarSelect[str]:
    """The id of the point with the newest (or oldest) data of those that had landed by `at`."""
    data_time = t.points.c.data_time
    return (
        select(t.points.c.id)
        .join(t.landings, t.landings.c.point_id == t.points.c.id)
        .where(
            (t.points.c.tenant == keys.c.tenant)
            & (t.points.c.system == keys.c.system)
            & (t.landings.c.centre == keys.c.centre)
            & (t.landings.c.landed_at <= at)
        )
        .order_by(data_time if oldest else data_time.desc())
        .limit(1)
        .correlate(keys)
        .scalar_subquery()
    )


def _edge(db: Connection, at: datetime, *, oldest: bool = False) -> Iterator[tuple[Key, Landing]]:
    keys = _keys()
    found = select(keys, _point_at(keys, at, oldest=oldest).label("id")).subquery("found")
    query = (
        select(found.c.tenant, found.c.system, found.c.centre, t.points.c.data_time, t.landings.c.landed_at)
        .join(t.points, t.points.c.id == found.c.id)
        .join(t.landings, and_(t.landings.c.point_id == found.c.id, t.landings.c.centre == found.c.centre))
    )
    for tenant, system, centre, data_time, landed_at in db.execute(query):
        yield Key(tenant, system, centre), Landing(data_time, landed_at)


def _within(db: Connection, since: datetime, now: datetime) -> Iterator[tuple[Key, Landing]]:
    """Yield what landed after `since` and is newer than all that had landed by then: the rest moves no exposure."""
    keys = _keys()
    start = select(keys, _point_at(keys, since).label("id")).subquery("start")
    first = t.points.alias("first")
    query = (
        select(start.c.tenant, start.c.system, start.c.centre, t.points.c.data_time, t.landings.c.landed_at)
        .select_from(start)
        .outerjoin(first, first.c.id == start.c.id)
        .join(
            t.points,
            and_(
                t.points.c.tenant == start.c.tenant,
                t.points.c.system == start.c.system,
                t.points.c.data_time > func.coalesce(first.c.data_time, literal(BEFORE_ALL, t.UtcTime())),
            ),
        )
        .join(t.landings, and_(t.landings.c.point_id == t.points.c.id, t.landings.c.centre == start.c.centre))
        .where((t.landings.c.landed_at > since) & (t.landings.c.landed_at <= now))
    )
    for tenant, system, centre, data_time, landed_at in db.execute(query):
        yield Key(tenant, system, centre), Landing(data_time, landed_at)


def _proved(db: Connection, now: datetime) -> Iterator[tuple[Key, datetime]]:
    key = (t.points.c.tenant, t.points.c.system, t.landings.c.centre)
    query = (
        select(*key, func.max(t.points.c.data_time))
        .join(t.landings, t.landings.c.point_id == t.points.c.id)
        .where(t.landings.c.proved_at <= now)
        .group_by(*key)
    )
    for tenant, system, centre, data_time in db.execute(query):
        yield Key(tenant, system, centre), data_time


def _last_drills(db: Connection, now: datetime) -> Sequence[DrillRow]:
    """Return the last drill of every system, centre, plan and kind, newest first."""
    columns = t.drills.c
    kinds = (columns.tenant, columns.system, columns.centre, columns.plan, columns.kind)
    newest_first = (columns.ended_at.desc(), columns.id.desc())
    place = func.row_number().over(partition_by=kinds, order_by=newest_first)
    placed = select(columns.id, place.label("place")).where(columns.ended_at <= now).subquery("placed")
    query = (
        select(t.drills).join(placed, placed.c.id == columns.id).where(placed.c.place == 1).order_by(*newest_first)
    )
    return [DrillRow(**row._mapping) for row in db.execute(query)]


def _recovered(db: Connection, now: datetime) -> Iterator[tuple[Key, datetime]]:
    columns = t.drills.c
    key = (columns.tenant, columns.system, columns.centre)
    query = (
        select(*key, func.max(columns.ended_at))
        .where(columns.verdict.in_(RECOVERED) & (columns.ended_at <= now))
        .group_by(*key)
    )
    for tenant, system, centre, ended_at in db.execute(query):
        yield Key(tenant, system, centre), ended_at
