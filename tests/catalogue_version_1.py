"""The tables as version 1 of the catalogue was released with them: what an upgrade begins from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

#: As released.
SCHEMA_VERSION = 1

metadata = MetaData()


class UtcTime(TypeDecorator[datetime]):
    """An aware time, kept as UTC without zone, because SQLite keeps no zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


#: One row: which version of the tables this is.
schema = Table("schema", metadata, Column("version", Integer, nullable=False))

#: Since when a system is known. Exposure of a system without any recovery point counts from here.
systems = Table(
    "systems",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("system", String(40), primary_key=True),
    Column("created_at", UtcTime, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("flow", String(40), nullable=False),
    Column("subject", String(120), nullable=False),
    Column("state", String(16), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("error_type", String(60)),
    Column("error", Text),
    Column("host", String(120), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pid_started", BigInteger, nullable=False),
    Index("runs_by_state", "state"),
)

#: The evidence: a row when an attempt at a step starts, closed when it ends. Measured times come from here only.
attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(40), ForeignKey("runs.id"), nullable=False),
    Column("step", String(120), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("outcome", String(16), nullable=False),
    Column("error_type", String(60)),
    Column("error", Text),
    Column("detail", JSON),
    Index("attempts_by_run", "run_id"),
)

#: What a run must take away again, written down before it is made, so that a killed run leaves nothing behind.
cleanups = Table(
    "cleanups",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(40), ForeignKey("runs.id"), nullable=False),
    Column("action", String(40), nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("done_at", UtcTime),
    Index("cleanups_by_run", "run_id"),
)

points = Table(
    "points",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("run_id", String(40), nullable=False),
    Column("tenant", String(40), nullable=False),
    Column("system", String(40), nullable=False),
    Column("tier", String(40), nullable=False),
    Column("data_time", UtcTime, nullable=False),
    Column("finished_at", UtcTime, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("added_bytes", BigInteger, nullable=False),
    Column("document", String(64), nullable=False),
    Column("sources", JSON, nullable=False),
    Index("points_by_system", "tenant", "system", "data_time"),
)

#: A point is at a centre from the moment all its snapshots are in that centre's own listing.
landings = Table(
    "landings",
    metadata,
    Column("point_id", String(40), ForeignKey("points.id"), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("landed_at", UtcTime, nullable=False),
    Column("proved_at", UtcTime),
    Index("landings_by_time", "landed_at"),
)
# Few of a year's landings are ever proved: only those are in this index.
_proved = landings.c.proved_at.is_not(None)
Index("landings_by_proof", landings.c.proved_at, sqlite_where=_proved, postgresql_where=_proved)

drills = Table(
    "drills",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("plan", String(80), nullable=False),
    Column("tenant", String(40), nullable=False),
    Column("system", String(40), nullable=False),
    Column("centre", String(20), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("point_id", String(40)),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("rpo_seconds", Float),
    Column("rto_seconds", Float),
    Column("stages", JSON, nullable=False),
    Column("restored_bytes", BigInteger, nullable=False),
    Column("report", Text),
    Index("drills_by_system", "tenant", "system", "centre", "ended_at"),
)

tenant_centres = Table(
    "tenant_centres",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("applied_at", UtcTime, nullable=False),
    Column("writes", Integer, nullable=False),
    Column("pending", Integer, nullable=False),
)

#: Who holds a lease now. Shared holders may be several; an exclusive one is alone.
lease_holders = Table(
    "lease_holders",
    metadata,
    Column("name", String(160), primary_key=True),
    Column("holder", String(40), primary_key=True),
    Column("exclusive", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("host", String(120), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pid_started", BigInteger, nullable=False),
)

lease_fences = Table(
    "lease_fences",
    metadata,
    Column("name", String(160), primary_key=True),
    Column("fence", Integer, nullable=False),
)
