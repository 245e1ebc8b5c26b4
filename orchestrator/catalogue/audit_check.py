"""Reading the audit chain and holding it against itself, and against the rows that it tells of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Engine, RowMapping, func, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.audit import (
    Entry,
    attempt_body,
    canonical,
    content,
    digest_of,
    drill_body,
    link,
    read_head,
    read_root,
)
from orchestrator.catalogue.database import clock, looking
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.store import Catalogue

AT_ONCE = 1000

#: The kind of the entry that tells which runs were forgotten, with their attempts.
FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the chain, or what it tells of, is not as it was written."""

    number: int
    kind: str
    run: str | None
    what: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a walk along the chain found. `head` is the newest digest: the one to keep in other hands."""

    entries: int
    first: int
    last: int
    head: str
    oldest: datetime | None
    unsealed: int
    rows: int
    broken: Break | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """How far a walk that goes on time after time has come: to entry `number`, whose digest this is.

    `broken` is what is wrong there, and ends the walk; `whole_at` is when it last came to the end of the chain.
    """

    number: int
    digest: str
    broken: Break | None = None
    whole_at: datetime | None = None


@dataclass
class _Walk:
    number: int
    previous: str
    entries: int = 0
    rows: int = 0
    oldest: datetime | None = None
    #: How many attempts and drills of each run the chain tells of.
    told: dict[str, Counter[str]] = field(default_factory=lambda: {"attempt": Counter(), "drill": Counter()})
    #: Runs whose attempts the chain tells of and the catalogue has not.
    gone: dict[str, Break] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)


def check(catalogue: Catalogue, anchors: Mapping[int, str] | None = None) -> Checked:
    """Walk the whole chain, hold it against attempts and drills, and return what was found; the first fault ends it.

    `anchors` are digests by number that were kept elsewhere: entries up to them can have been changed by nobody.
    Raises Unreachable.
    """
    with reading(catalogue) as db:  # one state of it all, whatever is written meanwhile
        root, previous = read_root(db)
        walk = _Walk(root, previous)
        broken = _walk(db, walk, dict(anchors or {})) or _unexplained(db, walk) or _missing_anchor(walk, anchors or {})
        unsealed = db.execute(select(func.count()).select_from(t.audit).where(t.audit.c.number.is_(None))).scalar_one()
    return Checked(walk.entries, root + 1, walk.number, walk.previous, walk.oldest, unsealed, walk.rows, broken)


def walk_on(db: Connection, walked: Stretch | None) -> Stretch:
    """Return the walk after one stretch more, AT_ONCE entries at most; at the end of the chain it begins anew.

    The links alone are looked at: what entries tell of is for `check`. What was found broken is looked at again.
    """
    root, digest = read_root(db)
    whole_at = walked.whole_at if walked else None
    if walked is None or walked.number < root:  # what it stood at was let go meanwhile
        walked = Stretch(root, digest, whole_at=whole_at)
    walk = _Walk(walked.number, walked.digest)
    rows = db.execute(_next(walk.number)).mappings().all()
    for row in rows:
        if fault := _link_fault(walk, row, {}):
            return Stretch(
                walk.number, walk.previous, Break(walk.number + 1, row["kind"], row["run_id"], fault), whole_at
            )
        walk.number, walk.previous = row["number"], row["digest"]
    if len(rows) < AT_ONCE:
        return Stretch(root, digest, whole_at=clock(db))
    return Stretch(walk.number, walk.previous, whole_at=whole_at)


def entries(
    engine: Engine, *, first: int = 1, last: int | None = None, run: str | None = None, newest: int | None = None
) -> list[Entry]:
    """Return sealed entries in their order: from one number to another, of one run, or the newest so many."""
    query = select(t.audit).where(t.audit.c.number >= first)
    if last is not None:
        query = query.where(t.audit.c.number <= last)
    if run is not None:
        query = query.where(t.audit.c.run_id == run)
    query = query.order_by(t.audit.c.number.desc()).limit(newest) if newest else query.order_by(t.audit.c.number)
    with looking(engine) as db:
        found = [as_entry(row) for row in db.execute(query).mappings()]
    return sorted(found, key=lambda each: each.number)


def head(engine: Engine) -> tuple[int, str]:
    """Return number and digest of the newest sealed entry."""
    with looking(engine) as db:
        return read_head(db)


def before(engine: Engine, number: int) -> str | None:
    """Return the digest that an entry was bound to, None when it is not kept any more."""
    with looking(engine) as db:
        root, digest = read_root(db)
        if number - 1 <= root:
            return digest if number - 1 == root else None
        return db.execute(select(t.audit.c.digest).where(t.audit.c.number == number - 1)).scalar()


def as_entry(row: RowMapping) -> Entry:
    return Entry(row["number"], row["at"], row["kind"], row["run_id"], json.loads(row["body"]), row["digest"])


# --- the walk


def _walk(db: Connection, walk: _Walk, anchors: dict[int, str]) -> Break | None:
    while rows := db.execute(_next(walk.number)).mappings().all():
        for row in rows:
            if fault := _link_fault(walk, row, anchors):
                return Break(walk.number + 1, row["kind"], row["run_id"], fault)
            walk.number, walk.previous, walk.entries = row["number"], row["digest"], walk.entries + 1
            walk.oldest = walk.oldest or row["at"]
        if broken := _rows_fault(db, walk, rows):
            return broken
    return None


def _next(number: int) -> Any:
    return select(t.audit).where(t.audit.c.number > number).order_by(t.audit.c.number).limit(AT_ONCE)


def _link_fault(walk: _Walk, row: RowMapping, anchors: Mapping[int, str]) -> str | None:
    if row["number"] != walk.number + 1:
        return f"entry {walk.number + 1} is not there: the next is {row['number']}"
    algorithm = row["digest"].partition(":")[0]
    try:
        body = json.loads(row["body"])
    except ValueError:
        return "its body is no JSON"
    told = content(row["number"], row["at"], row["kind"], row["run_id"], body)
    if link(walk.previous, digest_of(algorithm, canonical(told))) != row["digest"]:
        return "its digest does not fit its content and the entry before it"
    if anchors.get(row["number"], row["digest"]) != row["digest"]:
        return f"its digest is not the one that was kept elsewhere: {anchors[row['number']]}"
    return None


def _rows_fault(db: Connection, walk: _Walk, rows: Sequence[RowMapping]) -> Break | None:
    """Hold entries against the rows that they tell of."""
    told: dict[tuple[str, int], tuple[RowMapping, dict[str, Any]]] = {}
    drills = []
    for row in rows:
        body = json.loads(row["body"])
        if row["kind"] == "attempt":
            told[(body["run"], body["id"])] = (row, body)
        elif row["kind"] == FORGOTTEN:
            walk.forgotten.update(body["runs"])
        elif row["kind"] == "drill":
            drills.append((row, body))
    return _attempts_fault(db, walk, told) or _drills_fault(db, walk, drills)


def _attempts_fault(
    db: Connection, walk: _Walk, told: Mapping[tuple[str, int], tuple[RowMapping, dict[str, Any]]]
) -> Break | None:
    wanted = select(t.attempts).where(t.attempts.c.id.in_([number for _, number in told]))
    found = {(row["run_id"], row["id"]): row for row in db.execute(wanted).mappings()}
    for key, (entry, body) in told.items():
        walk.told["attempt"][key[0]] += 1
        there = found.get(key)
        at = (entry["number"], entry["kind"], entry["run_id"])
        if there is None:
            walk.gone.setdefault(
                key[0], Break(*at, f"attempt {key[1]} of run {key[0]} is not in the catalogue any more")
            )
            continue
        walk.rows += 1
        algorithm = (body["detail"] or "sha256:").partition(":")[0]
        if there["ended_at"] is None or attempt_body(dict(there), algorithm) != body:
            return Break(*at, f"attempt {key[1]} ({body['step']}) was changed after it was written here")
    return None


def _drills_fault(db: Connection, walk: _Walk, told: Sequence[tuple[RowMapping, dict[str, Any]]]) -> Break | None:
    for entry, body in told:
        at = (entry["number"], entry["kind"], entry["run_id"])
        walk.told["drill"][body["id"]] += 1
        same = (t.drills.c.tenant == body["tenant"]) & (t.drills.c.system == body["system"])
        row = db.execute(select(t.drills).where((t.drills.c.id == body["id"]) & same)).mappings().one_or_none()
        if row is None:
            return Break(*at, f"the row of drill {body['id']}, {body['tenant']}/{body['system']}, is gone")
        walk.rows += 1
        if drill_body(dict(row)) != body:
            return Break(*at, f"the row of drill {body['id']}, {body['tenant']}/{body['system']}, was changed")
    return None


def _unexplained(db: Connection, walk: _Walk) -> Break | None:
    """A run that is gone was forgotten, and that was told; an attempt that is there was told as well."""
    for run, broken in walk.gone.items():
        if run not in walk.forgotten:
            return broken
    if walk.oldest is None:
        return None
    trimmed = db.execute(select(func.max(t.audit_roots.c.at))).scalar() or datetime.min.replace(tzinfo=UTC)
    for kind, table, which in (("attempt", t.attempts, t.attempts.c.run_id), ("drill", t.drills, t.drills.c.id)):
        unsealed = _by_run(db, t.audit.c.run_id, (t.audit.c.kind == kind) & t.audit.c.number.is_(None))
        told = walk.told[kind] + unsealed
        since = (table.c.ended_at >= walk.oldest) & (table.c.ended_at > trimmed)
        for name, count in _by_run(db, which, since).items():
            if count > told[name]:
                what = f"{count} {kind}s of run {name} are in the catalogue, and the chain tells of {told[name]}"
                return Break(walk.number, kind, name, what)
    return None


def _by_run(db: Connection, run: Column[Any], which: ColumnElement[bool]) -> Counter[str]:
    """Return how many such rows each run has."""
    rows = db.execute(select(run, func.count()).where(which).group_by(run))
    return Counter({row[0]: row[1] for row in rows})


def _missing_anchor(walk: _Walk, anchors: Mapping[int, str]) -> Break | None:
    late = [number for number in anchors if number > walk.number]
    if late:
        return Break(walk.number, "", None, f"the chain ends here, and entry {min(late)} was seen elsewhere")
    return None
