"""How many tenants stand how, and what waits for somebody: counted, for the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.store import Catalogue
from policies.life import LifeState


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many wait, the first of them since then."""

    count: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Tenants that are not simply in use, by name; and what waits, by what it is and whether it was approved."""

    lives: Mapping[str, LifeState]
    waiting: Mapping[tuple[str, str], Waiting]


def read_standing(catalogue: Catalogue) -> Standing:
    """Return how tenants stand. Three queries, none of which reads a document. Raises Unreachable."""
    with reading(catalogue) as db:
        known = db.execute(select(t.tenant_lives.c.tenant, t.tenant_lives.c.state))
        lives = {row.tenant: LifeState(row.state) for row in known}
        waiting = {}
        for what, table in (("request", t.tenant_requests), ("quota", t.quota_changes)):
            query = select(table.c.state, func.count(), func.min(table.c.at)).group_by(table.c.state)
            counted = {state: Waiting(count, since) for state, count, since in db.execute(query)}
            for state in ("asked", "approved"):
                waiting[what, state] = counted.get(state, Waiting(0, None))
    return Standing(lives, waiting)
