"""What clouds answered when they were asked about one tenant, so that not every look has to ask for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import patient, writing
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.store import Catalogue


@dataclass(frozen=True, slots=True)
class Remembered:
    """The answers about one tenant, the objects that they are about, and when a cloud last gave them."""

    tenant: str
    about: str
    answers: Mapping[str, Any]
    confirmed_at: datetime


@patient
def record_details(catalogue: Catalogue, centre: str, found: Sequence[Remembered]) -> None:
    """Remember answers in the place of earlier ones about the same tenants. May be repeated."""
    if not found:
        return
    rows = [
        {
            "tenant": each.tenant,
            "centre": centre,
            "about": each.about,
            "answers": dict(each.answers),
            "confirmed_at": each.confirmed_at,
        }
        for each in found
    ]
    columns = t.tenant_details.c
    mine = (columns.centre == centre) & columns.tenant.in_([each.tenant for each in found])
    with writing(catalogue.engine) as db:
        db.execute(delete(t.tenant_details).where(mine))
        db.execute(insert(t.tenant_details), rows)


@patient
def forget_details(catalogue: Catalogue, tenant: str, centre: str) -> None:
    """Forget the answers about a tenant at a centre, because they are about to become untrue. May be repeated."""
    columns = t.tenant_details.c
    with writing(catalogue.engine) as db:
        db.execute(delete(t.tenant_details).where((columns.tenant == tenant) & (columns.centre == centre)))


def read_details(catalogue: Catalogue, centre: str) -> dict[str, Remembered]:
    """Return what is remembered at a centre, by tenant. One query. Raises Unreachable."""
    with reading(catalogue) as db:
        rows = db.execute(select(t.tenant_details).where(t.tenant_details.c.centre == centre)).all()
    return {row.tenant: Remembered(row.tenant, row.about, row.answers, row.confirmed_at) for row in rows}
