"""The tables of failovers: the epochs that this catalogue knows, and what returned centres had in quarantine."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Integer, String, Table, Text

from orchestrator.catalogue.columns import UtcTime, metadata

#: The epochs that this catalogue goes by: a copy of the registers, which are the truth. A fence compares the two.
epochs = Table(
    "epochs",
    metadata,
    Column("epoch", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("record", JSON, nullable=False),
    Column("adopted_at", UtcTime, nullable=False),
)

#: What a centre that returned had when it came back: kept in a vault, and no recovery point.
quarantines = Table(
    "quarantines",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(40), primary_key=True),
    Column("system", String(40), primary_key=True),
    Column("taken_from", String(20), nullable=False),
    Column("centre", String(20), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("data_time", UtcTime, nullable=False),
    Column("finished_at", UtcTime, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("document", String(64), nullable=False),
    Column("sources", JSON, nullable=False),
    Column("compared_with", String(40)),
    Column("summary", JSON(none_as_null=True)),
    Column("compared_at", UtcTime),
    Column("note", Text),
)
