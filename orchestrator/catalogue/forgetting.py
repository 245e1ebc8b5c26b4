"""Dropping what ended long ago: runs with their evidence. What a drill proved is never dropped.

The audit chain goes on telling of them for as long as it is kept, which is longer.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, delete, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.audit import note
from orchestrator.catalogue.database import clock, writing

DRILL = "drill"

#: Few enough that nobody waits long for the lock of a SQLite file.
AT_ONCE = 500


def forget_runs(engine: Engine, before: datetime, at_most: int) -> int:
    """Drop the runs that ended before then, some at a time and no more than `at_most`; return how many."""
    open_cleanups = select(t.cleanups.c.run_id).where(t.cleanups.c.done_at.is_(None))
    old = (
        select(t.runs.c.id)
        .where((t.runs.c.ended_at < before) & (t.runs.c.flow != DRILL))
        .where(t.runs.c.id.not_in(select(t.drills.c.id)) & t.runs.c.id.not_in(open_cleanups))
        .where(t.runs.c.parent.is_(None))  # parts of a drill are its evidence
        .limit(AT_ONCE)
    )
    dropped = 0
    while dropped < at_most:
        with writing(engine) as db:
            ids = list(db.execute(old).scalars())
            for table in (t.attempts, t.cleanups, t.run_slots, t.waits):
                db.execute(delete(table).where(table.c.run_id.in_(ids)))
            db.execute(delete(t.runs).where(t.runs.c.id.in_(ids)))
            if ids:  # what the audit chain tells of them outlives them
                note(db, "forgotten", None, clock(db), {"runs": sorted(ids)})
        dropped += len(ids)
        if len(ids) < AT_ONCE:
            break
    return dropped
