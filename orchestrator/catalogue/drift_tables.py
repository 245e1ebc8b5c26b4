"""The table of what drifted, and how often it was healed."""

from __future__ import annotations

from sqlalchemy import Column, Integer, String, Table

from orchestrator.catalogue.columns import metadata

#: Of each noun, as a site names them: how many differ at the last look, and how many were healed since ever.
tenant_drifts = Table(
    "tenant_drifts",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("noun", String(20), primary_key=True),
    Column("differing", Integer, nullable=False),
    Column("healed", Integer, nullable=False),
)
