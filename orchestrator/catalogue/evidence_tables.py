"""The tables of what an auditor looks at: the audit chain, what drills found wrong, who signed their reports."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from orchestrator.catalogue.columns import UtcTime, metadata

#: The audit chain. An entry is written with what it tells of, in one transaction, and sealed after that: only then has
#: it a number and the digest that binds it to all before it. `body` is canonical JSON, kept as the very text.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("run_id", String(40)),
    Column("body", Text, nullable=False),
    Column("number", Integer, unique=True),
    Column("digest", String(80)),
    Index("audit_by_run", "run_id"),
    Index("audit_by_kind", "kind", "id"),
)
_unsealed = audit.c.number.is_(None)
Index("audit_unsealed", audit.c.id, sqlite_where=_unsealed, postgresql_where=_unsealed)

#: Where the chain begins after its oldest entries were let go: the last of them that is gone. These rows stay.
audit_roots = Table(
    "audit_roots",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("digest", String(80), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("trimmed_at", UtcTime, nullable=False),
)

#: What a drill found wrong, followed until a later drill shows that it is right: open, done, verified.
drill_findings = Table(
    "drill_findings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("drill", String(40), nullable=False),
    Column("plan", String(80), nullable=False),
    Column("tenant", String(40), nullable=False),
    Column("system", String(40), nullable=False),
    Column("centre", String(20), nullable=False),
    Column("key", String(200), nullable=False),
    Column("zh", Text, nullable=False),
    Column("en", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("found_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("last_drill", String(40), nullable=False),
    Column("closed_at", UtcTime),
    Column("closed_by", Text),
    Column("note", Text),
    Column("verified_at", UtcTime),
    Column("verified_by", String(40)),
    Index("drill_findings_by_system", "tenant", "system", "centre", "state"),
    Index("drill_findings_by_drill", "drill"),
)

#: Who signed the report of a drill: 编制, 审核, 批准. The digest is that of the document that was signed.
drill_signatures = Table(
    "drill_signatures",
    metadata,
    Column("drill", String(40), primary_key=True),
    Column("role", String(16), primary_key=True),
    Column("person", Text, nullable=False),
    Column("signed_at", UtcTime, nullable=False),
    Column("digest", String(80), nullable=False),
)
