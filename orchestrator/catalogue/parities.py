"""The parity of each tenant at each centre, as it was at the last look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import patient, writing
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.store import Catalogue
from policies.parity import Parity

#: So many reasons are kept; the ratio counts all.
REASONS = 100


@dataclass(frozen=True, slots=True)
class ParityAt:
    """One row of it."""

    tenant: str
    centre: str
    ratio: float
    reasons: tuple[str, ...]
    seen_at: datetime


@patient
def record_parities(catalogue: Catalogue, centre: str, seen: Iterable[tuple[str, Parity]], moment: datetime) -> None:
    """Remember what was seen of these tenants at a centre. May be repeated."""
    rows = [
        {
            "tenant": tenant, "centre": centre, "ratio": each.ratio, "reasons": list(each.reasons[:REASONS]),
            "seen_at": moment,
        }
        for tenant, each in seen
    ]  # fmt: skip
    columns = t.parities.c
    with writing(catalogue.engine) as db:
        for row in rows:
            db.execute(delete(t.parities).where((columns.tenant == row["tenant"]) & (columns.centre == centre)))
        if rows:
            db.execute(insert(t.parities), rows)


@patient
def forget_parities(catalogue: Catalogue, centre: str, tenants: Iterable[str]) -> None:
    """Forget what was seen of tenants that are not judged any more. May be repeated."""
    columns = t.parities.c
    with writing(catalogue.engine) as db:
        db.execute(delete(t.parities).where((columns.centre == centre) & columns.tenant.in_(list(tenants))))


def read_parities(catalogue: Catalogue) -> Sequence[ParityAt]:
    """Return what is known, by tenant and centre. One query. Raises Unreachable."""
    query = select(t.parities).order_by(t.parities.c.tenant, t.parities.c.centre)
    with reading(catalogue) as db:
        rows = db.execute(query).all()
    return [ParityAt(row.tenant, row.centre, row.ratio, tuple(row.reasons), row.seen_at) for row in rows]
