"""Continuous archives: what they can give back, and by which moments it is known; the key accesses of drills."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
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
    _key_accesses()


def _key_accesses() -> None:
    """When a run of a plan last opened a repository of a tenant at a centre with the password of the site."""
    op.create_table(
        "key_accesses",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("centre", sa.String(20), primary_key=True),
        sa.Column("opened_at", sa.DateTime, nullable=False),
    )
