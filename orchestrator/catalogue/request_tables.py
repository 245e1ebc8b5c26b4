"""The table of bureaus' requests. No secret is ever in it: a form holds none."""

from __future__ import annotations

from sqlalchemy import JSON, Column, String, Table, Text

from orchestrator.catalogue.columns import UtcTime, metadata

#: What was asked for, by whom, and what became of it. `document` is the request with the addresses that it was given.
tenant_requests = Table(
    "tenant_requests",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("tenant", String(40), nullable=False),
    Column("document", JSON, nullable=False),
    Column("state", String(12), nullable=False),
    Column("by", String(120), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("decided_by", String(120)),
    Column("decided_at", UtcTime),
    Column("reason", Text, nullable=False),
    Column("applied_at", UtcTime),
    Column("handed_over_at", UtcTime),
)
