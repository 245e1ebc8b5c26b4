"""The catalogue: what was backed up, where it landed, what ran and what was proved.

Every change is one transaction. The vaults stay the truth about which points exist: a landing is written only
from a centre's own listing.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, create_engine, event, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.records import (
    AttemptRow,
    DrillRow,
    Outcome,
    Point,
    PointAt,
    RunRow,
    RunState,
    SourceCopy,
    TenantCentre,
)
from orchestrator.errors import InvalidInput, Unreachable

BUSY_SECONDS = 30

log = logging.getLogger(__name__)


def now() -> datetime:
    return datetime.now(UTC)


def open_engine(url: str) -> Engine:
    """Return an engine; on SQLite with write-ahead log, foreign keys and writers that wait for each other."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # transactions begin where we say, in the handler below
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and then writes must not find that another writer was faster.
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN IMMEDIATE"))

    return engine


class Catalogue:
    """The catalogue on one database. Safe to use from several threads and processes."""

    def __init__(self, url: str) -> None:
        self.url = url
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        try:
            self.engine = open_engine(url)
            self._reading = self.engine.execution_options(begin="BEGIN DEFERRED")  # looks do not queue with writers
            with self.engine.begin() as db:
                t.metadata.create_all(db)
                version = db.execute(select(t.schema.c.version)).scalar()
                if version is None:
                    db.execute(insert(t.schema).values(version=t.SCHEMA_VERSION))
        except SQLAlchemyError as error:
            raise Unreachable(
                f"the catalogue cannot be opened: {type(error).__name__}: {getattr(error, 'orig', error)}",
                hint="look at TRICENTER_DATABASE_URL and at the state folder's permissions and free space",
            ) from error
        if version is not None and version > t.SCHEMA_VERSION:
            raise InvalidInput(
                f"the catalogue has schema {version}; this program knows {t.SCHEMA_VERSION}",
                hint="use the program version that wrote it, or a newer one",
            )

    # --- systems and tenants

    def register_systems(self, systems: Iterable[tuple[str, str]]) -> None:
        """Remember since when each (tenant, system) is known. May be repeated."""
        with self.engine.begin() as db:
            known = {(row.tenant, row.system) for row in db.execute(select(t.systems))}
            fresh = [
                {"tenant": tenant, "system": system, "created_at": now()}
                for tenant, system in systems
                if (tenant, system) not in known
            ]
            if fresh:
                db.execute(insert(t.systems), fresh)

    def system_created(self) -> dict[tuple[str, str], datetime]:
        with self._reading.connect() as db:
            return {(row.tenant, row.system): row.created_at for row in db.execute(select(t.systems))}

    def record_tenant(self, tenant: str, centre: str, *, writes: int, pending: int) -> None:
        """Remember how an apply of a tenant at a centre ended: writes made, actions still pending."""
        key = (t.tenant_centres.c.tenant == tenant) & (t.tenant_centres.c.centre == centre)
        values = {"applied_at": now(), "writes": writes, "pending": pending}
        with self.engine.begin() as db:
            if not db.execute(update(t.tenant_centres).where(key).values(**values)).rowcount:
                db.execute(insert(t.tenant_centres).values(tenant=tenant, centre=centre, **values))

    def tenant_centres(self) -> list[TenantCentre]:
        with self._reading.connect() as db:
            return [TenantCentre(*row) for row in db.execute(select(t.tenant_centres))]

    # --- runs, attempts, cleanups

    def start_run(self, run: RunRow) -> None:
        with self.engine.begin() as db:
            db.execute(insert(t.runs).values({c.name: getattr(run, c.name) for c in t.runs.c}))

    def end_run(self, run_id: str, state: RunState, error: BaseException | None = None) -> None:
        with self.engine.begin() as db:
            db.execute(
                update(t.runs).where(t.runs.c.id == run_id).values(state=state, ended_at=now(), **_error_columns(error))
            )
            if state is RunState.INTERRUPTED:
                db.execute(
                    update(t.attempts)
                    .where((t.attempts.c.run_id == run_id) & (t.attempts.c.outcome == Outcome.STARTED))
                    .values(outcome=Outcome.INTERRUPTED)
                )

    def claim_run(self, dead: RunRow, *, pid: int, pid_started: int) -> bool:
        """Take over the clean-up of a dead run. True for exactly one of several claimants."""
        same = (
            (t.runs.c.id == dead.id)
            & (t.runs.c.state == RunState.RUNNING)
            & (t.runs.c.pid == dead.pid)
            & (t.runs.c.pid_started == dead.pid_started)
        )
        with self.engine.begin() as db:
            claimed = db.execute(update(t.runs).where(same).values(pid=pid, pid_started=pid_started))
            return claimed.rowcount == 1

    def runs(self, *, state: RunState | None = None, flow: str | None = None, limit: int = 1000) -> list[RunRow]:
        """Return runs, newest first."""
        query = select(t.runs).order_by(t.runs.c.started_at.desc()).limit(limit)
        if state:
            query = query.where(t.runs.c.state == state)
        if flow:
            query = query.where(t.runs.c.flow == flow)
        with self._reading.connect() as db:
            return [_run(row._mapping) for row in db.execute(query)]

    def start_attempt(self, run_id: str, step: str) -> int:
        with self.engine.begin() as db:
            made = db.execute(
                insert(t.attempts).values(run_id=run_id, step=step, started_at=now(), outcome=Outcome.STARTED)
            )
            key = made.inserted_primary_key
            assert key is not None
            return int(key[0])

    def end_attempt(
        self, attempt: int, outcome: Outcome, *, detail: Any = None, error: BaseException | None = None
    ) -> None:
        with self.engine.begin() as db:
            db.execute(
                update(t.attempts)
                .where(t.attempts.c.id == attempt)
                .values(ended_at=now(), outcome=outcome, detail=detail, **_error_columns(error))
            )

    def attempts(self, run_id: str) -> list[AttemptRow]:
        """Return the evidence of a run in the order in which the attempts started."""
        query = select(t.attempts).where(t.attempts.c.run_id == run_id).order_by(t.attempts.c.id)
        with self._reading.connect() as db:
            return [AttemptRow(**{**row._mapping, "outcome": Outcome(row.outcome)}) for row in db.execute(query)]

    def add_cleanup(self, run_id: str, action: str, arguments: Mapping[str, Any]) -> None:
        with self.engine.begin() as db:
            db.execute(insert(t.cleanups).values(run_id=run_id, action=action, arguments=dict(arguments)))

    def open_cleanups(self, run_id: str) -> list[tuple[int, str, dict[str, Any]]]:
        """Return what the run must still take away, the last made first."""
        query = (
            select(t.cleanups)
            .where((t.cleanups.c.run_id == run_id) & t.cleanups.c.done_at.is_(None))
            .order_by(t.cleanups.c.id.desc())
        )
        with self._reading.connect() as db:
            return [(row.id, row.action, row.arguments) for row in db.execute(query)]

    def close_cleanup(self, cleanup: int) -> None:
        with self.engine.begin() as db:
            db.execute(update(t.cleanups).where(t.cleanups.c.id == cleanup).values(done_at=now()))

    # --- recovery points

    def add_point(self, point: Point) -> None:
        """Record a recovery point. Recording it again changes nothing."""
        values = {c.name: getattr(point, c.name) for c in t.points.c if c.name != "sources"}
        with self.engine.begin() as db:
            if db.execute(select(t.points.c.id).where(t.points.c.id == point.id)).scalar() is None:
                db.execute(insert(t.points).values(**values, sources=[each.as_json() for each in point.sources]))

    def points(self, tenant: str | None = None, system: str | None = None) -> list[Point]:
        """Return recovery points, the newest data first."""
        query = select(t.points).order_by(t.points.c.data_time.desc())
        if tenant:
            query = query.where(t.points.c.tenant == tenant)
        if system:
            query = query.where(t.points.c.system == system)
        with self._reading.connect() as db:
            return [_point(row._mapping) for row in db.execute(query)]

    def set_landings(self, centre: str, tenant: str, system: str, landed: Mapping[str, datetime]) -> None:
        """Make the landings of a system at a centre those of its listing: point id -> when it was complete there.

        A point that is no longer listed loses its landing: it cannot be recovered from there.
        """
        with self.engine.begin() as db:
            ids = select(t.points.c.id).where((t.points.c.tenant == tenant) & (t.points.c.system == system))
            here = (t.landings.c.centre == centre) & t.landings.c.point_id.in_(ids)
            known = set(db.execute(select(t.landings.c.point_id).where(here)).scalars())
            for gone in known - landed.keys():
                db.execute(t.landings.delete().where(here & (t.landings.c.point_id == gone)))
            fresh = [
                {"point_id": point, "centre": centre, "landed_at": when}
                for point, when in landed.items()
                if point not in known
            ]
            if fresh:
                db.execute(insert(t.landings), fresh)

    def points_at(
        self, centre: str | None = None, tenant: str | None = None, system: str | None = None
    ) -> list[PointAt]:
        """Return recovery points that are at a centre (or each with every centre), the newest data first."""
        query = (
            select(t.points, t.landings.c.centre, t.landings.c.landed_at, t.landings.c.proved_at)
            .join(t.landings, t.landings.c.point_id == t.points.c.id)
            .order_by(t.points.c.data_time.desc(), t.landings.c.landed_at)
        )
        for column, value in (
            (t.landings.c.centre, centre),
            (t.points.c.tenant, tenant),
            (t.points.c.system, system),
        ):
            if value:
                query = query.where(column == value)
        with self._reading.connect() as db:
            return [
                PointAt(_point(row._mapping), row.centre, row.landed_at, row.proved_at) for row in db.execute(query)
            ]

    def mark_proved(self, point_id: str, centre: str) -> None:
        """Remember that a restore test has proved this point at this centre."""
        key = (t.landings.c.point_id == point_id) & (t.landings.c.centre == centre)
        with self.engine.begin() as db:
            db.execute(update(t.landings).where(key).values(proved_at=now()))

    # --- drills

    def add_drill(self, drill: DrillRow) -> None:
        with self.engine.begin() as db:
            values = {c.name: getattr(drill, c.name) for c in t.drills.c}
            db.execute(insert(t.drills).values(**{**values, "stages": dict(drill.stages)}))

    def drills(self, tenant: str | None = None, system: str | None = None, centre: str | None = None) -> list[DrillRow]:
        """Return drills that ended, newest first."""
        query = select(t.drills).order_by(t.drills.c.ended_at.desc())
        for column, value in (
            (t.drills.c.tenant, tenant),
            (t.drills.c.system, system),
            (t.drills.c.centre, centre),
        ):
            if value:
                query = query.where(column == value)
        with self._reading.connect() as db:
            return [DrillRow(**row._mapping) for row in db.execute(query)]


def _run(row: RowMapping) -> RunRow:
    return RunRow(**{**dict(row), "state": RunState(row["state"])})


def _point(row: RowMapping) -> Point:
    values = {c.name: row[c.name] for c in t.points.c}
    return Point(**{**values, "sources": tuple(SourceCopy.from_json(each) for each in values["sources"])})


def _error_columns(error: BaseException | None) -> dict[str, str | None]:
    if error is None:
        return {"error_type": None, "error": None}
    return {"error_type": type(error).__name__, "error": str(error)}
