"""What a drill measured: from the rows that its attempts left, and from nothing else. Nobody types a time in.

The clock of the RTO starts at the outage and not at a decision, so finding out and deciding count too. Every moment
from the outage to the last proof belongs to exactly one stage: a step's share is from its start to the start of the
next, so the stages add up to the RTO.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from orchestrator.catalogue.records import AttemptRow, Outcome

STAGES = ("detect", "decide", "restore", "start", "verify")

#: The stage of a step, by the part of its name before the colon. A step of no stage is not part of the recovery.
STAGE_OF_STEP = {
    "declare": "detect",
    "choose-point": "decide",
    "prepare-scratch": "restore",
    "fetch-document": "restore",
    "restore": "restore",
    "start": "start",
    "probe": "verify",
}


class Verdict(StrEnum):
    """达标 met: recovered, proved, and within both objectives. 不达标 missed: an objective was not. 失败 failed."""

    MET = "met"
    MISSED = "missed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Objective:
    """What the tier demands of a centre, in seconds."""

    rpo_seconds: float
    rto_seconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds; None where the drill did not get that far."""

    stages: Mapping[str, float | None]
    rto_seconds: float | None
    rpo_seconds: float | None

    def reached(self) -> dict[str, float]:
        return {stage: seconds for stage, seconds in self.stages.items() if seconds is not None}


def stage_of(step: str) -> str | None:
    """Return the stage that a step belongs to, None for one outside the recovery."""
    return STAGE_OF_STEP.get(step.partition(":")[0])


def measure(attempts: Iterable[AttemptRow], data_time: datetime | None) -> Measured:
    """Return what the attempts of one drill measured; `data_time` is that of the recovery point that was used.

    The RTO is None unless the last try at every step passed, and a probe came last. Pure.
    """
    rows = sorted((each for each in attempts if stage_of(each.step)), key=lambda each: (each.started_at, each.id))
    stages: dict[str, float | None] = dict.fromkeys(STAGES)
    if not rows:
        return Measured(stages, None, None)
    ends = [*(after.started_at for _, after in pairwise(rows)), rows[-1].ended_at or rows[-1].started_at]
    for row, end in zip(rows, ends, strict=True):
        stage = stage_of(row.step)
        assert stage is not None
        stages[stage] = (stages[stage] or 0.0) + (end - row.started_at).total_seconds()
    outage = rows[0].started_at
    return Measured(
        stages,
        rto_seconds=(ends[-1] - outage).total_seconds() if _recovered(rows) else None,
        rpo_seconds=(outage - data_time).total_seconds() if data_time else None,
    )


def judge(measured: Measured, objective: Objective) -> Verdict:
    """Return the verdict on a drill. Pure."""
    if measured.rto_seconds is None or measured.rpo_seconds is None:
        return Verdict.FAILED
    kept = measured.rto_seconds <= objective.rto_seconds and measured.rpo_seconds <= objective.rpo_seconds
    return Verdict.MET if kept else Verdict.MISSED


def _recovered(rows: Sequence[AttemptRow]) -> bool:
    last = {row.step: row for row in rows}
    return stage_of(rows[-1].step) == "verify" and all(_passed(row) for row in last.values())


def _passed(row: AttemptRow) -> bool:
    found = stage_of(row.step) != "verify" or (row.detail or {}).get("passed") is True
    return row.outcome is Outcome.PASSED and found
