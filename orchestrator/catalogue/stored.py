"""What the copies of a system take at a centre, as its vault listed them when they were last verified."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.store import Catalogue


@dataclass(frozen=True, slots=True)
class Stored:
    """`bytes` and `objects` are what is stored; `held` the bytes that all recovery points there would be restored to.

    `read` says by length of time how many of the bytes were read, or came, within it.
    """

    bytes: int
    objects: int
    held: int
    read: dict[timedelta, int]


def read_stored(catalogue: Catalogue, now: datetime, within: Iterable[timedelta]) -> dict[Key, Stored]:
    """Return what is known of each place that was ever listed. Two queries. Raises Unreachable.

    `within` are the lengths of time that are asked for.
    """
    spans = sorted(set(within))
    slices, place = t.read_slices.c, (t.points.c.tenant, t.points.c.system, t.landings.c.centre)
    # Sums of big integers are decimals on PostgreSQL.
    fresh = [
        func.sum(case(((slices.oldest >= now - each) | (slices.read_at >= now - each), slices.bytes), else_=0))
        for each in spans
    ]
    key = (slices.tenant, slices.system, slices.centre)
    query = select(*key, func.sum(slices.bytes), func.sum(slices.objects), *fresh).group_by(*key)
    points = select(*place, func.sum(t.points.c.bytes)).join(t.landings, t.landings.c.point_id == t.points.c.id)
    with reading(catalogue) as db:
        held = {Key(*row[:3]): int(row[3]) for row in db.execute(points.group_by(*place))}
        return {
            (where := Key(*row[:3])): Stored(
                int(row[3]), int(row[4]), held.get(where, 0), dict(zip(spans, map(int, row[5:]), strict=True))
            )
            for row in db.execute(query)
        }
