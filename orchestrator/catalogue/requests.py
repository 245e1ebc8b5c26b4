"""Bureaus' requests in the catalogue: asked, then approved or rejected by somebody else, then applied and handed over.

Each change is an entry of the audit chain, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

#: Names the lock under which requests change: two may not take one name at once.
REQUESTING = 0x7472_6963_0017

RequestState = Literal["asked", "approved", "rejected", "applied"]
#: Requests that hold their names and addresses. Those of an applied one are the site's.
OPEN: tuple[RequestState, ...] = ("asked", "approved")


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request as it stands. `document` holds no secret."""

    id: str
    tenant: str
    document: Mapping[str, Any]
    state: RequestState
    by: str
    at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str = ""
    applied_at: datetime | None = None
    handed_over_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        return {key: each.isoformat() if isinstance(each, datetime) else each for key, each in asdict(self).items()}


@patient
def submit_requests(catalogue: Catalogue, documents: Sequence[Mapping[str, Any]], by: str) -> list[StoredRequest]:
    """Store requests, all or none. Raises Refused when an open one has the name already."""
    moment = now()
    made = [StoredRequest(token_hex(4), str(each["tenant"]), each, "asked", by, moment) for each in documents]
    with writing(catalogue.engine) as db:
        serialise(db, REQUESTING)
        open_ones = {row.tenant: row.id for row in db.execute(_open())}
        if clash := [each.tenant for each in made if each.tenant in open_ones]:
            raise Refused(
                f"{clash[0]} is asked for already, by the request {open_ones[clash[0]]}",
                hint="tricenter tenant request list",
            )
        if made:
            db.execute(insert(t.tenant_requests), [asdict(each) for each in made])
        for each in made:
            _note(db, each, by, moment)
    return made


@patient
def decide_request(catalogue: Catalogue, request: str, state: RequestState, by: str, reason: str) -> StoredRequest:
    """Approve or reject a request. Raises Refused for who submitted it, and when it was decided already."""
    moment = now()
    with writing(catalogue.engine) as db:
        serialise(db, REQUESTING)
        before = _read(db, request)
        if same_person(before.by, by):
            raise Refused(
                f"{by} submitted the request {request} and cannot decide it as well", hint="another person must"
            )
        if before.state != "asked":
            raise Refused(f"the request {request} is {before.state} already", hint="tricenter tenant request show")
        _set(db, request, state=state, decided_by=by, decided_at=moment, reason=reason)
        after = _read(db, request)
        _note(db, after, by, moment)
    return after


@patient
def mark_applied(catalogue: Catalogue, request: str, by: str) -> None:
    """Remember that a request was carried out. May be repeated. Raises Refused for one that nobody approved."""
    moment = now()
    with writing(catalogue.engine) as db:
        serialise(db, REQUESTING)
        before = _read(db, request)
        if before.state == "applied":
            return
        if before.state != "approved":
            raise Refused(f"the request {request} is {before.state}", hint="tricenter tenant request approve")
        _set(db, request, state="applied", applied_at=moment)
        _note(db, _read(db, request), by, moment)


@patient
def mark_handed_over(catalogue: Catalogue, request: str, by: str, members: Sequence[str]) -> None:
    """Remember that the first passwords of members were handed over, once. Raises Refused for a second time."""
    moment = now()
    with writing(catalogue.engine) as db:
        serialise(db, REQUESTING)
        before = _read(db, request)
        if before.handed_over_at is not None:
            raise Refused(f"{before.tenant} was handed over at {before.handed_over_at:%Y-%m-%d %H:%M} UTC")
        _set(db, request, handed_over_at=moment)
        _note(db, _read(db, request), by, moment, members=list(members))


def read_request(catalogue: Catalogue, request: str) -> StoredRequest:
    """Return a request. Raises UnknownName, Unreachable."""
    with looking(catalogue.engine) as db:
        return _read(db, request)


def read_requests(catalogue: Catalogue, states: Sequence[RequestState] | None = None) -> list[StoredRequest]:
    """Return requests, the last first. Raises Unreachable."""
    query = select(t.tenant_requests).order_by(t.tenant_requests.c.at.desc(), t.tenant_requests.c.tenant)
    if states is not None:
        query = query.where(t.tenant_requests.c.state.in_(states))
    with looking(catalogue.engine) as db:
        return [StoredRequest(**row._mapping) for row in db.execute(query)]


def _open() -> Any:
    return select(t.tenant_requests.c.tenant, t.tenant_requests.c.id).where(t.tenant_requests.c.state.in_(OPEN))


def _read(db: Connection, request: str) -> StoredRequest:
    row = db.execute(select(t.tenant_requests).where(t.tenant_requests.c.id == request)).first()
    if row is None:
        raise UnknownName("request", request, [each.id for each in db.execute(_open())])
    return StoredRequest(**row._mapping)


def _set(db: Connection, request: str, **values: Any) -> None:
    db.execute(update(t.tenant_requests).where(t.tenant_requests.c.id == request).values(**values))


def _note(db: Connection, request: StoredRequest, by: str, moment: datetime, **more: Any) -> None:
    told = {"request": request.id, "tenant": request.tenant, "state": request.state, "by": by, **more}
    if request.state == "asked":
        told["document"] = request.document
    if request.reason:
        told["reason"] = request.reason
    audit.note(db, "tenant-request", None, moment, told)
