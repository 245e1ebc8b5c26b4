"""The queue: runs that are asked for, in the order in which they come to their turn."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import Connection, Text, cast, func, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.records import Order, RunRow, RunState
from orchestrator.catalogue.rows import as_run, end_columns
from orchestrator.errors import UnknownName

#: The order in which queued runs come to their turn.
QUEUE_ORDER = (t.runs.c.priority, t.runs.c.deadline.nulls_last(), t.runs.c.queued_at, t.runs.c.id)


def queue(db: Connection, order: Order, run_id: str, moment: datetime) -> RunRow | None:
    """Queue a run, or return None when its place is taken: the index of open runs decides, whoever asks at once."""
    upsert = postgresql.insert if db.dialect.name == "postgresql" else sqlite.insert
    values = {
        "id": run_id,
        "flow": order.flow,
        "subject": order.subject,
        "arguments": dict(order.arguments),
        "slots": list(order.slots),
        "state": RunState.QUEUED,
        "priority": order.priority,
        "deadline": order.deadline,
        "not_before": order.not_before,
        "reason": order.reason,
        "requested_by": order.requested_by,
        "queued_at": moment,
        "generation": 0,
        "retry_of": order.retry_of,
        "parent": order.parent,
        "part": order.part,
    }
    made = db.execute(upsert(t.runs).values(**values).on_conflict_do_nothing().returning(t.runs)).mappings().first()
    return as_run(made) if made else None


def first_claimable(
    db: Connection,
    moment: datetime,
    full: Iterable[str],
    *,
    run_id: str | None,
    parent: str | None,
    flows: Collection[str] | None,
) -> str | None:
    """Return the first queued run whose time has come and which takes none of the full slots."""
    query = select(t.runs.c.id).where(t.runs.c.state == RunState.QUEUED).order_by(*QUEUE_ORDER).limit(1)
    query = query.where(t.runs.c.not_before.is_(None) | (t.runs.c.not_before <= moment))
    for slot in full:
        query = query.where(cast(t.runs.c.slots, Text).not_like(f'%"{slot}"%'))
    if run_id is not None:
        query = query.where(t.runs.c.id == run_id)
    if parent is not None:
        query = query.where(t.runs.c.parent == parent)
    if flows is not None:
        query = query.where(t.runs.c.flow.in_(flows))
    return db.execute(query).scalar()


def take(db: Connection, run_id: str, worker_id: str, moment: datetime) -> bool:
    """Make a queued run the worker's. False when somebody has just ended it."""
    values = {
        "state": RunState.RUNNING,
        "worker": worker_id,
        "generation": t.runs.c.generation + 1,
        "started_at": func.coalesce(t.runs.c.started_at, literal(moment, t.UtcTime())),
        **end_columns(None),
    }
    queued = (t.runs.c.id == run_id) & (t.runs.c.state == RunState.QUEUED)
    return db.execute(update(t.runs).where(queued).values(**values)).rowcount == 1


def locked(db: Connection, run_id: str) -> RunRow:
    """Return a run, which nobody else changes until this transaction ends. Raises UnknownName."""
    query = select(t.runs).where(t.runs.c.id == run_id).with_for_update(key_share=True)
    row = db.execute(query).mappings().one_or_none()
    if row is None:
        raise UnknownName("run", run_id, ())
    return as_run(row)
