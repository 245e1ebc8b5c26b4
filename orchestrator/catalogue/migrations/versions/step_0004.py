"""Protection: what is known of locks, of points under suspicion, of healed objects and of keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _consistency()
    _suspicion()
    _locks()
    _spot_checks()
    _keys()
    _healing()
    _bypasses()
    _archives()


def _consistency() -> None:
    """Whether the sources of a point are of one moment; of older points it is not known."""
    with op.batch_alter_table("points") as points:
        points.add_column(sa.Column("consistent", sa.Boolean))


def _suspicion() -> None:
    """What makes points suspect, and what people said of them. The points that are known are not suspect."""
    with op.batch_alter_table("points") as points:
        points.add_column(sa.Column("suspicion", sa.JSON))
    suspected = sa.text("suspicion IS NOT NULL")
    op.create_index(
        "points_suspect", "points", ["tenant", "system"], sqlite_where=suspected, postgresql_where=suspected
    )
    op.create_table(
        "settlements",
        sa.Column("point_id", sa.String(40), sa.ForeignKey("points.id"), primary_key=True),
        sa.Column("verdict", sa.String(8), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("settled_by", sa.Text, nullable=False),
        sa.Column("settled_at", sa.DateTime, nullable=False),
    )


def _locks() -> None:
    """Until when the objects of a system are locked at a centre, and those of each recovery point."""
    op.create_table(
        "locks",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("system", sa.String(40), primary_key=True),
        sa.Column("centre", sa.String(20), primary_key=True),
        sa.Column("ran_at", sa.DateTime, nullable=False),
        sa.Column("floor", sa.DateTime),
        sa.Column("objects", sa.Integer, nullable=False),
        sa.Column("extended", sa.Integer, nullable=False),
        sa.Column("unlocked", sa.Integer, nullable=False),
        sa.Column("overwritten", sa.Integer, nullable=False),
    )
    op.create_table(
        "point_locks",
        sa.Column("point_id", sa.String(40), sa.ForeignKey("points.id"), primary_key=True),
        sa.Column("centre", sa.String(20), primary_key=True),
        sa.Column("floor", sa.DateTime),
    )


def _spot_checks() -> None:
    """The last comparison of each system with its live sources."""
    op.create_table(
        "spot_checks",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("system", sa.String(40), primary_key=True),
        sa.Column("point_id", sa.String(40), nullable=False),
        sa.Column("began_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime, nullable=False),
        sa.Column("faults", sa.Integer, nullable=False),
        sa.Column("sources", sa.JSON, nullable=False),
    )


def _keys() -> None:
    """When keys and their escrow were last seen to open anything."""
    op.create_table(
        "escrow_bundles",
        sa.Column("centre", sa.String(20), primary_key=True),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("made_at", sa.DateTime, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("missing", sa.Integer, nullable=False),
    )
    op.create_table(
        "escrow_checks",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("checked_at", sa.DateTime, nullable=False),
        sa.Column("centre", sa.String(20), nullable=False),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("bundle_made_at", sa.DateTime, nullable=False),
        sa.Column("custodians", sa.JSON, nullable=False),
    )
    op.create_table(
        "key_checks",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("centre", sa.String(20), primary_key=True),
        sa.Column("checked_at", sa.DateTime, nullable=False),
        sa.Column("repositories", sa.Integer, nullable=False),
    )


def _healing() -> None:
    """Findings know who found and who healed them and from where; the `config` of a repository is known by its hash."""
    with op.batch_alter_table("findings") as findings:
        findings.add_column(sa.Column("found_by", sa.String(40)))
        findings.add_column(sa.Column("healed_by", sa.String(40)))
        findings.add_column(sa.Column("healed_from", sa.String(20)))
        findings.add_column(sa.Column("sha256", sa.String(64)))
    op.create_table(
        "configs",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("system", sa.String(40), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("opened_at", sa.DateTime, nullable=False),
    )


def _bypasses() -> None:
    """Points that were written past a centre that did not answer, and whether they have come there since."""
    with op.batch_alter_table("points") as points:
        points.add_column(sa.Column("bypassed", sa.JSON))
    op.create_table(
        "bypasses",
        sa.Column("point_id", sa.String(40), sa.ForeignKey("points.id"), primary_key=True),
        sa.Column("centre", sa.String(20), primary_key=True),
        sa.Column("landed_at", sa.DateTime),
    )


def _archives() -> None:
    """What continuous archives of databases can give back, and the moments that this is known by."""
    op.create_table(
        "archives",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("system", sa.String(40), primary_key=True),
        sa.Column("source", sa.String(40), primary_key=True),
        sa.Column("centre", sa.String(20), primary_key=True),
        sa.Column("observed_at", sa.DateTime, nullable=False),
        sa.Column("since", sa.DateTime),
        sa.Column("until", sa.DateTime),
        sa.Column("missing", sa.String(24)),
        sa.Column("full_at", sa.DateTime),
        sa.Column("backup_at", sa.DateTime),
        sa.Column("backups", sa.Integer, nullable=False),
    )
    op.create_table(
        "archive_marks",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("system", sa.String(40), primary_key=True),
        sa.Column("source", sa.String(40), primary_key=True),
        sa.Column("moment", sa.DateTime, primary_key=True),
        sa.Column("segment", sa.String(24), nullable=False),
        sa.Column("segment_bytes", sa.BigInteger, nullable=False),
    )
