"""The tables of the catalogue, on SQLite or PostgreSQL. Whoever changes one adds a step to `migrations/versions`."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    null,
)

from orchestrator.catalogue.archive_tables import archive_marks as archive_marks
from orchestrator.catalogue.archive_tables import archives as archives
from orchestrator.catalogue.columns import UtcTime as UtcTime
from orchestrator.catalogue.columns import metadata as metadata
from orchestrator.catalogue.detail_tables import tenant_details as tenant_details
from orchestrator.catalogue.drift_tables import tenant_drifts as tenant_drifts
from orchestrator.catalogue.epoch_tables import epochs as epochs
from orchestrator.catalogue.epoch_tables import quarantines as quarantines
from orchestrator.catalogue.evidence_tables import audit as audit
from orchestrator.catalogue.evidence_tables import audit_roots as audit_roots
from orchestrator.catalogue.evidence_tables import drill_findings as drill_findings
from orchestrator.catalogue.evidence_tables import drill_signatures as drill_signatures
from orchestrator.catalogue.key_tables import escrow_bundles as escrow_bundles
from orchestrator.catalogue.key_tables import escrow_checks as escrow_checks
from orchestrator.catalogue.key_tables import key_accesses as key_accesses
from orchestrator.catalogue.key_tables import key_checks as key_checks
from orchestrator.catalogue.life_tables import tenant_lives as tenant_lives
from orchestrator.catalogue.notice_tables import messages as messages
from orchestrator.catalogue.notice_tables import notice_marks as notice_marks
from orchestrator.catalogue.notice_tables import notices as notices
from orchestrator.catalogue.notice_tables import tellings as tellings
from orchestrator.catalogue.parity_tables import parities as parities
from orchestrator.catalogue.quota_change_tables import quota_changes as quota_changes
from orchestrator.catalogue.quota_tables import quota_uses as quota_uses
from orchestrator.catalogue.request_tables import tenant_requests as tenant_requests
from orchestrator.catalogue.run_tables import attempts as attempts
from orchestrator.catalogue.run_tables import run_slots as run_slots
from orchestrator.catalogue.run_tables import runs as runs
from orchestrator.catalogue.run_tables import waits as waits
from orchestrator.catalogue.run_tables import workers as workers

#: Raised whenever a table changes: the number of the newest step of `migrations/versions`.
SCHEMA_VERSION = 6

#: One row: which version of the tables this is.
schema = Table("schema", metadata, Column("version", Integer, nullable=False))

#: Since when a system is known. Exposure of a system without any recovery point counts from here. The stamp is another
#: whenever its landings changed otherwise than by one that came: who has read them before reads them again.
systems = Table(
    "systems",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("system", String(40), primary_key=True),
    Column("created_at", UtcTime, nullable=False),
    Column("stamp", BigInteger),
)

#: What a run must take away again, written down before it is made, so that a killed run leaves nothing behind.
#: With a host, only that machine can do it; `on_failure` is not done when the run was done to its end.
cleanups = Table(
    "cleanups",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(40), ForeignKey("runs.id"), nullable=False),
    Column("action", String(40), nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("host", String(120)),
    Column("on_failure", Boolean, nullable=False),
    Column("done_at", UtcTime),
    Index("cleanups_by_run", "run_id"),
)
_undone = cleanups.c.done_at.is_(None)
Index("cleanups_open", cleanups.c.run_id, sqlite_where=_undone, postgresql_where=_undone)

points = Table(
    "points",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("run_id", String(40), nullable=False),
    Column("tenant", String(40), nullable=False),
    Column("system", String(40), nullable=False),
    Column("tier", String(40), nullable=False),
    Column("data_time", UtcTime, nullable=False),
    Column("finished_at", UtcTime, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("added_bytes", BigInteger, nullable=False),
    Column("document", String(64), nullable=False),
    Column("sources", JSON, nullable=False),
    Column("consistent", Boolean),
    Column("suspicion", JSON(none_as_null=True)),
    Column("bypassed", JSON(none_as_null=True)),
    Index("points_by_system", "tenant", "system", "data_time"),
)

# Few points are ever suspect: only those are in this index.
_suspected = points.c.suspicion.is_not(null())
Index("points_suspect", points.c.tenant, points.c.system, sqlite_where=_suspected, postgresql_where=_suspected)

#: What a person said of a point: that it is good although it was suspect, or bad. The last word holds.
settlements = Table(
    "settlements",
    metadata,
    Column("point_id", String(40), ForeignKey("points.id"), primary_key=True),
    Column("verdict", String(8), nullable=False),
    Column("reason", Text, nullable=False),
    Column("settled_by", Text, nullable=False),
    Column("settled_at", UtcTime, nullable=False),
)

#: A point is at a centre from the moment all its snapshots are in that centre's own listing.
landings = Table(
    "landings",
    metadata,
    Column("point_id", String(40), ForeignKey("points.id"), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("landed_at", UtcTime, nullable=False),
    Column("proved_at", UtcTime),
    Index("landings_by_time", "landed_at"),
)
#: A point that was written past a centre that did not answer, and when it came to it all the same.
bypasses = Table(
    "bypasses",
    metadata,
    Column("point_id", String(40), ForeignKey("points.id"), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("landed_at", UtcTime),
)

# Few of a year's landings are ever proved: only those are in this index.
_proved = landings.c.proved_at.is_not(None)
Index("landings_by_proof", landings.c.proved_at, sqlite_where=_proved, postgresql_where=_proved)

#: A drill, or whatever else a plan was run for, has a row for each of its systems.
drills = Table(
    "drills",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("plan", String(80), nullable=False),
    Column("tenant", String(40), primary_key=True),
    Column("system", String(40), primary_key=True),
    Column("centre", String(20), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("point_id", String(40)),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("rpo_seconds", Float),
    Column("rto_seconds", Float),
    Column("stages", JSON, nullable=False),
    Column("restored_bytes", BigInteger, nullable=False),
    Column("report", Text),
    Column("plan_digest", String(64)),
    Column("requested_by", Text),
    Index("drills_by_system", "tenant", "system", "centre", "ended_at"),
)

tenant_centres = Table(
    "tenant_centres",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("applied_at", UtcTime),
    Column("looked_at", UtcTime, nullable=False),
    Column("writes", Integer, nullable=False),
    Column("pending", Integer, nullable=False),
)

#: Who holds a lease now. Shared holders may be several; an exclusive one is alone.
lease_holders = Table(
    "lease_holders",
    metadata,
    Column("name", String(160), primary_key=True),
    Column("holder", String(40), primary_key=True),
    Column("exclusive", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("host", String(120), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pid_started", BigInteger, nullable=False),
)

lease_fences = Table(
    "lease_fences",
    metadata,
    Column("name", String(160), primary_key=True),
    Column("fence", Integer, nullable=False),
)

#: What is remembered of the rolling read of a system's repository at a centre: a row per slice of the hash space.
read_slices = Table(
    "read_slices",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("system", String(40), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("prefix", String(4), primary_key=True),
    Column("objects", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("oldest", UtcTime, nullable=False),
    Column("read_at", UtcTime),
)

#: The last verification of each depth that came to its end, whatever it found.
verifications = Table(
    "verifications",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("system", String(40), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("depth", String(16), primary_key=True),
    Column("began_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)

#: What verification found wrong: open until a later look finds it good again.
findings = Table(
    "findings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("tenant", String(40), nullable=False),
    Column("system", String(40), nullable=False),
    Column("centre", String(20), nullable=False),
    Column("key", String(200), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("found_at", UtcTime, nullable=False),
    Column("healed_at", UtcTime),
    # Runs: what found it, and what closed it; and the centre whose copy was put over it, with that copy's hash.
    Column("found_by", String(40)),
    Column("healed_by", String(40)),
    Column("healed_from", String(20)),
    Column("sha256", String(64)),
)
_unhealed = findings.c.healed_at.is_(None)
_of_finding = (findings.c.tenant, findings.c.system, findings.c.centre, findings.c.key)
Index("findings_open", *_of_finding, unique=True, sqlite_where=_unhealed, postgresql_where=_unhealed)

#: The hash of the `config` with which the repository of a system last opened. It is the same at all centres.
configs = Table(
    "configs",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("system", String(40), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("opened_at", UtcTime, nullable=False),
)

#: The retention of a system at a centre: when it last ran, when it last forgot anything, when it was last pruned.
spot_checks = Table(
    "spot_checks",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("system", String(40), primary_key=True),
    Column("point_id", String(40), nullable=False),
    Column("began_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=False),
    Column("faults", Integer, nullable=False),
    Column("sources", JSON, nullable=False),
)

expiries = Table(
    "expiries",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("system", String(40), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("ran_at", UtcTime),
    Column("forgot_at", UtcTime),
    Column("pruned_at", UtcTime),
    Column("points", Integer, nullable=False),
)

#: The last look at the object locks of a system at a centre. `floor` is the earliest end of a lock among its objects,
#: as the store said; none while any of them is not locked.
locks = Table(
    "locks",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("system", String(40), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("ran_at", UtcTime, nullable=False),
    Column("floor", UtcTime),
    Column("objects", Integer, nullable=False),
    Column("extended", Integer, nullable=False),
    Column("unlocked", Integer, nullable=False),
    Column("overwritten", Integer, nullable=False),
)

#: The same for each recovery point that was there: the earliest end of a lock among the objects that it needs.
point_locks = Table(
    "point_locks",
    metadata,
    Column("point_id", String(40), ForeignKey("points.id"), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("floor", UtcTime),
)

#: What the last look at whether a plan is ready found, by plan, centre and kind.
plan_checks = Table(
    "plan_checks",
    metadata,
    Column("plan", String(80), primary_key=True),
    Column("centre", String(20), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("run_id", String(40), nullable=False),
    Column("checked_at", UtcTime, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("warned", Integer, nullable=False),
    Column("items", JSON, nullable=False),
)
