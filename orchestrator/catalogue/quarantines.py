"""What centres had when they returned: kept in a vault beside the recovery points, and none of them.

Nothing that looks for recovery points looks here, so what is in quarantine never counts for an exposure, is never
restored by a plan and never expires by a tier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, insert, select, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import looking, now, patient, writing
from orchestrator.catalogue.records import SourceCopy
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import UnknownName


@dataclass(frozen=True, slots=True)
class Quarantine:
    """What a centre had of a system when it returned. `id` is the run that took it.

    `epoch` is the one that had moved the system away. `summary` says how it differs from the recovery point
    `compared_with`; None: not compared, and `note` says why.
    """

    id: str
    tenant: str
    system: str
    taken_from: str
    centre: str
    epoch: int
    data_time: datetime
    finished_at: datetime
    bytes: int
    document: str
    sources: tuple[SourceCopy, ...]
    compared_with: str | None = None
    summary: Mapping[str, Any] | None = None
    compared_at: datetime | None = None
    note: str | None = None

    @property
    def name(self) -> str:
        return f"{self.tenant}/{self.system}"


@patient
def add_quarantine(catalogue: Catalogue, found: Quarantine) -> None:
    """Record what was taken. Recording it again changes nothing."""
    values = {c.name: getattr(found, c.name) for c in t.quarantines.c if c.name not in ("sources", "summary")}
    with writing(catalogue.engine) as db:
        if db.execute(select(t.quarantines.c.id).where(_is(found))).first() is None:
            sources = [each.as_json() for each in found.sources]
            db.execute(insert(t.quarantines).values(**values, sources=sources, summary=found.summary))


@patient
def set_summary(
    catalogue: Catalogue, found: Quarantine, point: str | None, summary: Mapping[str, Any] | None, note: str | None
) -> None:
    """Remember how what was taken differs from a recovery point, or why that is not known. May be repeated."""
    values = {"compared_with": point, "summary": summary, "note": note, "compared_at": now()}
    with writing(catalogue.engine) as db:
        db.execute(update(t.quarantines).where(_is(found)).values(**values))


@patient
def list_quarantines(catalogue: Catalogue, system: str | None = None) -> list[Quarantine]:
    """Return what is in quarantine, the newest first; of one system (TENANT/SYSTEM) when it is named."""
    query = select(t.quarantines).order_by(t.quarantines.c.finished_at.desc(), t.quarantines.c.system)
    with looking(catalogue.engine) as db:
        found = [_as_quarantine(row) for row in db.execute(query).mappings()]
    return [each for each in found if system is None or each.name == system]


def find_quarantine(catalogue: Catalogue, name: str, system: str | None = None) -> list[Quarantine]:
    """Return what one run took, of all systems or of one. Raises UnknownName."""
    every = list_quarantines(catalogue, system)
    found = [each for each in every if each.id == name]
    if not found:
        raise UnknownName("quarantine", name, {each.id for each in every})
    return found


def _is(found: Quarantine) -> Any:
    columns = t.quarantines.c
    return (columns.id == found.id) & (columns.tenant == found.tenant) & (columns.system == found.system)


def _as_quarantine(row: RowMapping) -> Quarantine:
    sources = tuple(SourceCopy.from_json(each) for each in row["sources"])
    return Quarantine(**{**row, "sources": sources})
