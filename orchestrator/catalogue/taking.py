"""Taking runs from workers: from those that died, and from those that stop.

A dead worker's runs go back to the queue, where another one takes them over. Nobody can take over what ran inside a
command: that run is ended as interrupted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, delete, select, update

from orchestrator.catalogue import slots
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.audit import OF_ATTEMPT, note_attempt, note_ends
from orchestrator.catalogue.database import clock, looking, serialise, writing
from orchestrator.catalogue.records import HELD, Outcome, RunRow, RunState, WorkerRow
from orchestrator.catalogue.rows import as_run, as_worker, end_columns
from orchestrator.errors import Interrupted
from orchestrator.process import started_at

#: Names the lock under which slots are counted and taken, and runs are taken from workers.
CLAIMING = 0x7472_6963_0001

ONE_SHOT = "one-shot"


def reap_workers(engine: Engine, host: str, silence: timedelta) -> list[RunRow]:
    """Remove dead workers and return the runs of one-shots that were interrupted by it."""
    with looking(engine) as db:  # nearly always all live, and nobody is held up by a look
        if not _dead(db, host, silence):
            return []
    with writing(engine) as db:
        serialise(db, CLAIMING)
        return take_from(db, _dead(db, host, silence), clock(db))


def _dead(db: Connection, host: str, silence: timedelta) -> list[WorkerRow]:
    workers, moment = [as_worker(row) for row in db.execute(select(t.workers)).mappings()], clock(db)
    return [
        each
        for each in workers
        if each.beat_at < moment - silence or (each.host == host and started_at(each.pid) != each.pid_started)
    ]


def take_from(db: Connection, workers: Sequence[WorkerRow], moment: datetime) -> list[RunRow]:
    """Remove workers and take their runs from them; return those that are interrupted by it. Under the lock."""
    held: defaultdict[str, list[str]] = defaultdict(list)
    query = select(t.runs.c.worker, t.runs.c.id).where(t.runs.c.state.in_(HELD)).with_for_update(key_share=True)
    for worker, run_id in db.execute(query.where(t.runs.c.worker.in_([each.id for each in workers]))):
        held[worker].append(run_id)
    interrupted: list[str] = []
    for each in workers:
        db.execute(delete(t.workers).where(t.workers.c.id == each.id))
        if each.kind == ONE_SHOT:
            _interrupt(db, held[each.id], each, moment)
            interrupted += held[each.id]
        else:
            give_back(db, held[each.id], moment)
    rows = db.execute(select(t.runs).where(t.runs.c.id.in_(interrupted)))
    return [as_run(row) for row in rows.mappings()]


def give_back(db: Connection, run_ids: Sequence[str], moment: datetime) -> None:
    """Queue runs again, at the place that they had."""
    values = {"state": RunState.QUEUED, "worker": None, "waiting_for": None}
    db.execute(update(t.runs).where(t.runs.c.id.in_(run_ids)).values(**values))
    slots.release(db, run_ids, moment)
    close_attempts(db, run_ids, moment)


def _interrupt(db: Connection, run_ids: Sequence[str], worker: WorkerRow, moment: datetime) -> None:
    told = Interrupted(
        f"the command that ran it has ended (pid {worker.pid} on {worker.host})", hint="run the same command again"
    )
    values = {"state": RunState.INTERRUPTED, "ended_at": moment, "waiting_for": None, **end_columns(told)}
    db.execute(update(t.runs).where(t.runs.c.id.in_(run_ids)).values(**values))
    slots.release(db, run_ids, moment)
    close_attempts(db, run_ids, moment)
    note_ends(db, run_ids, moment)


def close_attempts(db: Connection, run_ids: Iterable[str], moment: datetime) -> None:
    """Close the attempts that are still open as interrupted, now that their end is established."""
    still = t.attempts.c.run_id.in_(list(run_ids)) & (t.attempts.c.outcome == Outcome.STARTED)
    values = {"outcome": Outcome.INTERRUPTED, "ended_at": moment, "error_type": None, "error": None}
    for row in db.execute(update(t.attempts).where(still).values(**values).returning(*OF_ATTEMPT)).mappings().all():
        note_attempt(db, row, moment, values)
