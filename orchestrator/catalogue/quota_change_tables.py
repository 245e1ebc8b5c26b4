"""The table of changes of quotas."""

from __future__ import annotations

from sqlalchemy import JSON, Column, String, Table, Text

from orchestrator.catalogue.columns import UtcTime, metadata

#: What is to be written differently (`edits`), the limits that this alters (`differences`), who asked and who decided.
quota_changes = Table(
    "quota_changes",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("tenant", String(40), nullable=False),
    Column("edits", JSON, nullable=False),
    Column("differences", JSON, nullable=False),
    Column("state", String(12), nullable=False),
    Column("by", String(120), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("why", Text, nullable=False),
    Column("decided_by", String(120)),
    Column("decided_at", UtcTime),
    Column("message", Text, nullable=False),
    Column("applied_at", UtcTime),
)
