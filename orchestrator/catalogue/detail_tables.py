"""The table of what was asked of the clouds tenant by tenant."""

from __future__ import annotations

from sqlalchemy import JSON, Column, String, Table, Text

from orchestrator.catalogue.columns import UtcTime, metadata

#: `about` says of which objects it was asked: of others it says nothing. No secret is ever in it.
tenant_details = Table(
    "tenant_details",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("about", Text, nullable=False),
    Column("answers", JSON, nullable=False),
    Column("confirmed_at", UtcTime, nullable=False),
)
