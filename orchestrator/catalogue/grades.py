"""What the catalogue knows of each system, held against the elements of GB/T 20988."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.records import DrillRow
from orchestrator.catalogue.store import Catalogue
from policies.grading import Grade, Observed, Profile, grade
from policies.site import Site, SystemRef

#: The days over which arriving points are counted.
WINDOW = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SystemGrade:
    """The grade of one system at the centre of its copies that is furthest away."""

    ref: SystemRef
    centre: str
    grade: Grade

    def as_json(self) -> dict[str, Any]:
        return {
            "system": str(self.ref),
            "title": self.ref.system.title.model_dump(),
            "centre": self.centre,
            "level": self.grade.level,
            "aimed_at": self.ref.tier.gbt20988_level,
            "profile": self.grade.profile.name,
            "profile_title": self.grade.profile.title.model_dump(),
            "profile_note": self.grade.profile.note.model_dump(),
            "elements": [
                {
                    "name": each.name,
                    "title": each.title.model_dump(),
                    "level": each.level,
                    "reason": each.reason.model_dump(),
                    "standing": each.standing,
                }
                for each in self.grade.elements
            ],
        }


def grade_systems(
    site: Site, catalogue: Catalogue, refs: list[SystemRef], profile: Profile, now: datetime
) -> list[SystemGrade]:
    """Return the grade of each system as of `now`. Raises Unreachable when the catalogue does not answer."""
    return [
        SystemGrade(ref, centre, grade(_observe(site, catalogue, ref, centre, now), profile))
        for ref in refs
        for centre in [_furthest(site, ref)]
    ]


def _furthest(site: Site, ref: SystemRef) -> str:
    here = site.centres["production"].location
    return max((str(each) for each in ref.copies), key=lambda each: here.distance_km(_centre(site, each).location))


def _centre(site: Site, name: str) -> Any:
    return {str(key): value for key, value in site.centres.items()}[name]


def _observe(site: Site, catalogue: Catalogue, ref: SystemRef, centre: str, now: datetime) -> Observed:
    mine = (t.points.c.tenant == ref.tenant.tenant) & (t.points.c.system == ref.name)
    here = (
        select(
            func.max(t.points.c.data_time),
            func.max(t.landings.c.proved_at),
            func.min(t.landings.c.landed_at),
        )
        .join(t.landings, t.landings.c.point_id == t.points.c.id)
        .where(mine & (t.landings.c.centre == centre))
    )
    with reading(catalogue) as db:
        newest, proved, first = db.execute(here).one()
        recent = here.with_only_columns(func.count()).where(t.landings.c.landed_at > now - WINDOW)
        landed = db.execute(recent).scalar_one()
    days = min(WINDOW, now - first) / timedelta(days=1) if first else 1.0
    place = _centre(site, centre)
    return Observed(
        centre=centre,
        distance_km=place.location.distance_km(site.centres["production"].location),
        newest_point_age=now - newest if newest else None,
        landed_a_day=landed / max(days, 1 / 24),
        proved_age=now - proved if proved else None,
        restore_test_every=ref.tier.schedule.restore_test_every,
        has_cloud=place.cloud is not None,
        drilled=_drilled(catalogue.drills(ref.tenant.tenant, ref.name, centre), now),
        switches_names=any(each.system == str(ref) for plan in site.plans.values() for each in plan.names.values()),
    )


def _drilled(drills: list[DrillRow], now: datetime) -> dict[str, timedelta]:
    """Return the age of the newest drill of each kind that met its objectives. A talk recovers nothing."""
    met = [each for each in reversed(drills) if each.verdict == "met" and each.kind != "tabletop"]
    return {each.kind: now - each.ended_at for each in met}
