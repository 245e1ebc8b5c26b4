"""The audit chain: what was done, by whom, and how it ended, so that a later change is seen.

An entry is written in the transaction of the row that it tells of, so neither exists without the other. It is sealed a
moment later: entries get their numbers and digests in batches, by whoever comes first, one at a time, in the order in
which they were committed. So writers never wait for each other, and the chain cannot fork. Until then an entry is
*unsealed*, and every look at the chain says how many are.

    entry digest = H(canonical JSON of {at, body, kind, number, run})
    digest       = H(digest of the entry before + newline + entry digest)

A digest is written with its algorithm before it: `sha256:…`, `sm3:…`. Whoever knows one digest can tell later that
nothing up to it was changed, so the newest one belongs into other hands.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, bindparam, delete, insert, select, text, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import clock, looking, serialise, writing
from orchestrator.errors import InvalidInput, Unreachable

SEALING = 0x7472_6963_0004
AT_ONCE = 1000
SEAL_EVERY_SECONDS = 1.0

#: The columns of an attempt that are known before it is closed.
OF_ATTEMPT = (t.attempts.c.id, t.attempts.c.run_id, t.attempts.c.generation, t.attempts.c.step, t.attempts.c.started_at)

#: What stands before the first entry.
GENESIS = "tricenter"

_INSERT = insert(t.audit)
_SEAL = update(t.audit).where(t.audit.c.id == bindparam("which")).values(number=bindparam("n"), digest=bindparam("d"))


@dataclass(frozen=True, slots=True)
class Auditing:
    """How a process writes the chain: its algorithm, and the digest of the configuration that it works by."""

    digest: str = "sha256"
    configuration: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One sealed entry."""

    number: int
    at: datetime
    kind: str
    run: str | None
    body: Mapping[str, Any]
    digest: str

    @property
    def content(self) -> dict[str, Any]:
        """What the entry's digest is made of."""
        return content(self.number, self.at, self.kind, self.run, self.body)


_dump = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def canonical(value: Any) -> str:
    """Return JSON of one form: sorted keys, no spaces, ASCII. Read and written again it is the same. Pure."""
    return _dump(json.loads(json.dumps(value)))  # keys that are no text would be sorted as what they are


def digest_of(algorithm: str, value: str | bytes) -> str:
    """Return `ALGORITHM:HEX`. Raises InvalidInput where this machine does not have the algorithm."""
    try:
        made = hashlib.new(algorithm, value.encode() if isinstance(value, str) else value)
    except ValueError:
        raise InvalidInput(
            f"the digest {algorithm!r} is not available: this machine's OpenSSL does not have it",
            hint="audit: {digest: sha256} in site.yaml, or an OpenSSL of 1.1.1 or newer that was built with SM3",
        ) from None
    return f"{algorithm}:{made.hexdigest()}"


def link(previous: str, entry_digest: str) -> str:
    """Return the digest that binds an entry to all before it, in the entry's own algorithm. Pure."""
    algorithm = entry_digest.partition(":")[0]
    return digest_of(algorithm, f"{previous}\n{entry_digest}")


def content(number: int, at: datetime, kind: str, run: str | None, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an entry's digest is made of. Pure."""
    return {"number": number, "at": moment_text(at), "kind": kind, "run": run, "body": body}


def sealed_text(number: int, row: RowMapping) -> str:
    """Return the canonical JSON of an entry's content, whose body is canonical already. Pure."""
    at, kind, run = (_dump(each) for each in (moment_text(row["at"]), row["kind"], row["run_id"]))
    return f'{{"at":{at},"body":{row["body"]},"kind":{kind},"number":{number},"run":{run}}}'


def moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


# --- writing


def note(db: Connection, kind: str, run: str | None, moment: datetime, body: Mapping[str, Any]) -> None:
    """Write an entry, in the transaction of what it tells of."""
    db.execute(_INSERT, {"at": moment, "kind": kind, "run_id": run, "body": canonical(body)})


def note_attempt(
    db: Connection, row: RowMapping, moment: datetime, values: Mapping[str, Any], digest: str = "sha256"
) -> None:
    """Write an entry for an attempt that was just closed: the columns that it had, and the values that it was given."""
    note(db, "attempt", row["run_id"], moment, attempt_body({**row, "detail": None, **values}, digest))


def attempt_body(row: Mapping[str, Any], digest: str) -> dict[str, Any]:
    """Return what the chain keeps of an attempt; of its detail the digest. Pure."""
    detail = row["detail"]
    return {
        "id": row["id"],
        "run": row["run_id"],
        "generation": row["generation"],
        "step": row["step"],
        "started_at": moment_text(row["started_at"]),
        "ended_at": moment_text(row["ended_at"]),
        "outcome": str(row["outcome"]),
        "error_type": row["error_type"],
        "error": row["error"],
        "detail": None if detail is None else digest_of(digest, canonical(detail)),
    }


def note_drill(db: Connection, row: Mapping[str, Any]) -> None:
    """Write an entry for the row of a drill that ended, one for each of its systems."""
    note(db, "drill", row["id"], clock(db), drill_body(row))


def drill_body(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the chain keeps of a drill's row. Where its report lies is no part of it. Pure."""
    values = {key: value for key, value in row.items() if key not in ("report", "stages", "verdict")}
    plain = {key: moment_text(value) if isinstance(value, datetime) else value for key, value in values.items()}
    return {**plain, "stages": dict(row["stages"]), "verdict": str(row["verdict"])}


def note_ends(db: Connection, run_ids: Sequence[str], moment: datetime, auditing: Auditing | None = None) -> None:
    """Write an entry for each of these runs, which have just ended."""
    how = auditing or Auditing()
    for row in db.execute(select(t.runs).where(t.runs.c.id.in_(run_ids)).order_by(t.runs.c.id)).mappings():
        body = {
            "run": row["id"],
            **{name: row[name] for name in ("flow", "subject", "parent", "part", "reason", "requested_by")},
            **{name: row[name] for name in ("error_type", "error", "exit_code")},
            "state": str(row["state"]),
            "ended_at": moment_text(row["ended_at"]),
            "result": None if row["result"] is None else digest_of(how.digest, canonical(row["result"])),
            "configuration": how.configuration,
        }
        note(db, "run", row["id"], moment, body)


def note_configuration(engine: Engine, parts: Mapping[str, str], by: str, program: str) -> bool:
    """Write an entry when the configuration is another one than the last that was seen; return whether it is."""
    newest = select(t.audit.c.body).where(t.audit.c.kind == "config").order_by(t.audit.c.id.desc()).limit(1)
    with looking(engine) as db:
        if _same(db.execute(newest).scalar(), parts):
            return False
    with writing(engine) as db:
        if _same(db.execute(newest).scalar(), parts):
            return False
        note(db, "config", None, clock(db), {**parts, "by": by, "program": program})
        return True


def _same(known: str | None, parts: Mapping[str, str]) -> bool:
    return known is not None and parts.items() <= json.loads(known).items()


# --- sealing


def seal(engine: Engine, digest: str, *, wait: bool = False) -> int:
    """Seal what is not sealed and return how many entries that were.

    While another one is sealing, return at once; with `wait` when everything committed until now is sealed.
    Raises Unreachable, and InvalidInput where the digest is not available.
    """
    sealed = 0
    while True:
        done = _seal_some(engine, digest, wait)
        sealed += done
        if done < AT_ONCE:
            return sealed


class Sealer:
    """Seals for one process, and leaves to others what it does not come to. Safe to use from several threads."""

    def __init__(self, engine: Engine, digest: str) -> None:
        self._engine, self._digest, self._last = engine, digest, -SEAL_EVERY_SECONDS

    def now(self) -> None:
        """Seal what is not sealed. Raises nothing when the database is away: the entries wait."""
        self._last = time.monotonic()
        with suppress(Unreachable):
            seal(self._engine, self._digest)

    def soon(self) -> None:
        """Seal, unless that was done here a moment ago: so many runs that end at once are sealed in few batches."""
        if time.monotonic() > self._last + SEAL_EVERY_SECONDS:
            self.now()


def _seal_some(engine: Engine, digest: str, wait: bool) -> int:
    open_ones = select(t.audit).where(t.audit.c.number.is_(None)).order_by(t.audit.c.id).limit(AT_ONCE)
    with looking(engine) as db:  # on SQLite a look keeps nobody waiting
        if db.execute(open_ones.with_only_columns(t.audit.c.id).limit(1)).first() is None:
            return 0
    with writing(engine) as db:
        if not _alone(db, wait):
            return 0
        number, previous = read_head(db)
        changes = []
        for row in db.execute(open_ones).mappings():
            number += 1
            previous = link(previous, digest_of(digest, sealed_text(number, row)))
            changes.append({"which": row["id"], "n": number, "d": previous})
        if changes:
            db.execute(_SEAL, changes)
        return len(changes)


def _alone(db: Connection, wait: bool) -> bool:
    if wait or db.dialect.name != "postgresql":
        serialise(db, SEALING)
        return True
    return bool(db.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": SEALING}).scalar_one())


def read_head(db: Connection) -> tuple[int, str]:
    """Return number and digest of the newest sealed entry, or of what stands before the first."""
    known = select(t.audit.c.number, t.audit.c.digest).where(t.audit.c.number.is_not(None))
    newest = db.execute(known.order_by(t.audit.c.number.desc()).limit(1)).one_or_none()
    return (newest.number, newest.digest) if newest else read_root(db)


def read_root(db: Connection) -> tuple[int, str]:
    """Return number and digest of what stands before the oldest entry that is kept."""
    root = db.execute(select(t.audit_roots).order_by(t.audit_roots.c.number.desc()).limit(1)).one_or_none()
    return (root.number, root.digest) if root else (0, GENESIS)


# --- letting go


def trim(engine: Engine, before: datetime) -> int:
    """Let go of sealed entries from before then, and return how many. The digest of the last of them stays for good.

    What was let go is told in the chain itself. To be repeated while it returns anything.
    """
    oldest = select(t.audit.c.at).where(t.audit.c.number.is_not(None)).order_by(t.audit.c.number).limit(1)
    with looking(engine) as db:
        at = db.execute(oldest).scalar()
    if at is None or at >= before:
        return 0
    with writing(engine) as db:
        serialise(db, SEALING)
        sealed = select(t.audit).where(t.audit.c.number.is_not(None)).order_by(t.audit.c.number)
        gone = []
        for row in db.execute(sealed.limit(AT_ONCE)).mappings():
            if row["at"] >= before:
                break  # never a hole: what was committed late keeps what came after it
            gone.append(row)
        if not gone:
            return 0
        last, moment = gone[-1], clock(db)
        newest = max(row["at"] for row in gone)
        values = {"number": last["number"], "digest": last["digest"], "at": newest, "trimmed_at": moment}
        db.execute(insert(t.audit_roots).values(**values))
        db.execute(delete(t.audit).where(t.audit.c.number <= last["number"]))
        body = {"up_to": last["number"], "digest": last["digest"], "entries": len(gone)}
        note(db, "trimmed", None, moment, body)
        return len(gone)
