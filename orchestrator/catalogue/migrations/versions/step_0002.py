"""Runs that are queued and claimed: workers, slots, generations, waits, aborts, limits. Verification and retention.

What ran in a program of version 1 cannot be taken over: whatever is left of it is ended as interrupted.
"""

from __future__ import annotations

import socket
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from orchestrator.catalogue.database import clock
from orchestrator.errors import Busy
from orchestrator.process import started_at

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _refuse_living()
    _working()
    moment = clock(op.get_bind())
    _attempts(moment)
    _cleanups()  # while the runs still say which machine they ran on
    _runs(moment)
    _tenants()
    _indexes()
    _upkeep()


def _refuse_living() -> None:
    """Raise Busy when a run of an older program is at work on this machine: its rows are about to change."""
    running = sa.text("SELECT id, flow, subject, host, pid, pid_started FROM runs WHERE state = 'running'")
    for row in op.get_bind().execute(running):
        if row.host == socket.gethostname() and started_at(row.pid) == row.pid_started:
            raise Busy(
                f"run {row.id} ({row.flow} {row.subject}) of an older program is at work, pid {row.pid}",
                hint="wait for it to end, or end it, and do this again",
            )


def _working() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("host", sa.String(120), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("pid_started", sa.BigInteger, nullable=False),
        sa.Column("version", sa.String(40), nullable=False),
        sa.Column("jobs", sa.Integer, nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("beat_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "run_slots",
        sa.Column("run_id", sa.String(40), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True),
        sa.Column("slot", sa.String(120), primary_key=True),
        sa.Column("claimed_at", sa.DateTime, nullable=False),
        sa.Column("released_at", sa.DateTime),
    )
    op.create_table(
        "waits",
        sa.Column("run_id", sa.String(40), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("topic", sa.String(120), primary_key=True),
        sa.Column("began_at", sa.DateTime),
        sa.Column("message", sa.JSON),
        sa.Column("sent_at", sa.DateTime),
        sa.Column("sent_by", sa.Text),
    )


def _attempts(moment: datetime) -> None:
    op.add_column("attempts", sa.Column("generation", sa.Integer))
    op.execute("UPDATE attempts SET generation = 1")
    _say("UPDATE attempts SET outcome = 'interrupted', ended_at = :now WHERE outcome = 'started'", moment)
    # Interrupted ones had no end; it was established when their run was ended.
    op.execute(
        "UPDATE attempts SET ended_at = (SELECT runs.ended_at FROM runs WHERE runs.id = attempts.run_id) "
        "WHERE ended_at IS NULL AND outcome = 'interrupted'"
    )
    with op.batch_alter_table("attempts") as table:
        table.alter_column("generation", existing_type=sa.Integer(), nullable=False)


def _cleanups() -> None:
    op.add_column("cleanups", sa.Column("host", sa.String(120)))
    op.add_column("cleanups", sa.Column("on_failure", sa.Boolean))
    op.execute(
        "UPDATE cleanups SET host = (SELECT runs.host FROM runs WHERE runs.id = cleanups.run_id) "
        "WHERE action = 'remove-scratch'"
    )
    op.execute("UPDATE cleanups SET on_failure = false")
    with op.batch_alter_table("cleanups") as table:
        table.alter_column("on_failure", existing_type=sa.Boolean(), nullable=False)


def _runs(moment: datetime) -> None:
    _say("UPDATE runs SET state = 'interrupted', ended_at = :now WHERE ended_at IS NULL", moment)
    required: dict[str, sa.types.TypeEngine[Any]] = {
        "arguments": sa.JSON(),
        "slots": sa.JSON(),
        "priority": sa.Integer(),
        "reason": sa.Text(),
        "requested_by": sa.Text(),
        "queued_at": sa.DateTime(),
        "generation": sa.Integer(),
    }
    for column in (
        *(sa.Column(name, kind) for name, kind in required.items()),
        sa.Column("deadline", sa.DateTime),
        sa.Column("not_before", sa.DateTime),
        sa.Column("worker", sa.String(80)),
        sa.Column("abort_requested_at", sa.DateTime),
        sa.Column("abort_requested_by", sa.Text),
        sa.Column("waiting_for", sa.Text),
        sa.Column("pinned_host", sa.String(120)),
        sa.Column("pinned_step", sa.Integer),
        sa.Column("progress", sa.JSON),
        sa.Column("result", sa.JSON),
        sa.Column("hint", sa.Text),
        sa.Column("exit_code", sa.Integer),
        sa.Column("retry_of", sa.String(40)),
    ):
        op.add_column("runs", column)
    op.execute(
        "UPDATE runs SET arguments = '{}', slots = '[]', priority = 0, reason = '', requested_by = '', "
        "queued_at = started_at, generation = 1"
    )
    with op.batch_alter_table("runs") as table:
        for name, kind in required.items():
            table.alter_column(name, existing_type=kind, nullable=False)
        table.alter_column("started_at", existing_type=sa.DateTime(), nullable=True)
        for name in ("host", "pid", "pid_started"):
            table.drop_column(name)


def _tenants() -> None:
    op.add_column("tenant_centres", sa.Column("looked_at", sa.DateTime))
    op.execute("UPDATE tenant_centres SET looked_at = applied_at")
    with op.batch_alter_table("tenant_centres") as table:
        table.alter_column("looked_at", existing_type=sa.DateTime(), nullable=False)
        table.alter_column("applied_at", existing_type=sa.DateTime(), nullable=True)


def _indexes() -> None:
    op.create_index("runs_by_flow", "runs", ["flow", "state", "ended_at"])
    op.create_index("runs_by_end", "runs", ["ended_at"])
    op.create_index("runs_by_queue", "runs", ["queued_at"])
    _partial("runs_open", "runs", ["flow", "subject"], "ended_at IS NULL", unique=True)
    op.create_index("run_slots_by_time", "run_slots", ["claimed_at"])
    _partial("run_slots_held", "run_slots", ["slot"], "released_at IS NULL")
    op.create_index("attempts_by_outcome", "attempts", ["outcome", "error_type"])
    _partial("cleanups_open", "cleanups", ["run_id"], "done_at IS NULL")


def _upkeep() -> None:
    """What is remembered of verification and retention."""

    def place() -> list[sa.Column[str]]:
        widths = {"tenant": 40, "system": 40, "centre": 20}
        return [sa.Column(name, sa.String(width), primary_key=True) for name, width in widths.items()]

    op.create_table(
        "read_slices",
        *place(),
        sa.Column("prefix", sa.String(4), primary_key=True),
        sa.Column("objects", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("oldest", sa.DateTime, nullable=False),
        sa.Column("read_at", sa.DateTime),
    )
    op.create_table(
        "verifications",
        *place(),
        sa.Column("depth", sa.String(16), primary_key=True),
        sa.Column("began_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "expiries",
        *place(),
        sa.Column("ran_at", sa.DateTime),
        sa.Column("forgot_at", sa.DateTime),
        sa.Column("pruned_at", sa.DateTime),
        sa.Column("points", sa.Integer, nullable=False),
    )
    op.create_table(
        "findings",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("system", sa.String(40), nullable=False),
        sa.Column("centre", sa.String(20), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("found_at", sa.DateTime, nullable=False),
        sa.Column("healed_at", sa.DateTime),
    )
    _partial("findings_open", "findings", ["tenant", "system", "centre", "key"], "healed_at IS NULL", unique=True)


def _partial(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    clause = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=clause, postgresql_where=clause)


def _say(statement: str, moment: datetime) -> None:
    now = sa.bindparam("now", moment.replace(tzinfo=None), sa.DateTime())
    op.get_bind().execute(sa.text(statement).bindparams(now))
