"""Messages to runs: what a run that waits on a topic is sent, by whom. Approvals are such messages."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Engine, insert, select, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.audit import note
from orchestrator.catalogue.database import clock, writing
from orchestrator.catalogue.queue import locked
from orchestrator.errors import Refused


def wait_of(run_id: str, topic: str) -> ColumnElement[bool]:
    """Return the condition that picks the wait of a run on a topic."""
    return (t.waits.c.run_id == run_id) & (t.waits.c.topic == topic)


def send_message(engine: Engine, run_id: str, topic: str, message: Any, by: str) -> None:
    """Send a message, and write it into the audit chain. Raises UnknownName, and Refused when it cannot count."""
    with writing(engine) as db:
        if (row := locked(db, run_id)).state.ended:
            raise Refused(f"run {run_id} has ended: {row.state}", hint="there is nobody left to read a message")
        wait = wait_of(run_id, topic)
        known = db.execute(select(t.waits).where(wait)).one_or_none()
        moment = clock(db)
        values = {"message": message, "sent_at": moment, "sent_by": by}
        if known is None:
            db.execute(insert(t.waits).values(run_id=run_id, topic=topic, **values))
        elif known.sent_at is None:
            db.execute(update(t.waits).where(wait).values(**values))
        else:
            raise Refused(f"{topic} of run {run_id} was answered by {known.sent_by}", hint="one answer counts")
        note(db, "message", run_id, moment, {"run": run_id, "topic": topic, "message": message, "by": by})
