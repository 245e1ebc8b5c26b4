"""A copy of the catalogue in a file of its own: what a lost one is brought back from, whatever database it was in.

All of one moment. What is only about processes that are at work (workers, limits, leases, waits, clean-ups) is left
out: nobody of them is there where the copy is used. Runs that were not at their end are interrupted in it.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, and_, delete, insert, select, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import now, open_engine, writing
from orchestrator.catalogue.migrating import prepare
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.records import RunState
from orchestrator.catalogue.store import Catalogue

AT_ONCE = 1000
OF_PROCESSES = frozenset(("schema", "workers", "run_slots", "waits", "lease_holders", "cleanups"))


def copy_catalogue(catalogue: Catalogue, target: Path) -> None:
    """Write the catalogue into the new SQLite file `target`. Raises Unreachable. A copy that was killed is no copy."""
    for each in target.parent.glob(f"{target.name}*"):
        each.unlink()
    engine = open_engine(f"sqlite:///{target}")
    try:
        prepare(engine)
        with reading(catalogue) as source, writing(engine) as sink:
            for table in t.metadata.sorted_tables:
                if table.name not in OF_PROCESSES:
                    rows = source.execution_options(yield_per=AT_ONCE).execute(select(table)).mappings()
                    for part in rows.partitions(AT_ONCE):
                        sink.execute(insert(table), [dict(row) for row in part])
            _interrupt(sink)
        with engine.connect() as db:  # one file, without a log beside it
            db.exec_driver_sql("ROLLBACK")
            db.exec_driver_sql("PRAGMA journal_mode=DELETE")
    finally:
        engine.dispose()


def _interrupt(db: Connection) -> None:
    still = t.runs.c.ended_at.is_(None)
    attempts = t.attempts.c
    undone = and_(attempts.ended_at.is_(None), attempts.run_id.in_(select(t.runs.c.id).where(still)))
    db.execute(delete(t.attempts).where(undone))
    ended = {"state": RunState.INTERRUPTED, "ended_at": now(), "worker": None, "error": "the catalogue was copied"}
    db.execute(update(t.runs).where(still).values(**ended))
