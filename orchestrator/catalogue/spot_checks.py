"""The last spot check of each system: when it was, of which point, and what was out of tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import insert, select, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import patient, writing
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.store import Catalogue
from policies.spot import Compared


@dataclass(frozen=True, slots=True)
class SpotCheck:
    """One spot check that came to its end."""

    tenant: str
    system: str
    point_id: str
    began_at: datetime
    ended_at: datetime
    sources: tuple[Compared, ...]

    @property
    def faults(self) -> list[str]:
        return [f"{each.source}: {fault}" for each in self.sources for fault in each.faults]


@patient
def record_spot_check(catalogue: Catalogue, done: SpotCheck) -> None:
    """Remember a spot check, instead of the one before. May be repeated."""
    key = (t.spot_checks.c.tenant == done.tenant) & (t.spot_checks.c.system == done.system)
    values = {
        "point_id": done.point_id,
        "began_at": done.began_at,
        "ended_at": done.ended_at,
        "faults": len(done.faults),
        "sources": [asdict(each) for each in done.sources],
    }
    with writing(catalogue.engine) as db:
        if not db.execute(update(t.spot_checks).where(key).values(**values)).rowcount:
            db.execute(insert(t.spot_checks).values(tenant=done.tenant, system=done.system, **values))


def last_spot_checks(catalogue: Catalogue) -> Sequence[SpotCheck]:
    """Return the last spot check of every system that had one."""
    with reading(catalogue) as db:
        return [
            SpotCheck(
                row.tenant,
                row.system,
                row.point_id,
                row.began_at,
                row.ended_at,
                tuple(Compared(**{**each, "faults": tuple(each["faults"])}) for each in row.sources),
            )
            for row in db.execute(select(t.spot_checks).order_by(t.spot_checks.c.tenant, t.spot_checks.c.system))
        ]
