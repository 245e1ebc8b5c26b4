"""The table of what tenants use of their quotas."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, String, Table

from orchestrator.catalogue.columns import UtcTime, metadata

#: At the last look, in the unit of the service. Without a limit `allowed` is null.
quota_uses = Table(
    "quota_uses",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("service", String(20), primary_key=True),
    Column("resource", String(40), primary_key=True),
    Column("used", BigInteger, nullable=False),
    Column("allowed", BigInteger),
    Column("seen_at", UtcTime, nullable=False),
)
