"""Runs as a person looks at them: page by page, each with the step that it is at."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.records import AttemptRow, RunRow, RunState
from orchestrator.catalogue.rows import as_attempt, as_run
from orchestrator.catalogue.store import Catalogue


@dataclass(frozen=True, slots=True)
class Shown:
    """A run, and the last step that it began; None before its first."""

    run: RunRow
    step: str | None


@dataclass(frozen=True, slots=True)
class CleanupRow:
    """What a run takes away again; `done` once it is gone. With a host, only that machine can do it."""

    action: str
    arguments: dict[str, str]
    host: str | None
    done: bool


def list_runs(
    catalogue: Catalogue,
    *,
    states: Collection[RunState] = (),
    flow: str | None = None,
    subject: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[Shown]:
    """Return runs, the last asked for first; `before` is the last run of the page before. Raises Unreachable."""
    query = select(t.runs).order_by(t.runs.c.queued_at.desc(), t.runs.c.id.desc()).limit(limit)
    if states:
        query = query.where(t.runs.c.state.in_(states))
    if flow:
        query = query.where(t.runs.c.flow == flow)
    if subject:
        query = query.where(t.runs.c.subject == subject)
    if before:
        then = select(t.runs.c.queued_at).where(t.runs.c.id == before).scalar_subquery()
        query = query.where((t.runs.c.queued_at < then) | ((t.runs.c.queued_at == then) & (t.runs.c.id < before)))
    with reading(catalogue) as db:
        runs = [as_run(row) for row in db.execute(query).mappings()]
        steps = _last_steps(db, [run.id for run in runs])
    return [Shown(run, steps.get(run.id)) for run in runs]


def list_attempts(catalogue: Catalogue, run_id: str, *, after: int = 0, limit: int = 5000) -> list[AttemptRow]:
    """Return the run's attempts with numbers above `after`, in the order of their starts. Raises Unreachable."""
    query = (
        select(t.attempts)
        .where((t.attempts.c.run_id == run_id) & (t.attempts.c.id > after))
        .order_by(t.attempts.c.id)
        .limit(limit)
    )
    with reading(catalogue) as db:
        return [as_attempt(row) for row in db.execute(query).mappings()]


def list_cleanups(catalogue: Catalogue, run_id: str) -> list[CleanupRow]:
    """Return what the run registered to be taken away, in that order. Raises Unreachable."""
    query = select(t.cleanups).where(t.cleanups.c.run_id == run_id).order_by(t.cleanups.c.id)
    with reading(catalogue) as db:
        return [CleanupRow(row.action, row.arguments, row.host, row.done_at is not None) for row in db.execute(query)]


def _last_steps(db: Connection, runs: list[str]) -> dict[str, str]:
    last = select(func.max(t.attempts.c.id)).where(t.attempts.c.run_id.in_(runs)).group_by(t.attempts.c.run_id)
    query = select(t.attempts.c.run_id, t.attempts.c.step).where(t.attempts.c.id.in_(last))
    return {row.run_id: row.step for row in db.execute(query)}
