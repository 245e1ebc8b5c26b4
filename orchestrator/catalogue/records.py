"""The catalogue's rows as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from policies.suspicion import Measures, Signal, Standing


class RunState(StrEnum):
    """Where a run is: queued, running, waiting, and then one of four ends."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    ABORTED = "aborted"
    INTERRUPTED = "interrupted"

    @property
    def ended(self) -> bool:
        return self not in OPEN


#: The states of a run that has not ended, and of one that a worker has in its hands.
HELD = (RunState.RUNNING, RunState.WAITING)
OPEN = (RunState.QUEUED, *HELD)


class Outcome(StrEnum):
    STARTED = "started"
    PASSED = "passed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for: a flow about a subject, the slots that it takes, and when it should come to its turn."""

    flow: str
    subject: str
    arguments: Mapping[str, str]
    slots: tuple[str, ...]
    priority: int = 0
    deadline: datetime | None = None
    not_before: datetime | None = None
    reason: str = ""
    requested_by: str = ""
    retry_of: str | None = None
    parent: str | None = None
    part: str | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """One execution of a flow about a subject, from the moment it is asked for.

    Priority 0 goes first. The generation counts the claims (0: never claimed), and names which of them a worker's
    write belongs to. `started_at` is the first claim. `worker` is who has the run, or had it last when it has ended. A
    run may be a `part` of a `parent`.
    """

    id: str
    flow: str
    subject: str
    arguments: Mapping[str, str]
    slots: tuple[str, ...]
    state: RunState
    priority: int
    deadline: datetime | None
    not_before: datetime | None
    reason: str
    requested_by: str
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    generation: int
    worker: str | None
    abort_requested_at: datetime | None
    abort_requested_by: str | None
    waiting_for: str | None
    pinned_host: str | None
    pinned_step: int | None
    progress: Any | None
    result: Any | None
    error_type: str | None
    error: str | None
    hint: str | None
    exit_code: int | None
    retry_of: str | None
    parent: str | None = None
    part: str | None = None


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A process that claims runs: a `server`, a `worker`, or the `one-shot` of a command. `jobs`: runs at once."""

    id: str
    kind: str
    host: str
    pid: int
    pid_started: int
    version: str
    jobs: int
    started_at: datetime
    beat_at: datetime


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt at one step, in one generation of its run.

    `seconds` is None while it runs. Of an interrupted one they reach to when its end was established, which is later
    than when it happened.
    """

    id: int
    run_id: str
    generation: int
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
class Cleanup:
    """Something that a run must still take away: with a host only there, with `on_failure` only if it fails."""

    id: int
    run_id: str
    action: str
    arguments: Mapping[str, Any]
    host: str | None
    on_failure: bool


@dataclass(frozen=True, slots=True)
class SourceCopy:
    """What one source put into a recovery point: a snapshot of the repository, and facts to prove it by.

    `rows`, and the shares `changed` and `rewritten` since the point before, are None where they are not known.
    """

    source: str
    kind: str
    snapshot_id: str
    data_time: datetime
    bytes: int
    files: int
    rows: int | None = None
    changed: float | None = None
    rewritten: float | None = None

    @property
    def measures(self) -> Measures:
        return Measures(self.bytes, self.files, self.rows, self.changed, self.rewritten)

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "kind": self.kind,
            "snapshot_id": self.snapshot_id,
            "data_time": self.data_time.isoformat(),
            "bytes": self.bytes,
            "files": self.files,
            "rows": self.rows,
            "changed": self.changed,
            "rewritten": self.rewritten,
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
            rows=value.get("rows"),
            changed=value.get("changed"),
            rewritten=value.get("rewritten"),
        )


@dataclass(frozen=True, slots=True)
class Point:
    """A recovery point: one state of a system. `document` is the snapshot that commits it.

    `consistent` says whether its sources are of one moment; None for points of before that was noted. `suspicion` is
    what made it suspect when it was made, which never changes.
    """

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
    consistent: bool | None = None
    suspicion: tuple[Signal, ...] = ()
    #: Nearer centres that did not answer when it was made: it was written past them.
    bypassed: tuple[str, ...] = ()

    @property
    def snapshot_ids(self) -> frozenset[str]:
        return frozenset({self.document, *(each.snapshot_id for each in self.sources)})


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a person said of a point, and why."""

    point: str
    verdict: Standing
    reason: str
    settled_by: str
    settled_at: datetime


@dataclass(frozen=True, slots=True)
class PointAt:
    """A recovery point as it stands at one centre. `settlement` is the last word on whether it is good."""

    point: Point
    centre: str
    landed_at: datetime
    proved_at: datetime | None
    settlement: Settlement | None = None

    @property
    def standing(self) -> Standing:
        if self.settlement:
            return self.settlement.verdict
        return Standing.SUSPECT if self.point.suspicion else Standing.GOOD

    @property
    def good(self) -> bool:
        return self.standing is Standing.GOOD


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
    plan_digest: str | None = None
    requested_by: str | None = None


@dataclass(frozen=True, slots=True)
class TenantCentre:
    tenant: str
    centre: str
    applied_at: datetime | None
    looked_at: datetime
    writes: int
    pending: int
