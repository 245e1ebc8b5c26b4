"""Reading the catalogue as it stands at one moment, without being in the way of those who write it.

Who only looks (the board, the metrics) reads through here. On SQLite each look opens the file anew and read-only: it
takes no write lock, it never makes a file, and it sees a catalogue that was put in the place of the one before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from urllib.parse import quote

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, select
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import Unreachable

SQLITE = "sqlite:///"
LOCK_WAIT_SECONDS = 3


@contextmanager
def reading(catalogue: Catalogue) -> Iterator[Connection]:
    """Yield a connection whose queries all see one state of the catalogue. Raises Unreachable."""
    try:
        with _reader(catalogue).connect() as db:
            yield db
    except SQLAlchemyError as error:
        raise Unreachable(
            f"the catalogue does not answer: {type(error).__name__}: {getattr(error, 'orig', error)}",
            hint="look at TRICENTER_DATABASE_URL, or at the state folder's permissions and free space",
        ) from error


def check_answers(catalogue: Catalogue) -> None:
    """Return when the catalogue answers a question. Raises Unreachable."""
    with reading(catalogue) as db:
        db.execute(select(t.schema.c.version)).one()


def _reader(catalogue: Catalogue) -> Engine:
    if catalogue.url.startswith(SQLITE):
        return _sqlite_reader(catalogue.url.removeprefix(SQLITE))
    return catalogue.engine.execution_options(isolation_level="REPEATABLE READ")


@cache
def _sqlite_reader(path: str) -> Engine:
    def connect() -> sqlite3.Connection:
        # No isolation level: Python would begin no transaction for a SELECT, and each would see a state of its own.
        return sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=LOCK_WAIT_SECONDS, isolation_level=None)

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN DEFERRED")

    return engine
