"""What is known of tenants beside their systems: how they stand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    _lives()


def _lives() -> None:
    """Tenants that are suspended, leaving or gone."""
    op.create_table(
        "tenant_lives",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("since", sa.DateTime, nullable=False),
        sa.Column("by", sa.String(120), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("until", sa.DateTime),
        sa.Column("details", sa.JSON, nullable=False),
    )
