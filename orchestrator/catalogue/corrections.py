"""整改 corrections: what drills found wrong, who puts it right until when, and the later drill that showed it is right.

A finding is open, then done (somebody says so), then verified (a later drill of the same system at the same centre
looked at the same thing and found it right). One that is found again is open again. Every change is told in the audit
chain. Signatures of reports stand here as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, insert, select, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.audit import moment_text, note
from orchestrator.catalogue.database import clock, looking, patient, writing
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import Refused, UnknownName

#: How long a correction may take when nobody says otherwise.
DUE_AFTER = timedelta(days=30)

#: Who signs a report, in this order: 编制, 审核, 批准.
ROLES = ("prepared", "reviewed", "approved")


class State(StrEnum):
    OPEN = "open"
    DONE = "done"
    VERIFIED = "verified"


@dataclass(frozen=True, slots=True)
class Correction:
    """One finding. `drill` is where it was found first, `last_drill` last; `verified_by` the drill that cleared it."""

    id: int
    drill: str
    plan: str
    tenant: str
    system: str
    centre: str
    key: str
    zh: str
    en: str
    owner: str
    found_at: datetime
    due_at: datetime
    state: State
    last_drill: str
    closed_at: datetime | None
    closed_by: str | None
    note: str | None
    verified_at: datetime | None
    verified_by: str | None

    def as_json(self) -> dict[str, Any]:
        told = asdict(self)
        return {key: moment_text(value) if isinstance(value, datetime) else value for key, value in told.items()}


@dataclass(frozen=True, slots=True)
class Problem:
    """What a drill found wrong with a system; `key` names the same thing in every drill."""

    key: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What a drill found of one system: its problems, and the keys of what it looked at and found right."""

    drill: str
    plan: str
    tenant: str
    system: str
    centre: str
    owner: str
    ended_at: datetime
    problems: tuple[Problem, ...]
    right: frozenset[str]


@dataclass(frozen=True, slots=True)
class Signature:
    drill: str
    role: str
    person: str
    signed_at: datetime
    digest: str


@patient
def follow_up(catalogue: Catalogue, looked: Iterable[Looked]) -> None:
    """Bring the findings up to date with what a drill found. Repeating it changes nothing."""
    with writing(catalogue.engine) as db:
        for each in looked:
            known = {row.key: row for row in _of_system(db, each)}
            for problem in each.problems:
                _found(db, each, problem, known.get(problem.key))
            for key, row in known.items():
                if key in each.right and row.state is State.DONE and row.closed_at and row.closed_at < each.ended_at:
                    values = {"state": State.VERIFIED, "verified_at": each.ended_at, "verified_by": each.drill}
                    _change(db, row.id, values, each.drill)


def findings(
    catalogue: Catalogue,
    *,
    states: Collection[State] = tuple(State),
    drill: str | None = None,
    tenant: str | None = None,
    system: str | None = None,
) -> list[Correction]:
    """Return findings, the one that is due first coming first."""
    query = select(t.drill_findings).where(t.drill_findings.c.state.in_(list(states)))
    for column, value in ((t.drill_findings.c.tenant, tenant), (t.drill_findings.c.system, system)):
        if value:
            query = query.where(column == value)
    if drill:
        query = query.where((t.drill_findings.c.drill == drill) | (t.drill_findings.c.last_drill == drill))
    with looking(catalogue.engine) as db:
        rows = db.execute(query.order_by(t.drill_findings.c.due_at, t.drill_findings.c.id)).mappings()
        return [_as_correction(row) for row in rows]


def finding(catalogue: Catalogue, number: int) -> Correction:
    """Return one finding. Raises UnknownName."""
    with looking(catalogue.engine) as db:
        return _one(db, number)


def assign(catalogue: Catalogue, number: int, *, owner: str | None, due: datetime | None, by: str) -> Correction:
    """Set who answers for a finding, and until when. Raises UnknownName, and Refused for one that is not open."""
    with writing(catalogue.engine) as db:
        found = _one(db, number)
        if found.state is not State.OPEN:
            raise Refused(f"finding {number} is {found.state}", hint="only an open finding is assigned")
        values: dict[str, Any] = {key: value for key, value in (("owner", owner), ("due_at", due)) if value is not None}
        return _change(db, number, values, by)


def close(catalogue: Catalogue, number: int, *, note_text: str, by: str) -> Correction:
    """Say that a finding was put right, and how. A later drill verifies it. Raises UnknownName and Refused."""
    with writing(catalogue.engine) as db:
        found = _one(db, number)
        if found.state is not State.OPEN:
            raise Refused(f"finding {number} is {found.state} already", hint="tricenter finding show tells by whom")
        return _change(db, number, _closing(db, note_text, by), by)


def _closing(db: Connection, note_text: str, by: str) -> dict[str, Any]:
    return {"state": State.DONE, "closed_at": clock(db), "closed_by": by, "note": note_text}


def sign(catalogue: Catalogue, drill: str, role: str, person: str, digest: str) -> Signature:
    """Sign the report of a drill. Three roles, three persons; a signature is never taken back.

    Raises Refused when the role has signed, or the person has in another role, or another document was signed before.
    """
    with writing(catalogue.engine) as db:
        known = [Signature(**row) for row in db.execute(_signatures(drill)).mappings()]
        for each in known:
            if each.role == role:
                raise Refused(f"{drill} is signed as {role} by {each.person}", hint="a signature is not taken back")
            if each.person.partition("@")[0].casefold() == person.partition("@")[0].casefold():
                raise Refused(f"{person} signed {drill} as {each.role}", hint="three roles are three persons")
            if each.digest != digest:
                raise Refused(f"{each.person} signed another document of {drill}", hint="see: tricenter drill report")
        made = Signature(drill, role, person, clock(db), digest)
        db.execute(insert(t.drill_signatures).values(**asdict(made)))
        note(db, "signature", drill, made.signed_at, {**asdict(made), "signed_at": moment_text(made.signed_at)})
        return made


def signatures(catalogue: Catalogue, drill: str) -> list[Signature]:
    """Return who signed the report of a drill, in the order of the roles."""
    with looking(catalogue.engine) as db:
        known = {row["role"]: Signature(**row) for row in db.execute(_signatures(drill)).mappings()}
    return [known[role] for role in ROLES if role in known]


def _signatures(drill: str) -> Any:
    return select(t.drill_signatures).where(t.drill_signatures.c.drill == drill)


def _of_system(db: Connection, each: Looked) -> list[Correction]:
    """Return the newest finding of each key of a system at a centre."""
    table = t.drill_findings.c
    where = (table.tenant == each.tenant) & (table.system == each.system) & (table.centre == each.centre)
    rows = db.execute(select(t.drill_findings).where(where).order_by(table.id)).mappings()
    return list({row["key"]: _as_correction(row) for row in rows}.values())


def _found(db: Connection, each: Looked, problem: Problem, known: Correction | None) -> None:
    if known is None or (known.state is State.VERIFIED and each.drill != known.last_drill):
        if known and known.verified_at and each.ended_at <= known.verified_at:
            return  # told again of a drill that is older than the one which verified it
        place = {name: getattr(each, name) for name in ("drill", "plan", "tenant", "system", "centre", "owner")}
        due = each.ended_at + DUE_AFTER
        state = {"found_at": each.ended_at, "due_at": due, "state": State.OPEN, "last_drill": each.drill}
        made = db.execute(insert(t.drill_findings).values(**place, **asdict(problem), **state)).inserted_primary_key
        assert made
        _tell(db, made[0], each.drill)
    elif known.state is State.DONE and known.closed_at and each.ended_at > known.closed_at:
        again = {"state": State.OPEN, "last_drill": each.drill, "zh": problem.zh, "en": problem.en}
        _change(db, known.id, again, each.drill)
    elif known.state is State.OPEN and each.drill not in (known.drill, known.last_drill):
        _change(db, known.id, {"last_drill": each.drill, "zh": problem.zh, "en": problem.en}, each.drill)


def _change(db: Connection, number: int, values: Mapping[str, Any], by: str) -> Correction:
    db.execute(update(t.drill_findings).where(t.drill_findings.c.id == number).values(**values))
    return _tell(db, number, by)


def _tell(db: Connection, number: int, by: str) -> Correction:
    """Write a finding as it is now into the audit chain."""
    found = _one(db, number)
    note(db, "finding", found.last_drill, clock(db), {**found.as_json(), "by": by})
    return found


def _one(db: Connection, number: int) -> Correction:
    row = db.execute(select(t.drill_findings).where(t.drill_findings.c.id == number)).mappings().one_or_none()
    if row is None:
        newest = db.execute(select(t.drill_findings.c.id).order_by(t.drill_findings.c.id.desc()).limit(5)).scalars()
        raise UnknownName("finding", str(number), (str(each) for each in newest))
    return _as_correction(row)


def _as_correction(row: Mapping[Any, Any]) -> Correction:
    return Correction(**{**row, "state": State(row["state"])})
