"""The table of parities."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, String, Table

from orchestrator.catalogue.columns import UtcTime, metadata

#: How much of what a tenant needs at a centre was there at the last look, and why it was not all.
parities = Table(
    "parities",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("ratio", Float, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
)
