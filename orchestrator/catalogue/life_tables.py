"""The table of tenants that are not simply in use: suspended, leaving, gone."""

from __future__ import annotations

from sqlalchemy import JSON, Column, String, Table, Text

from orchestrator.catalogue.columns import UtcTime, metadata

#: How a tenant stands. `details` holds what the steps need of each other: who was locked out, which points are the
#: last, what was found and deleted. No secret is ever in it.
tenant_lives = Table(
    "tenant_lives",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("state", String(12), nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("by", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", UtcTime),
    Column("details", JSON, nullable=False),
)
