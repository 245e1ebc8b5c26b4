"""How tenants stand, as the catalogue knows it. Each change is an entry of the audit chain, in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from orchestrator.catalogue import audit
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import looking, now, patient, serialise, writing
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import Refused
from policies.life import APPLIED, LifeState, may_follow

#: Names the lock under which lives change: two steps at once would both find the state before.
LIVING = 0x7472_6963_0013


@dataclass(frozen=True, slots=True)
class Life:
    """How a tenant stands since when, by whom and why; `until` is the end of its quarantine."""

    tenant: str
    state: LifeState
    since: datetime
    by: str
    reason: str
    until: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        times = {"since": self.since.isoformat(), "until": self.until.isoformat() if self.until else None}
        return {"tenant": self.tenant, "state": str(self.state), "by": self.by, "reason": self.reason, **times}


@patient
def change_life(catalogue: Catalogue, life: Life) -> None:
    """Remember how a tenant stands now. May be repeated. Raises Refused when that cannot follow what was before."""
    with writing(catalogue.engine) as db:
        serialise(db, LIVING)
        before = _read(db, life.tenant)
        state = before.state if before else LifeState.ACTIVE
        if not may_follow(state, life.state):
            raise Refused(
                f"{life.tenant} is {state}: it cannot be {life.state} next", hint="tricenter tenant offboard status"
            )
        db.execute(delete(t.tenant_lives).where(t.tenant_lives.c.tenant == life.tenant))
        if life.state is not LifeState.ACTIVE:
            db.execute(insert(t.tenant_lives).values(**_row(life)))
        digest = {"digest": life.details["digest"]} if "digest" in life.details else {}
        audit.note(db, "tenant-life", None, life.since, {**life.as_json(), "before": str(state), **digest})


def read_life(catalogue: Catalogue, tenant: str) -> Life | None:
    """Return how a tenant stands; None for one that is simply in use. Raises Unreachable."""
    with looking(catalogue.engine) as db:
        return _read(db, tenant)


def read_lives(catalogue: Catalogue) -> dict[str, Life]:
    """Return the tenants that are not simply in use. Raises Unreachable."""
    with looking(catalogue.engine) as db:
        return {row.tenant: _life(row) for row in db.execute(select(t.tenant_lives).order_by(t.tenant_lives.c.tenant))}


def not_applied(catalogue: Catalogue) -> dict[str, LifeState]:
    """Return the tenants that no apply may change now, and why. Raises Unreachable."""
    return {name: life.state for name, life in read_lives(catalogue).items() if life.state not in APPLIED}


def _read(db: Connection, tenant: str) -> Life | None:
    row = db.execute(select(t.tenant_lives).where(t.tenant_lives.c.tenant == tenant)).first()
    return _life(row) if row else None


def _life(row: Any) -> Life:
    return Life(row.tenant, LifeState(row.state), row.since, row.by, row.reason, row.until, row.details)


def _row(life: Life) -> dict[str, Any]:
    return {
        "tenant": life.tenant, "state": str(life.state), "since": life.since, "by": life.by,
        "reason": life.reason, "until": life.until, "details": dict(life.details),
    }  # fmt: skip


@patient
def note_orphans(catalogue: Catalogue, removed: Sequence[Mapping[str, Any]], by: str, left: Sequence[str]) -> None:
    """Write into the audit chain which orphans somebody had deleted, and which the clouds kept."""
    with writing(catalogue.engine) as db:
        body = {"by": by, "removed": [dict(each) for each in removed], "left": list(left)}
        audit.note(db, "orphans-removed", None, now(), body)
