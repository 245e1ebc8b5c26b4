"""The version of a catalogue's tables: an empty database gets the newest, an older one is brought there on request.

The steps are alembic's, one file each under `migrations/versions`. All of them and the new version are one
transaction, on SQLite too; a process that is killed in it has changed nothing. Two who start at once do it once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, insert, inspect, select, text, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import looking, open_engine, serialise, writing
from orchestrator.errors import InvalidInput

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATING = 0x7472_6963_0002
CANNOT_OPEN = "cannot be opened"
UPGRADE_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the tables, and the version that it leads to."""

    version: int
    what: str


def prepare(engine: Engine) -> None:
    """Return when the tables are there and of this program's version; an empty database gets them.

    Raises InvalidInput for tables of another version, and Unreachable.
    """
    found = read_version(engine)
    if found is None:
        upgrade(engine)
    elif found < t.SCHEMA_VERSION:
        raise InvalidInput(
            f"the catalogue's tables have version {found}; this program works with {t.SCHEMA_VERSION}",
            hint="end what works on it, then: tricenter db upgrade",
        )
    else:
        refuse_newer(found)


def read_version(engine: Engine) -> int | None:
    """Return the version of the tables, None when there are none. Raises Unreachable."""
    if engine.dialect.name == "sqlite" and not Path(engine.url.database or "").exists():
        return None  # a look must not make the file
    with looking(engine, CANNOT_OPEN) as db:
        return _version(db)


def refuse_newer(found: int) -> None:
    """Raise InvalidInput when the tables are of a version that this program does not know."""
    if found > t.SCHEMA_VERSION:
        raise InvalidInput(
            f"the catalogue's tables have version {found}; this program knows {t.SCHEMA_VERSION} and older ones",
            hint="use the program that wrote it, or a newer one",
        )


def steps_from(found: int | None) -> tuple[Step, ...]:
    """Return the steps from a version, or from an empty database, to the newest."""
    from alembic.script import ScriptDirectory

    every = ScriptDirectory.from_config(_config()).walk_revisions()
    return tuple(
        Step(int(each.revision), each.doc) for each in reversed(list(every)) if int(each.revision) > (found or 0)
    )


def upgrade(engine: Engine) -> tuple[Step, ...]:
    """Bring the tables to the newest version and return the steps that it took. May be repeated, and killed.

    Raises InvalidInput for a newer catalogue, Busy while a run of an older program is at work, and Unreachable.
    """
    with _alone(engine) as db:
        found = _version(db)
        if found is not None:
            refuse_newer(found)
        steps = steps_from(found)
        if steps:
            _take_steps(db, found)
        return steps


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a transaction that no other upgrade runs beside."""
    if engine.dialect.name == "postgresql":
        with writing(engine, CANNOT_OPEN) as db:
            for limit in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
                db.execute(text(f"SET LOCAL {limit} = '{UPGRADE_SECONDS}s'"))
            serialise(db, MIGRATING)
            yield db
        return
    # SQLite changes a column by making its table anew; with foreign keys watched, dropping the old one would empty
    # the tables that point at it. They are counted afterwards instead, before anything is kept.
    own = open_engine(engine.url.render_as_string(hide_password=False), foreign_keys=False)
    try:
        with writing(own, CANNOT_OPEN) as db:
            yield db
            if broken := db.execute(text("PRAGMA foreign_key_check")).all():
                raise InvalidInput(f"the catalogue has rows that belong to nothing: {broken[:3]}", hint="restore it")
    finally:
        own.dispose()


def _version(db: Connection) -> int | None:
    if not inspect(db).has_table(t.schema.name):
        return None
    found: int | None = db.execute(select(t.schema.c.version)).scalar()
    return found


def _take_steps(db: Connection, found: int | None) -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = db
    if found is None:
        t.metadata.create_all(db)  # where all steps lead to, at once
        command.stamp(config, "head")
    else:
        if not inspect(db).has_table("alembic_version"):
            command.stamp(config, f"{found:04}")  # tables from before the steps were kept
        command.upgrade(config, "head")
    # Programs that know no steps look here, and refuse what is newer than they are.
    if not db.execute(update(t.schema).values(version=t.SCHEMA_VERSION)).rowcount:
        db.execute(insert(t.schema).values(version=t.SCHEMA_VERSION))


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
