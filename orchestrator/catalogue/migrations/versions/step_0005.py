"""Continuous archives: what they can give back, and the moments that this is known by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    _stamps()
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


def _stamps() -> None:
    """By which a reader that keeps landings knows what to read again."""
    op.add_column("systems", sa.Column("stamp", sa.BigInteger))
