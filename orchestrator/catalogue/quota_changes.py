"""Changes of tenants' quotas: asked, approved or rejected by somebody else, applied. What was stays as the history.

Each step is an entry of the audit chain, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from secrets import token_hex
from typing import Any, Literal

from sqlalchemy import Connection, insert, select, update

from orchestrator.catalogue import audit
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import looking, now, patient, serialise, writing
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import Refused, UnknownName
from orchestrator.person import same_person
from policies.quota_change import Difference, Edits

#: Names the lock under which changes of quotas change: a tenant has one open change at a time.
CHANGING = 0x7472_6963_0018

ChangeState = Literal["asked", "approved", "rejected", "applied"]
OPEN: tuple[ChangeState, ...] = ("asked", "approved")


@dataclass(frozen=True, slots=True)
class QuotaChange:
    """A change as it stands: what is written differently, the limits that this alters, and who says so."""

    id: str
    tenant: str
    edits: Edits
    differences: tuple[Difference, ...]
    state: ChangeState
    by: str
    at: datetime
    why: str
    decided_by: str | None = None
    decided_at: datetime | None = None
    message: str = ""
    applied_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        told = {key: each.isoformat() if isinstance(each, datetime) else each for key, each in asdict(self).items()}
        return {**told, "differences": [each._asdict() for each in self.differences]}


@patient
def ask_quota_change(
    catalogue: Catalogue, tenant: str, edits: Edits, differing: Sequence[Difference], by: str, why: str
) -> QuotaChange:
    """Store a change for somebody else to approve. Raises Refused when the tenant has an open one."""
    made = QuotaChange(token_hex(4), tenant, dict(edits), tuple(differing), "asked", by, now(), why)
    with writing(catalogue.engine) as db:
        serialise(db, CHANGING)
        for other in db.execute(_open().where(t.quota_changes.c.tenant == tenant)):
            raise Refused(
                f"{tenant} has an open change of its quota already: {other.id}",
                hint=f"apply it, or tricenter tenant quota reject {other.id} --reason …",
            )
        row = {**asdict(made), "differences": [list(each) for each in made.differences]}
        db.execute(insert(t.quota_changes).values(**row))
        _note(db, made, by, made.at)
    return made


@patient
def decide_quota_change(catalogue: Catalogue, change: str, state: ChangeState, by: str, message: str) -> QuotaChange:
    """Approve or reject a change. Raises Refused for an approval by who asked, and when it is too late.

    Rejecting is open to everybody, to who asked as well, until the change is applied.
    """
    moment = now()
    with writing(catalogue.engine) as db:
        serialise(db, CHANGING)
        before = _read(db, change)
        if state == "approved" and same_person(before.by, by):
            raise Refused(f"{by} asked for the change {change} and cannot approve it", hint="another person must")
        if before.state not in (OPEN if state == "rejected" else ("asked",)):
            raise Refused(f"the change {change} is {before.state} already", hint="tricenter tenant quota show")
        _set(db, change, state=state, decided_by=by, decided_at=moment, message=message)
        after = _read(db, change)
        _note(db, after, by, moment)
    return after


@patient
def mark_quota_change_applied(catalogue: Catalogue, change: str, by: str) -> None:
    """Remember that a change was carried out. May be repeated. Raises Refused for one that nobody approved."""
    moment = now()
    with writing(catalogue.engine) as db:
        serialise(db, CHANGING)
        before = _read(db, change)
        if before.state == "applied":
            return
        if before.state != "approved":
            raise Refused(f"the change {change} is {before.state}", hint="tricenter tenant quota approve")
        _set(db, change, state="applied", applied_at=moment)
        _note(db, _read(db, change), by, moment)


def read_quota_change(catalogue: Catalogue, change: str) -> QuotaChange:
    """Return a change. Raises UnknownName, Unreachable."""
    with looking(catalogue.engine) as db:
        return _read(db, change)


def read_quota_changes(
    catalogue: Catalogue, tenant: str | None = None, states: Sequence[ChangeState] | None = None
) -> list[QuotaChange]:
    """Return changes, the last first. Raises Unreachable."""
    query = select(t.quota_changes).order_by(t.quota_changes.c.at.desc(), t.quota_changes.c.id)
    if tenant is not None:
        query = query.where(t.quota_changes.c.tenant == tenant)
    if states is not None:
        query = query.where(t.quota_changes.c.state.in_(states))
    with looking(catalogue.engine) as db:
        return [_change(row) for row in db.execute(query)]


def _open() -> Any:
    return select(t.quota_changes.c.id).where(t.quota_changes.c.state.in_(OPEN))


def _read(db: Connection, change: str) -> QuotaChange:
    row = db.execute(select(t.quota_changes).where(t.quota_changes.c.id == change)).first()
    if row is None:
        raise UnknownName("change of a quota", change, [each.id for each in db.execute(_open())])
    return _change(row)


def _change(row: Any) -> QuotaChange:
    return QuotaChange(**{**row._mapping, "differences": tuple(Difference(*each) for each in row.differences)})


def _set(db: Connection, change: str, **values: Any) -> None:
    db.execute(update(t.quota_changes).where(t.quota_changes.c.id == change).values(**values))


def _note(db: Connection, change: QuotaChange, by: str, moment: datetime) -> None:
    told: dict[str, Any] = {"change": change.id, "tenant": change.tenant, "state": change.state, "by": by}
    if change.state == "asked":
        told |= {"why": change.why, "edits": dict(change.edits), "differences": [list(e) for e in change.differences]}
    if change.message:
        told["message"] = change.message
    audit.note(db, "quota-change", None, moment, told)
