"""The catalogue's rows as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class RunState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Outcome(StrEnum):
    STARTED = "started"
    PASSED = "passed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class RunRow:
    id: str
    flow: str
    subject: str
    state: RunState
    started_at: datetime
    ended_at: datetime | None
    error_type: str | None
    error: str | None
    host: str
    pid: int
    pid_started: int


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt at one step. `seconds` is None while it runs, or when its process died."""

    id: int
    run_id: str
    step: str
    started_at: datetime
    ended_at: datetime | None
    outcome: Outcome
    error_type: str | None
    error: str | None
    detail: Any

    @property
    def seconds(self) -> float | None:
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at else None


@dataclass(frozen=True, slots=True)
class SourceCopy:
    """What one source put into a recovery point: a snapshot of the repository, and facts to prove it by."""

    source: str
    kind: str
    snapshot_id: str
    data_time: datetime
    bytes: int
    files: int

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "kind": self.kind,
            "snapshot_id": self.snapshot_id,
            "data_time": self.data_time.isoformat(),
            "bytes": self.bytes,
            "files": self.files,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SourceCopy:
        return cls(
            source=value["source"],
            kind=value["kind"],
            snapshot_id=value["snapshot_id"],
            data_time=datetime.fromisoformat(value["data_time"]),
            bytes=value["bytes"],
            files=value["files"],
        )


@dataclass(frozen=True, slots=True)
class Point:
    """A recovery point: one consistent state of a system. `document` is the snapshot that commits it."""

    id: str
    run_id: str
    tenant: str
    system: str
    tier: str
    data_time: datetime
    finished_at: datetime
    bytes: int
    added_bytes: int
    document: str
    sources: tuple[SourceCopy, ...]

    @property
    def snapshot_ids(self) -> frozenset[str]:
        return frozenset({self.document, *(each.snapshot_id for each in self.sources)})


@dataclass(frozen=True, slots=True)
class PointAt:
    """A recovery point as it stands at one centre."""

    point: Point
    centre: str
    landed_at: datetime
    proved_at: datetime | None


@dataclass(frozen=True, slots=True)
class DrillRow:
    """One drill that ended. Seconds are measured; None where the drill did not get that far."""

    id: str
    plan: str
    tenant: str
    system: str
    centre: str
    kind: str
    point_id: str | None
    started_at: datetime
    ended_at: datetime
    verdict: str
    rpo_seconds: float | None
    rto_seconds: float | None
    stages: Mapping[str, float]
    restored_bytes: int
    report: str | None


@dataclass(frozen=True, slots=True)
class TenantCentre:
    tenant: str
    centre: str
    applied_at: datetime
    writes: int
    pending: int
