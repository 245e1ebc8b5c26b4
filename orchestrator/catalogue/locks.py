"""What is remembered of object locks: until when each system and each recovery point is locked at a centre.

Measured, by asking the store for every object; nothing here is reckoned from when something was uploaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import patient, writing
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.store import Catalogue


@dataclass(frozen=True, slots=True)
class Locks:
    """The last look at the locks of a system at a centre.

    `floor` is the earliest end of a lock among its objects; None while any is `unlocked`, or there is no object.
    """

    place: Key
    ran_at: datetime
    floor: datetime | None
    objects: int
    extended: int
    unlocked: int
    overwritten: int


@patient
def record_locks(catalogue: Catalogue, locks: Locks, points: Mapping[str, datetime | None]) -> None:
    """Remember a look, and the floor of each recovery point that is there. May be repeated."""
    place = locks.place
    here = (t.locks.c.tenant == place.tenant) & (t.locks.c.system == place.system) & (t.locks.c.centre == place.centre)
    mine = select(t.points.c.id).where((t.points.c.tenant == place.tenant) & (t.points.c.system == place.system))
    rows = [{"point_id": point, "centre": place.centre, "floor": floor} for point, floor in points.items()]
    with writing(catalogue.engine) as db:
        db.execute(delete(t.locks).where(here))
        db.execute(
            insert(t.locks).values(
                **place._asdict(),
                ran_at=locks.ran_at,
                floor=locks.floor,
                objects=locks.objects,
                extended=locks.extended,
                unlocked=locks.unlocked,
                overwritten=locks.overwritten,
            )
        )
        at_centre = t.point_locks.c.centre == place.centre
        db.execute(delete(t.point_locks).where(at_centre & t.point_locks.c.point_id.in_(mine)))
        if rows:
            db.execute(insert(t.point_locks), rows)


def read_locks(catalogue: Catalogue) -> dict[Key, Locks]:
    """Return the last look at each place. Raises Unreachable when the catalogue does not answer."""
    with reading(catalogue) as db:
        return locks_in(db)


def locks_in(db: Connection) -> dict[Key, Locks]:
    """Return what `read_locks` does, as a part of another look."""
    return {
        (place := Key(row.tenant, row.system, row.centre)): Locks(
            place, row.ran_at, row.floor, row.objects, row.extended, row.unlocked, row.overwritten
        )
        for row in db.execute(select(t.locks))
    }


@patient
def read_point_locks(catalogue: Catalogue, place: Key) -> dict[str, datetime | None]:
    """Return the floor of each recovery point of a system that was at the centre when its locks were last looked at."""
    query = (
        select(t.point_locks.c.point_id, t.point_locks.c.floor)
        .join(t.points, t.points.c.id == t.point_locks.c.point_id)
        .where(
            (t.points.c.tenant == place.tenant)
            & (t.points.c.system == place.system)
            & (t.point_locks.c.centre == place.centre)
        )
    )
    with reading(catalogue) as db:
        return {row.point_id: row.floor for row in db.execute(query)}
