"""What the board is made of, read in a fixed number of queries, however many systems and points there are.

A catalogue keeps a year of points and more, and a look at it must not grow with them: the newest points are found by
walking each system's index from its end, and what landed in the window by the index of landing times.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, ScalarSelect, Subquery, func, literal, select, union_all

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.records import DrillRow
from orchestrator.catalogue.trust import is_good, is_suspect
from policies.work import COPY_CENTRES

#: Verdicts of drills that did recover the system. Only these count as having drilled it.
RECOVERED = ("met", "missed")

#: Who asks for what the schedule asks for. A drill that was asked for by anybody else is a person's.
SCHEDULE = "schedule"

#: No point lands before its data time but for clocks of hosts that differ; by more than this they never do.
CLOCKS_DIFFER = timedelta(hours=1)


Value = TypeVar("Value")


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
    #: The same -> the stamp of its landings, None: they never changed but by one that came.
    stamps: dict[tuple[str, str], int | None]
    #: The newest data time among the good points that a restore has proved.
    proved: dict[Key, datetime]
    #: The last drill of each plan and kind, newest first.
    drills: dict[Key, list[DrillRow]]
    #: By kind, the end of the last drill by a person that did recover the system.
    held: dict[Key, dict[str, datetime]]
    #: Points at the centre that are suspect, and not settled.
    suspects: dict[Key, int]


def read_facts(db: Connection, now: datetime) -> Facts:
    """Return what was known at `now`, but for landings."""
    drills: defaultdict[Key, list[DrillRow]] = defaultdict(list)
    for drill in last_drills(db, now):
        drills[Key(drill.tenant, drill.system, drill.centre)].append(drill)
    systems = db.execute(select(t.systems)).all()
    return Facts(
        created={(row.tenant, row.system): row.created_at for row in systems},
        stamps={(row.tenant, row.system): row.stamp for row in systems},
        proved=dict(proved_at_centres(db, now)),
        drills=dict(drills),
        held=held_by_people(db, now),
        suspects=dict(_suspects(db)),
    )


class Exposed(NamedTuple):
    """Since when the work of a system would be lost: since its newest good data; where there is none, all of it."""

    since: datetime
    data_time: datetime | None


def exposures(db: Connection, now: datetime) -> dict[Key, Exposed]:
    """Return since when every system is exposed at every centre that may hold copies of it, never later than `now`.

    Where there is no good data, since the system is known. A fixed number of queries.
    """
    created = {(row.tenant, row.system): row.created_at for row in db.execute(select(t.systems))}
    keys = every_key()
    found = db.execute(select(keys, of_newest(t.points.c.data_time, keys, now)))
    return {
        Key(tenant, system, centre): Exposed(min(newest or created[tenant, system], now), newest)
        for tenant, system, centre, newest in found
    }


def every_key() -> Subquery:
    """Every system at every centre that may hold copies: tenant, system, centre."""
    return union_all(
        *(select(t.systems.c.tenant, t.systems.c.system, literal(centre).label("centre")) for centre in COPY_CENTRES)
    ).subquery("keys")


def of_newest(column: Column[Value], keys: Subquery, at: datetime) -> ScalarSelect[Value]:
    """A column of the point with the newest data among the good ones that had landed by `at`."""
    return (
        select(column)
        .select_from(t.points.join(t.landings, t.landings.c.point_id == t.points.c.id))
        .where(
            (t.points.c.tenant == keys.c.tenant)
            & (t.points.c.system == keys.c.system)
            & (t.points.c.data_time <= at + CLOCKS_DIFFER)  # ends the walk through what came later
            & (t.landings.c.centre == keys.c.centre)
            & (t.landings.c.landed_at <= at)
            & is_good()
        )
        .order_by(t.points.c.data_time.desc(), t.landings.c.landed_at)
        .limit(1)
        .correlate(keys)
        .scalar_subquery()
    )


def proved_at_centres(db: Connection, now: datetime) -> Iterator[tuple[Key, datetime]]:
    """Yield the newest good data of every system at every centre that a restore had proved there by `now`."""
    key = (t.points.c.tenant, t.points.c.system, t.landings.c.centre)
    query = (
        select(*key, func.max(t.points.c.data_time))
        .join(t.landings, t.landings.c.point_id == t.points.c.id)
        .where((t.landings.c.proved_at <= now) & is_good())
        .group_by(*key)
    )
    for tenant, system, centre, data_time in db.execute(query):
        yield Key(tenant, system, centre), data_time


def _suspects(db: Connection) -> Iterator[tuple[Key, int]]:
    key = (t.points.c.tenant, t.points.c.system, t.landings.c.centre)
    query = (
        select(*key, func.count())
        .join(t.landings, t.landings.c.point_id == t.points.c.id)
        .where(is_suspect())
        .group_by(*key)
    )
    for tenant, system, centre, count in db.execute(query):
        yield Key(tenant, system, centre), count


#: What tells the rehearsals of a system at a centre apart.
PLAN_AND_KIND = ("plan", "kind")


def last_drills(
    db: Connection, now: datetime, *, apart: Sequence[str] = PLAN_AND_KIND, count: int = 1
) -> Sequence[DrillRow]:
    """Return the last `count` drills of every system and centre, newest first: of each plan and kind, or as told.

    A drill of several systems has a row for each of them, and each is counted with its own.
    """
    columns = t.drills.c
    groups = [columns[name] for name in ("tenant", "system", "centre", *apart)]
    place = func.row_number().over(partition_by=groups, order_by=(columns.ended_at.desc(), columns.id.desc()))
    placed = select(t.drills, place.label("place")).where(columns.ended_at <= now).subquery("placed")
    query = (
        select(*(placed.c[name] for name in columns.keys()))  # noqa: SIM118 - of columns, these are the names
        .where(placed.c.place <= count)
        .order_by(placed.c.ended_at.desc(), placed.c.id.desc(), placed.c.tenant, placed.c.system)
    )
    return [DrillRow(**row._mapping) for row in db.execute(query)]


def by_a_person() -> ColumnElement[bool]:
    """Whether a drill was not asked for by the schedule: a restore test rehearses nobody."""
    return t.drills.c.requested_by.is_distinct_from(SCHEDULE)


def held_by_people(db: Connection, now: datetime) -> dict[Key, dict[str, datetime]]:
    """Return by kind the end of the last drill of every system and centre that a person held and that recovered it."""
    columns = t.drills.c
    key = (columns.tenant, columns.system, columns.centre, columns.kind)
    query = (
        select(*key, func.max(columns.ended_at))
        .where(columns.verdict.in_(RECOVERED) & (columns.ended_at <= now) & by_a_person())
        .group_by(*key)
    )
    held: defaultdict[Key, dict[str, datetime]] = defaultdict(dict)
    for tenant, system, centre, kind, ended_at in db.execute(query):
        held[Key(tenant, system, centre)][kind] = ended_at
    return dict(held)
