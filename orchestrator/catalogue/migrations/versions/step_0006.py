"""What is known of tenants beside their systems: how they stand, what differs, what they use, what they lack."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    _lives()
    _drifts()
    _quota_uses()
    _details()
    _requests()
    _quota_changes()
    _parities()


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


def _quota_uses() -> None:
    """What tenants use of their quotas."""
    op.create_table(
        "quota_uses",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("centre", sa.String(20), primary_key=True),
        sa.Column("service", sa.String(20), primary_key=True),
        sa.Column("resource", sa.String(40), primary_key=True),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Column("allowed", sa.BigInteger),
        sa.Column("seen_at", sa.DateTime, nullable=False),
    )


def _drifts() -> None:
    """What differs of each tenant at each centre, by noun, and how much of it was healed."""
    op.create_table(
        "tenant_drifts",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("centre", sa.String(20), primary_key=True),
        sa.Column("noun", sa.String(20), primary_key=True),
        sa.Column("differing", sa.Integer, nullable=False),
        sa.Column("healed", sa.Integer, nullable=False),
    )


def _details() -> None:
    """What clouds answered about one tenant."""
    op.create_table(
        "tenant_details",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("centre", sa.String(20), primary_key=True),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("answers", sa.JSON, nullable=False),
        sa.Column("confirmed_at", sa.DateTime, nullable=False),
    )


def _requests() -> None:
    """What bureaus asked for, and what became of it."""
    op.create_table(
        "tenant_requests",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("by", sa.String(120), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("decided_by", sa.String(120)),
        sa.Column("decided_at", sa.DateTime),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("applied_at", sa.DateTime),
        sa.Column("handed_over_at", sa.DateTime),
    )


def _quota_changes() -> None:
    """Changes of quotas, and their history."""
    op.create_table(
        "quota_changes",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("edits", sa.JSON, nullable=False),
        sa.Column("differences", sa.JSON, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("by", sa.String(120), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("decided_by", sa.String(120)),
        sa.Column("decided_at", sa.DateTime),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("applied_at", sa.DateTime),
    )


def _parities() -> None:
    """How much of what a tenant needs at a centre is there."""
    op.create_table(
        "parities",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("centre", sa.String(20), primary_key=True),
        sa.Column("ratio", sa.Float, nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
    )
