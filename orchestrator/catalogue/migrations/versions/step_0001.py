"""The first tables: systems, runs and their evidence, recovery points, drills, tenants, leases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("schema", sa.Column("version", sa.Integer, nullable=False))
    _runs()
    _points()
    _others()


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("flow", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(120), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime),
        sa.Column("error_type", sa.String(60)),
        sa.Column("error", sa.Text),
        sa.Column("host", sa.String(120), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("pid_started", sa.BigInteger, nullable=False),
    )
    op.create_index("runs_by_state", "runs", ["state"])
    op.create_table(
        "attempts",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(40), sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("step", sa.String(120), nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("error_type", sa.String(60)),
        sa.Column("error", sa.Text),
        sa.Column("detail", sa.JSON),
    )
    op.create_index("attempts_by_run", "attempts", ["run_id"])
    op.create_table(
        "cleanups",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(40), sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("done_at", sa.DateTime),
    )
    op.create_index("cleanups_by_run", "cleanups", ["run_id"])


def _points() -> None:
    op.create_table(
        "points",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("system", sa.String(40), nullable=False),
        sa.Column("tier", sa.String(40), nullable=False),
        sa.Column("data_time", sa.DateTime, nullable=False),
        sa.Column("finished_at", sa.DateTime, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("added_bytes", sa.BigInteger, nullable=False),
        sa.Column("document", sa.String(64), nullable=False),
        sa.Column("sources", sa.JSON, nullable=False),
    )
    op.create_index("points_by_system", "points", ["tenant", "system", "data_time"])
    op.create_table(
        "landings",
        sa.Column("point_id", sa.String(40), sa.ForeignKey("points.id"), primary_key=True),
        sa.Column("centre", sa.String(20), primary_key=True),
        sa.Column("landed_at", sa.DateTime, nullable=False),
        sa.Column("proved_at", sa.DateTime),
    )
    op.create_index("landings_by_time", "landings", ["landed_at"])
    proved = sa.text("proved_at IS NOT NULL")
    op.create_index("landings_by_proof", "landings", ["proved_at"], sqlite_where=proved, postgresql_where=proved)
    op.create_table(
        "drills",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("plan", sa.String(80), nullable=False),
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("system", sa.String(40), nullable=False),
        sa.Column("centre", sa.String(20), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("point_id", sa.String(40)),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("rpo_seconds", sa.Float),
        sa.Column("rto_seconds", sa.Float),
        sa.Column("stages", sa.JSON, nullable=False),
        sa.Column("restored_bytes", sa.BigInteger, nullable=False),
        sa.Column("report", sa.Text),
    )
    op.create_index("drills_by_system", "drills", ["tenant", "system", "centre", "ended_at"])


def _others() -> None:
    op.create_table(
        "systems",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("system", sa.String(40), primary_key=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "tenant_centres",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("centre", sa.String(20), primary_key=True),
        sa.Column("applied_at", sa.DateTime, nullable=False),
        sa.Column("writes", sa.Integer, nullable=False),
        sa.Column("pending", sa.Integer, nullable=False),
    )
    op.create_table(
        "lease_holders",
        sa.Column("name", sa.String(160), primary_key=True),
        sa.Column("holder", sa.String(40), primary_key=True),
        sa.Column("exclusive", sa.Integer, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False),
        sa.Column("host", sa.String(120), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("pid_started", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "lease_fences",
        sa.Column("name", sa.String(160), primary_key=True),
        sa.Column("fence", sa.Integer, nullable=False),
    )
