"""Rows as the work leaves them, on any database; a clock that stands still until it is moved; a program of a site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, insert

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.records import RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.secrets import Secret
from policies.site import Site

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TENANT, SYSTEM, CENTRE = "natural-resources", "land-registry", "same-city"
SUBJECT = f"{TENANT}/{SYSTEM}"


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self, db: object = None) -> datetime:
        return self.now

    def passes(self, **length: float) -> None:
        self.now += timedelta(**length)


@dataclass
class Program:
    site: Site
    catalogue: Catalogue

    def secret(self, reference: str, **names: str) -> Secret:
        return Secret(f"secret of {reference.format(**names)}")


def add_run(engine: Engine, run_id: str, state: RunState, at: datetime, **changes: Any) -> None:
    with engine.begin() as db:
        db.execute(insert(t.runs).values(**_run(run_id, state, at, **changes)))


def add_runs(engine: Engine, runs: Sequence[tuple[str, str]], state: RunState, at: datetime) -> None:
    """Add runs of a backup, (id, subject) each."""
    with engine.begin() as db:
        db.execute(insert(t.runs), [_run(run_id, state, at, subject=subject) for run_id, subject in runs])


def _run(run_id: str, state: RunState, at: datetime, **changes: Any) -> Mapping[str, Any]:
    failed = state is RunState.FAILED
    return {
        "id": run_id,
        "flow": "backup",
        "subject": SUBJECT,
        "arguments": {},
        "slots": [],
        "state": state,
        "priority": 0,
        "reason": "",
        "requested_by": "schedule",
        "queued_at": at - timedelta(minutes=1),
        "started_at": at - timedelta(minutes=1),
        "ended_at": at if failed or state is RunState.DONE else None,
        "generation": 1,
        "error_type": "Unreachable" if failed else None,
        "error": "the vault of same-city does not answer" if failed else None,
        **changes,
    }


def add_wait(engine: Engine, run_id: str, topic: str, at: datetime) -> None:
    with engine.begin() as db:
        db.execute(insert(t.waits).values(run_id=run_id, topic=topic, began_at=at))


def add_drill(engine: Engine, run_id: str, at: datetime, **changes: Any) -> None:
    values: Mapping[str, Any] = {
        "id": run_id,
        "plan": "land-registry",
        "tenant": TENANT,
        "system": SYSTEM,
        "centre": CENTRE,
        "kind": "sandbox",
        "started_at": at - timedelta(hours=1),
        "ended_at": at,
        "verdict": "met",
        "rpo_seconds": 600.0,
        "rto_seconds": 3000.0,
        "stages": {},
        "restored_bytes": 1,
        "report": f"/var/lib/tricenter/reports/{run_id}.html",
        "requested_by": "li.mei@ops",
        **changes,
    }
    with engine.begin() as db:
        db.execute(insert(t.drills).values(**values))


def add_fault(engine: Engine, key: str, at: datetime, healed_at: datetime | None = None) -> None:
    place = {"tenant": TENANT, "system": SYSTEM, "centre": CENTRE}
    with engine.begin() as db:
        db.execute(
            insert(t.findings).values(
                **place, key=key, kind="corrupt", detail="x", found_at=at, healed_at=healed_at, found_by="v"
            )
        )
