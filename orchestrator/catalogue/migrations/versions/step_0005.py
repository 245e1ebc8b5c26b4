"""What archives can give back and when, key accesses of drills, what people are told and the messages that tell it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    _archives()
    _key_accesses()
    _notices()
    _stamps()


def _archives() -> None:
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


def _key_accesses() -> None:
    """When a run of a plan last opened a repository of a tenant at a centre with the password of the site."""
    op.create_table(
        "key_accesses",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("centre", sa.String(20), primary_key=True),
        sa.Column("opened_at", sa.DateTime, nullable=False),
    )


def _notices() -> None:
    """What people are told, who is told of it, and the messages that tell it."""
    over, told = sa.text("over_at IS NULL"), sa.text("message_id IS NULL")
    op.create_table(
        "notices",
        sa.Column("id", sa.String(240), primary_key=True),
        sa.Column("event", sa.String(20), nullable=False),
        sa.Column("severity", sa.String(10), nullable=False),
        sa.Column("subject", sa.String(180), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("noted_at", sa.DateTime, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("over_at", sa.DateTime),
    )
    op.create_index(
        "notices_open", "notices", ["event", "subject"], unique=True, sqlite_where=over, postgresql_where=over
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("channel", sa.String(40), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("made_at", sa.DateTime, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime),
        sa.Column("error", sa.Text),
    )
    op.create_index("messages_by_state", "messages", ["channel", "state", "made_at"])
    op.create_table(
        "tellings",
        sa.Column("channel", sa.String(40), primary_key=True),
        sa.Column("notice_id", sa.String(240), sa.ForeignKey("notices.id"), primary_key=True),
        sa.Column("message_id", sa.String(40), sa.ForeignKey("messages.id")),
    )
    op.create_index("tellings_by_message", "tellings", ["message_id"])
    op.create_index("tellings_by_notice", "tellings", ["notice_id"])
    op.create_index("tellings_waiting", "tellings", ["channel"], sqlite_where=told, postgresql_where=told)
    op.create_table(
        "notice_marks",
        sa.Column("name", sa.String(60), primary_key=True),
        sa.Column("at", sa.DateTime, nullable=False),
    )


def _stamps() -> None:
    """By which a reader that keeps landings knows what to read again."""
    op.add_column("systems", sa.Column("stamp", sa.BigInteger))
