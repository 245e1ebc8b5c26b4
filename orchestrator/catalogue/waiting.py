"""What runs wait for now: a person's answer to a topic, or room in their slots."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from orchestrator.catalogue import slots
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import clock
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.records import AttemptRow, RunRow
from orchestrator.catalogue.rows import as_attempt, as_run
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import UnknownName
from policies.limits import Limits


@dataclass(frozen=True, slots=True)
class OpenWait:
    """A run that waits for an answer, and since when."""

    run_id: str
    topic: str
    began_at: datetime


@dataclass(frozen=True, slots=True)
class Looked:
    """A run with its parts, as one look at the catalogue showed them. `attempts` are those that the look asked for."""

    run: RunRow
    parts: tuple[RunRow, ...]
    attempts: tuple[AttemptRow, ...]
    waits: tuple[OpenWait, ...]
    full: frozenset[str]
    now: datetime


def look(catalogue: Catalogue, run_id: str, limits: Limits, after: int = 0) -> Looked:
    """Return a run, its parts, their attempts with a higher number than `after`, and what they wait for.

    All of one moment, and in the way of nobody who writes. Raises UnknownName, Unreachable.
    """
    with reading(catalogue) as db:
        family = (t.runs.c.id == run_id) | (t.runs.c.parent == run_id)
        rows = db.execute(select(t.runs).where(family).order_by(t.runs.c.queued_at, t.runs.c.part)).mappings()
        found = {row["id"]: as_run(row) for row in rows}
        if run_id not in found:
            newest = select(t.runs.c.id).where(t.runs.c.flow == "drill").order_by(t.runs.c.queued_at.desc()).limit(5)
            raise UnknownName("run", run_id, db.execute(newest).scalars())
        run = found.pop(run_id)
        attempts = select(t.attempts).where(t.attempts.c.run_id.in_([run_id, *found]) & (t.attempts.c.id > after))
        return Looked(
            run=run,
            parts=tuple(found.values()),
            attempts=tuple(as_attempt(row) for row in db.execute(attempts.order_by(t.attempts.c.id)).mappings()),
            waits=tuple(
                OpenWait(row.run_id, row.topic, row.began_at)
                for row in db.execute(select(t.waits).where(t.waits.c.run_id.in_([run_id, *found])))
                if row.sent_at is None and row.began_at and _waits(run, found, row.run_id, row.topic)
            ),
            full=frozenset(slots.read_use(db, clock(db)).full(limits)),
            now=clock(db),
        )


def _waits(run: RunRow, parts: dict[str, RunRow], run_id: str, topic: str) -> bool:
    return (parts.get(run_id) or run).waiting_for == topic


def waiting_slots(row: RunRow, full: Collection[str]) -> tuple[str, ...]:
    """Return the slots without room that a queued run waits for. Pure."""
    return tuple(slot for slot in row.slots if slot in full)
