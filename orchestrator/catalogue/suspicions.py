"""Which recovery points are good, suspect or bad, and what people said of them.

What makes a point suspect stands in the point itself. What a person said afterwards stands here, and in the audit
chain with all that was said before.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Select, insert, select, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.audit import moment_text, note
from orchestrator.catalogue.database import clock, patient, writing
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.landed import stamp
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.records import PointAt, Settlement
from orchestrator.catalogue.rows import as_point_at
from orchestrator.catalogue.store import Catalogue
from orchestrator.catalogue.trust import is_good, is_suspect
from policies.suspicion import Standing


@patient
def good_points_at(catalogue: Catalogue, place: Key, limit: int) -> list[PointAt]:
    """Return the newest good points of a system at a centre, the newest data first."""
    query = _points_of(place.tenant, place.system).where((t.landings.c.centre == place.centre) & is_good()).limit(limit)
    with reading(catalogue) as db:
        return [as_point_at(row) for row in db.execute(query).mappings()]


@patient
def not_good_since(catalogue: Catalogue, place: Key, moment: datetime) -> list[PointAt]:
    """Return the points of a system at a centre that were made since then and are suspect or bad."""
    here = (t.landings.c.centre == place.centre) & (t.points.c.finished_at > moment) & ~is_good()
    with reading(catalogue) as db:
        found = db.execute(_points_of(place.tenant, place.system).where(here)).mappings()
        return [as_point_at(row) for row in found]


@patient
def open_suspects(catalogue: Catalogue, tenant: str, system: str) -> list[PointAt]:
    """Return the suspect points of a system that nobody has settled, each with every centre, the newest data first."""
    with reading(catalogue) as db:
        return [as_point_at(row) for row in db.execute(_points_of(tenant, system).where(is_suspect())).mappings()]


@patient
def bad_points(catalogue: Catalogue, tenant: str, system: str) -> frozenset[str]:
    """Return the points of a system that a person settled as bad."""
    here = (t.points.c.tenant == tenant) & (t.points.c.system == system)
    query = (
        select(t.settlements.c.point_id)
        .join(t.points, t.points.c.id == t.settlements.c.point_id)
        .where(here & (t.settlements.c.verdict == str(Standing.BAD)))
    )
    with reading(catalogue) as db:
        return frozenset(db.execute(query).scalars())


def _points_of(tenant: str, system: str) -> Select[tuple[object, ...]]:
    return (
        select(t.points, t.landings.c.centre, t.landings.c.landed_at, t.landings.c.proved_at, t.settlements)
        .join(t.landings, t.landings.c.point_id == t.points.c.id)
        .outerjoin(t.settlements, t.settlements.c.point_id == t.points.c.id)
        .where((t.points.c.tenant == tenant) & (t.points.c.system == system))
        .order_by(t.points.c.data_time.desc())
    )


@patient
def settle(
    catalogue: Catalogue, points: Collection[str], verdict: Standing, *, reason: str, by: str
) -> list[Settlement]:
    """Record what a person says of these points. The last word holds; all that was said stays in the audit chain."""
    with writing(catalogue.engine) as db:
        said = [Settlement(point, verdict, reason, by, clock(db)) for point in points]
        for each in said:
            values = {"verdict": str(verdict), "reason": reason, "settled_by": by, "settled_at": each.settled_at}
            known = t.settlements.c.point_id == each.point
            if not db.execute(update(t.settlements).where(known).values(**values)).rowcount:
                db.execute(insert(t.settlements).values(point_id=each.point, **values))
            body = {**values, "point": each.point, "settled_at": moment_text(each.settled_at)}
            note(db, "settlement", None, each.settled_at, body)
        of_points = select(t.points.c.tenant, t.points.c.system).where(t.points.c.id.in_(points)).distinct()
        stamp(db, [(row.tenant, row.system) for row in db.execute(of_points)])
        return said
