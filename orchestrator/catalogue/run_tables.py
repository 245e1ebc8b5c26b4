"""The tables of the engine: runs, who executes them, what they hold and wait for, and what was tried."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from orchestrator.catalogue.columns import UtcTime, metadata

#: A run is a row from the moment it is asked for. `slots` are what it takes of its centres, vaults and tenants.
runs = Table(
    "runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("flow", String(40), nullable=False),
    Column("subject", String(120), nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("slots", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("deadline", UtcTime),
    Column("not_before", UtcTime),
    Column("reason", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("queued_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("generation", Integer, nullable=False),
    Column("worker", String(80)),
    Column("abort_requested_at", UtcTime),
    Column("abort_requested_by", Text),
    Column("waiting_for", Text),
    Column("pinned_host", String(120)),
    Column("pinned_step", Integer),
    Column("progress", JSON(none_as_null=True)),
    Column("result", JSON(none_as_null=True)),
    Column("error_type", String(60)),
    Column("error", Text),
    Column("hint", Text),
    Column("exit_code", Integer),
    Column("retry_of", String(40)),
    Column("parent", String(40)),
    Column("part", String(120)),
    Index("runs_by_flow", "flow", "state", "ended_at"),
    Index("runs_by_state", "state"),
    Index("runs_by_end", "ended_at"),
    Index("runs_by_queue", "queued_at"),
)
# Whoever asks twice finds the first: of one flow about one subject, one run at most has not ended.
_open = runs.c.ended_at.is_(None)
#: A run has each of its parts once.
Index("runs_by_parent", runs.c.parent, runs.c.part, unique=True)
Index("runs_open", runs.c.flow, runs.c.subject, unique=True, sqlite_where=_open, postgresql_where=_open)

#: Who claims runs now. A run in the hands of a worker has that worker's row here: both go in one transaction.
workers = Table(
    "workers",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("host", String(120), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pid_started", BigInteger, nullable=False),
    Column("version", String(40), nullable=False),
    Column("jobs", Integer, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("beat_at", UtcTime, nullable=False),
)

#: What each claim takes of the limits: held until it is released, and counted by the minute from `claimed_at`.
run_slots = Table(
    "run_slots",
    metadata,
    Column("run_id", String(40), ForeignKey("runs.id"), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("slot", String(120), primary_key=True),
    Column("claimed_at", UtcTime, nullable=False),
    Column("released_at", UtcTime),
    Index("run_slots_by_time", "claimed_at"),
)
_held = run_slots.c.released_at.is_(None)
Index("run_slots_held", run_slots.c.slot, sqlite_where=_held, postgresql_where=_held)

#: What a run waits for, since when, and the message that it was sent, maybe before it waited. Each topic once a run.
waits = Table(
    "waits",
    metadata,
    Column("run_id", String(40), ForeignKey("runs.id"), primary_key=True),
    Column("topic", String(120), primary_key=True),
    Column("began_at", UtcTime),
    Column("message", JSON(none_as_null=True)),
    Column("sent_at", UtcTime),
    Column("sent_by", Text),
)

#: The evidence: a row when an attempt at a step starts, closed when it ends. Measured times come from here only.
attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(40), ForeignKey("runs.id"), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("step", String(120), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("outcome", String(16), nullable=False),
    Column("error_type", String(60)),
    Column("error", Text),
    Column("detail", JSON),
    Index("attempts_by_run", "run_id"),
    Index("attempts_by_outcome", "outcome", "error_type"),
)
