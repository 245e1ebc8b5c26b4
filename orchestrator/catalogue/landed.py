"""What landed within a window, kept from one look to the next: of the next look only what changed is read.

A window of a large city has millions of landings, and a minute adds some hundreds. What landed lately is read again at
each look. Whatever else changes the landings of a system (one that goes, one that is found late, a person's word on a
point) puts a new stamp on the system, and a system with a new stamp is read whole. A stamp is drawn, not counted: a
catalogue that was put in the place of another cannot have the same one for another history.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from secrets import randbits

from sqlalchemy import Connection, select, tuple_, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import clock
from orchestrator.catalogue.facts import Key, every_key, of_newest
from orchestrator.catalogue.trust import is_good
from policies.objectives import Landing
from policies.saw import Saw
from policies.work import COPY_CENTRES

#: By the clock of the database. What landed longer ago than the first is late when it is recorded; what landed since
#: the last look less the second is read again. Between the two is room for a transaction that takes long to end.
LATE = timedelta(minutes=5)
AGAIN = timedelta(minutes=15)

#: Systems of which one query reads all, and rows that are fetched together.
SYSTEMS_AT_ONCE = 500
ROWS_AT_ONCE = 10_000

NEVER = datetime.min.replace(tzinfo=UTC)
System = tuple[str, str]


def stamp(db: Connection, systems: Collection[System]) -> None:
    """Say that landings of these (tenant, system) changed otherwise than by one that came just now."""
    key = tuple_(t.systems.c.tenant, t.systems.c.system)
    db.execute(update(t.systems).where(key.in_(systems)).values(stamp=randbits(62)))


class Landed:
    """The landings of every system at every centre. For one reader at a time."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._until = NEVER
        self._stamps: Mapping[System, int | None] = {}
        self._saws: dict[Key, Saw] = {}

    def look(self, db: Connection, since: datetime, stamps: Mapping[System, int | None]) -> Mapping[Key, Saw]:
        """Return what good points landed after `since`, and before it the newest, of all systems that have stamps.

        What lands later than now is there as well: a clock may be ahead.
        """
        until = clock(db)
        known = self._stamps if self._since is not None and self._since <= since else {}
        stale = [each for each, stamp in stamps.items() if each not in known or known[each] != stamp]
        self._since = None  # who fails half way has read nothing
        if len(stale) == len(stamps):
            self._saws = _read(db, since, None)
        else:
            self._go_on(db, since)
            for first in range(0, len(stale), SYSTEMS_AT_ONCE):
                some = stale[first : first + SYSTEMS_AT_ONCE]
                for tenant, system in some:
                    for centre in COPY_CENTRES:
                        self._saws.pop(Key(tenant, system, centre), None)
                self._saws |= _read(db, since, some)
        self._since, self._until, self._stamps = since, until, dict(stamps)
        return self._saws

    def _go_on(self, db: Connection, since: datetime) -> None:
        after = max(self._until - AGAIN, since)
        lately: defaultdict[Key, list[Landing]] = defaultdict(list)
        for key, landing in _landings(db, after, None):
            lately[key].append(landing)
        for key, saw in self._saws.items():
            saw.renew(after, lately.pop(key, ()))
            saw.forget(since)
        self._saws |= {key: Saw(None, landings) for key, landings in lately.items()}


def _read(db: Connection, since: datetime, systems: Collection[System] | None) -> dict[Key, Saw]:
    """Return the saws of some systems, or of all."""
    landings: defaultdict[Key, list[Landing]] = defaultdict(list)
    for key, landing in _landings(db, since, systems):
        landings[key].append(landing)
    before = dict(_before(db, since, systems))
    return {key: Saw(before.get(key), landings.pop(key, ())) for key in [*before, *(landings.keys() - before)]}


def _before(db: Connection, since: datetime, systems: Collection[System] | None) -> Iterator[tuple[Key, Landing]]:
    keys = every_key()
    of_points, of_landings = (
        of_newest(t.points.c.data_time, keys, since),
        of_newest(t.landings.c.landed_at, keys, since),
    )
    query = select(keys, of_points, of_landings)
    if systems is not None:
        query = query.where(tuple_(keys.c.tenant, keys.c.system).in_(systems))
    for tenant, system, centre, data_time, landed_at in db.execute(query):
        if data_time:
            yield Key(tenant, system, centre), Landing(data_time, landed_at)


def _landings(db: Connection, after: datetime, systems: Collection[System] | None) -> Iterator[tuple[Key, Landing]]:
    key = (t.points.c.tenant, t.points.c.system, t.landings.c.centre)
    query = (
        select(*key, t.points.c.data_time, t.landings.c.landed_at)
        .join(t.landings, t.landings.c.point_id == t.points.c.id)
        .where((t.landings.c.landed_at > after) & is_good())
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    if systems is not None:
        query = query.where(tuple_(t.points.c.tenant, t.points.c.system).in_(systems))
    for tenant, system, centre, data_time, landed_at in db.execute(query):
        yield Key(tenant, system, centre), Landing(data_time, landed_at)
