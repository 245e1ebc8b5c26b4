"""The tables of keys and their escrow: when they were last seen to open anything. No secret is ever in them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Integer, String, Table

from orchestrator.catalogue.columns import UtcTime, metadata

#: The newest rescue bundle in the vault of a centre. `key` names the key that its shares make.
escrow_bundles = Table(
    "escrow_bundles",
    metadata,
    Column("centre", String(20), primary_key=True),
    Column("key", String(16), nullable=False),
    Column("made_at", UtcTime, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("missing", Integer, nullable=False),
)

#: Each time that custodians proved that their shares open the bundle at a centre.
escrow_checks = Table(
    "escrow_checks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("checked_at", UtcTime, nullable=False),
    Column("centre", String(20), nullable=False),
    Column("key", String(16), nullable=False),
    Column("bundle_made_at", UtcTime, nullable=False),
    Column("custodians", JSON, nullable=False),
)

#: The last time that a run of a plan opened a repository of a tenant at a centre with the password of the site.
key_accesses = Table(
    "key_accesses",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("opened_at", UtcTime, nullable=False),
)

#: The last time that all repositories of a tenant at a centre opened with the password of the site.
key_checks = Table(
    "key_checks",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("checked_at", UtcTime, nullable=False),
    Column("repositories", Integer, nullable=False),
)
