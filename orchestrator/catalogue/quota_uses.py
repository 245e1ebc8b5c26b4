"""What tenants use of their quotas, as the catalogue knows it: of each centre, at the last look there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import patient, writing
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.store import Catalogue


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """What a tenant uses of one quota at a centre: MiB of `ram`, GiB of `gigabytes`, else a count. None: no limit."""

    tenant: str
    centre: str
    service: str
    resource: str
    used: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class QuotaUses:
    """All of them, and when each (tenant, centre) was seen."""

    uses: Sequence[QuotaUse]
    seen_at: Mapping[tuple[str, str], datetime]


@patient
def record_quota_uses(catalogue: Catalogue, centre: str, uses: Iterable[QuotaUse], moment: datetime) -> None:
    """Remember what was seen at a centre, in place of all that was seen there before. May be repeated."""
    rows = [
        {
            "tenant": each.tenant,
            "centre": centre,
            "service": each.service,
            "resource": each.resource,
            "used": each.used,
            "allowed": each.limit,
            "seen_at": moment,
        }
        for each in uses
    ]
    with writing(catalogue.engine) as db:
        db.execute(delete(t.quota_uses).where(t.quota_uses.c.centre == centre))
        if rows:
            db.execute(insert(t.quota_uses), rows)


def read_quota_uses(catalogue: Catalogue, tenant: str | None = None) -> QuotaUses:
    """Return what is known, of one tenant or of all. One query. Raises Unreachable."""
    query = select(t.quota_uses)
    if tenant is not None:
        query = query.where(t.quota_uses.c.tenant == tenant)
    with reading(catalogue) as db:
        rows = db.execute(query).all()
    uses = [QuotaUse(row.tenant, row.centre, row.service, row.resource, row.used, row.allowed) for row in rows]
    return QuotaUses(uses, {(row.tenant, row.centre): row.seen_at for row in rows})
