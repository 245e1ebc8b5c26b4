"""The tables of continuous archives: what each centre can give back, and the moments that this is known by."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, String, Table

from orchestrator.catalogue.columns import UtcTime, metadata

#: The last look at the archive of a source at a centre: it gives back every moment from `since` to `until`. `missing`
#: is the first WAL segment that is not there although later ones are.
archives = Table(
    "archives",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("system", String(40), primary_key=True),
    Column("source", String(40), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("observed_at", UtcTime, nullable=False),
    Column("since", UtcTime),
    Column("until", UtcTime),
    Column("missing", String(24)),
    Column("full_at", UtcTime),
    Column("backup_at", UtcTime),
    Column("backups", Integer, nullable=False),
)

#: Moments, each with the WAL segment by which all that was committed then is written. They go when every centre has it.
archive_marks = Table(
    "archive_marks",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("system", String(40), primary_key=True),
    Column("source", String(40), primary_key=True),
    Column("moment", UtcTime, primary_key=True),
    Column("segment", String(24), nullable=False),
    Column("segment_bytes", BigInteger, nullable=False),
)
