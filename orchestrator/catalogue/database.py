"""How a catalogue's database is reached: URLs, engines, deadlines, its clock, and what its errors are told as.

A password stands in the URL and nowhere else: no message and no log has it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from orchestrator.errors import InvalidInput, Unreachable

BUSY_SECONDS = 30
AWAY = "does not answer"
POSTGRESQL_DRIVER = "postgresql+psycopg"
HINT = "look at TRICENTER_DATABASE_URL, or at the state folder's permissions and free space"

#: How a database that was cut off is noticed within some ten seconds, whether we wait for a connection or an answer.
POSTGRESQL_REACH: dict[str, Any] = {
    "application_name": "tricenter",
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
#: A process that was stopped or cut off in the middle of a transaction must not hold its locks against all others:
#: they take its runs over after 8 s of silence, and the lock under which they do that may be among those locks.
POSTGRESQL_PATIENCE = (
    "SET idle_in_transaction_session_timeout = '5s'",
    "SET lock_timeout = '30s'",
    "SET statement_timeout = '60s'",
)

#: What PostgreSQL says to who was thrown out by the first of these. To the driver it is an internal error.
TOO_LONG_IDLE = "25P03"

#: Does what may be repeated again while the database is away: one that is restarted is back within seconds.
patient = retry(
    retry=retry_if_exception_type(Unreachable),
    wait=wait_random_exponential(multiplier=0.1, max=2),
    stop=stop_after_delay(30),
    reraise=True,
)


def now() -> datetime:
    return datetime.now(UTC)


def read_url(url: str) -> URL:
    """Return a database's URL, with the driver that we use. Raises InvalidInput, which shows none of it."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise _unreadable() from None
    if parsed.drivername in ("postgresql", "postgres", POSTGRESQL_DRIVER):
        return parsed.set(drivername=POSTGRESQL_DRIVER)
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return parsed
    raise _unreadable()


def _unreadable() -> InvalidInput:
    return InvalidInput(
        "the URL of the catalogue's database cannot be read",
        hint="TRICENTER_DATABASE_URL is postgresql://USER:PASSWORD@HOST:PORT/DATABASE, where a special character of "
        "the password is written as %40 and the like, or sqlite:////PATH",
    )


def shown_url(url: str) -> str:
    """Return the URL without its password."""
    return read_url(url).render_as_string(hide_password=True)


def open_engine(url: str, *, foreign_keys: bool = True) -> Engine:
    """Return an engine on a SQLite file or a PostgreSQL database. It connects when it is used. Raises InvalidInput.

    SQLite: write-ahead log, foreign keys, and writers that wait for each other. PostgreSQL: a deadline for everything.
    """
    parsed = read_url(url)
    if parsed.get_backend_name() == "postgresql":
        return _postgresql(parsed)
    return _sqlite(parsed, foreign_keys=foreign_keys)


def _postgresql(url: URL) -> Engine:
    reach = {key: value for key, value in POSTGRESQL_REACH.items() if key not in url.query}
    engine = create_engine(url, pool_pre_ping=True, isolation_level="READ COMMITTED", connect_args=reach)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.autocommit = True
        connection.execute("; ".join(POSTGRESQL_PATIENCE))
        connection.autocommit = False

    return engine


def _sqlite(url: URL, *, foreign_keys: bool) -> Engine:
    try:
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unreachable(f"the catalogue's folder cannot be made: {error}", hint=HINT) from None
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # transactions begin where we say, in the handler below
        keys = "ON" if foreign_keys else "OFF"
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"foreign_keys={keys}"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and then writes must not find that another writer was faster.
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN IMMEDIATE"))

    return engine


@contextmanager
def answering(engine: Engine, trouble: str = AWAY) -> Iterator[None]:
    """Raise Unreachable where the database cannot be reached or used; it shows neither statement nor password."""
    try:
        yield
    except SQLAlchemyError as error:
        if not _is_the_databases(error):
            raise
        told = f"{type(error).__name__}: {getattr(error, 'orig', error)}"
        if engine.url.password:
            told = told.replace(str(engine.url.password), "…")
        raise Unreachable(f"the catalogue {trouble}: {' '.join(told.split())}", hint=HINT) from None


def _is_the_databases(error: SQLAlchemyError) -> bool:
    """Whether the database is in trouble, and not a statement of ours wrong. Of a broken file SQLite says no more."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout) or type(error) is DatabaseError:
        return True
    return getattr(getattr(error, "orig", None), "sqlstate", None) == TOO_LONG_IDLE


@contextmanager
def writing(engine: Engine, trouble: str = AWAY) -> Iterator[Connection]:
    """Yield a connection whose transaction is committed at the end. Raises Unreachable."""
    with answering(engine, trouble), engine.begin() as db:
        yield db


@contextmanager
def looking(engine: Engine, trouble: str = AWAY) -> Iterator[Connection]:
    """Yield a connection that only reads, which no writer holds up. Raises Unreachable."""
    with answering(engine, trouble), engine.execution_options(begin="BEGIN DEFERRED").connect() as db:
        yield db


def clock(db: Connection) -> datetime:
    """Return the time: the database's where several machines share it, this machine's where the file is its own."""
    if db.dialect.name == "postgresql":
        moment: datetime = db.execute(text("SELECT clock_timestamp()")).scalar_one()
        return moment.astimezone(UTC)
    return now()


def serialise(db: Connection, key: int) -> None:
    """Let one transaction at a time pass here, until it ends. On SQLite every writing transaction is alone anyway."""
    if db.dialect.name == "postgresql":
        db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
