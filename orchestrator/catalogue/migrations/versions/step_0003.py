"""Recoveries of several systems: runs that are parts of another, drills by system, and what failovers leave behind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _parts()
    _drills_by_system()
    _audit()
    _corrections()
    _plan_checks()
    _epochs()


def _parts() -> None:
    """A run may be a part of another one, and has a name there."""
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("parent", sa.String(40)))
        runs.add_column(sa.Column("part", sa.String(120)))
        runs.create_index("runs_by_parent", ["parent", "part"], unique=True)


def _drills_by_system() -> None:
    """A drill of several systems has a row for each."""
    op.create_table(
        "drills_by_system_new",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("plan", sa.String(80), nullable=False),
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("system", sa.String(40), primary_key=True),
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
        sa.Column("plan_digest", sa.String(64)),
        sa.Column("requested_by", sa.Text),
    )
    names = (
        "id, plan, tenant, system, centre, kind, point_id, started_at, ended_at, verdict, rpo_seconds, rto_seconds, "
        "stages, restored_bytes, report"
    )
    op.execute(f"INSERT INTO drills_by_system_new ({names}) SELECT {names} FROM drills")  # noqa: S608
    asked = "SELECT requested_by FROM runs WHERE runs.id = drills_by_system_new.id"
    op.execute(f"UPDATE drills_by_system_new SET requested_by = ({asked})")  # noqa: S608
    op.drop_index("drills_by_system", "drills")
    op.drop_table("drills")
    op.rename_table("drills_by_system_new", "drills")
    op.create_index("drills_by_system", "drills", ["tenant", "system", "centre", "ended_at"])


def _audit() -> None:
    """The audit chain, and where it begins."""
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("run_id", sa.String(40)),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, unique=True),
        sa.Column("digest", sa.String(80)),
    )
    op.create_index("audit_by_run", "audit", ["run_id"])
    op.create_index("audit_by_kind", "audit", ["kind", "id"])
    unsealed = sa.text("number IS NULL")
    op.create_index("audit_unsealed", "audit", ["id"], sqlite_where=unsealed, postgresql_where=unsealed)
    op.create_table(
        "audit_roots",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("trimmed_at", sa.DateTime, nullable=False),
    )


def _corrections() -> None:
    """What drills found wrong, until it is right, and who signed their reports."""
    names = {"drill": 40, "plan": 80, "tenant": 40, "system": 40, "centre": 20, "key": 200}
    op.create_table(
        "drill_findings",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        *(sa.Column(name, sa.String(width), nullable=False) for name, width in names.items()),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("zh", "en", "owner")),
        sa.Column("found_at", sa.DateTime, nullable=False),
        sa.Column("due_at", sa.DateTime, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("last_drill", sa.String(40), nullable=False),
        sa.Column("closed_at", sa.DateTime),
        sa.Column("closed_by", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("verified_at", sa.DateTime),
        sa.Column("verified_by", sa.String(40)),
    )
    op.create_index("drill_findings_by_system", "drill_findings", ["tenant", "system", "centre", "state"])
    op.create_index("drill_findings_by_drill", "drill_findings", ["drill"])
    op.create_table(
        "drill_signatures",
        sa.Column("drill", sa.String(40), primary_key=True),
        sa.Column("role", sa.String(16), primary_key=True),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("signed_at", sa.DateTime, nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
    )


def _plan_checks() -> None:
    """What was last found of whether each plan is ready."""
    op.create_table(
        "plan_checks",
        sa.Column("plan", sa.String(80), primary_key=True),
        sa.Column("centre", sa.String(20), primary_key=True),
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("checked_at", sa.DateTime, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("warned", sa.Integer, nullable=False),
        sa.Column("items", sa.JSON, nullable=False),
    )


def _epochs() -> None:
    """The epochs that are known here, and what returned centres had."""
    op.create_table(
        "epochs",
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("record", sa.JSON, nullable=False),
        sa.Column("adopted_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "quarantines",
        *(sa.Column(name, sa.String(40), primary_key=True) for name in ("id", "tenant", "system")),
        sa.Column("taken_from", sa.String(20), nullable=False),
        sa.Column("centre", sa.String(20), nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("data_time", sa.DateTime, nullable=False),
        sa.Column("finished_at", sa.DateTime, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("document", sa.String(64), nullable=False),
        sa.Column("sources", sa.JSON, nullable=False),
        sa.Column("compared_with", sa.String(40)),
        sa.Column("summary", sa.JSON),
        sa.Column("compared_at", sa.DateTime),
        sa.Column("note", sa.Text),
    )
