"""What a run of a plan measured: from the rows that its attempts left, and from nothing else. Nobody types a time in.

The clock of the RTO starts at the outage and not at a decision, so finding out and deciding count too. Every moment
from the outage to the last proof belongs to exactly one stage: a step's share is from its start to the start of the
next, so the stages add up to the RTO.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from orchestrator.catalogue.records import AttemptRow, Outcome

STAGES = ("detect", "decide", "wait", "restore", "start", "verify", "switch")

#: The stage of a step, by the part of its name before the colon. A step of no stage is not part of the recovery.
STAGE_OF_STEP = {
    "declare": "detect",
    "wait": "decide",
    "approve": "decide",
    "choose-point": "decide",
    "seal": "decide",
    "sync": "decide",
    "epoch": "decide",
    "systems": "wait",
    "key-access": "restore",
    "prepare-scratch": "restore",
    "fetch-document": "restore",
    "restore": "restore",
    "import": "restore",
    "take-over": "restore",
    "adopt": "restore",
    "swap": "restore",
    "network": "restore",
    "servers": "restore",
    "start": "start",
    "probe": "verify",
    "switch": "switch",
    "script": "restore",
    "prompt": "verify",
}

#: Waits that come when everything is recovered and proved.
AFTERWARDS = ("wait:commit", "wait:release")

#: Between a step and the number of a further try at it.
AGAIN = "~"


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
    """Seconds; None where the run did not get that far."""

    stages: Mapping[str, float | None]
    rto_seconds: float | None
    rpo_seconds: float | None

    def reached(self) -> dict[str, float]:
        return {stage: seconds for stage, seconds in self.stages.items() if seconds is not None}


def base_of(step: str) -> str:
    """Return a step's name without the number of its try. Pure."""
    return step.partition(AGAIN)[0]


def stage_of(step: str) -> str | None:
    """Return the stage that a step belongs to, None for one outside the recovery."""
    name = step.partition(":")[0]
    if step in AFTERWARDS:
        return None
    return STAGE_OF_STEP.get(name) or STAGE_OF_STEP.get(name.partition("-")[0])


def measure(
    attempts: Iterable[AttemptRow],
    data_time: datetime | None,
    *,
    outage: datetime | None = None,
    tolerated: Collection[str] = (),
) -> Measured:
    """Return what the attempts of one system's recovery measured; `data_time` is its recovery point's.

    The clock starts at the outage; at the first attempt when that is not given. The RTO is None unless the last try
    at every step passed, but for those that are `tolerated`, and something was proved. Pure.
    """
    rows = sorted((each for each in attempts if stage_of(each.step)), key=lambda each: (each.started_at, each.id))
    stages: dict[str, float | None] = dict.fromkeys(STAGES)
    if not rows:
        return Measured(stages, None, None)
    begin = min(outage or rows[0].started_at, rows[0].started_at)
    ends = [*(after.started_at for _, after in pairwise(rows)), rows[-1].ended_at or rows[-1].started_at]
    stages["detect"] = (rows[0].started_at - begin).total_seconds() if outage else None
    for row, end in zip(rows, ends, strict=True):
        stage = stage_of(row.step)
        assert stage is not None
        stages[stage] = (stages[stage] or 0.0) + (end - row.started_at).total_seconds()
    return Measured(
        stages,
        rto_seconds=(ends[-1] - begin).total_seconds() if _recovered(rows, tolerated) else None,
        rpo_seconds=max((begin - data_time).total_seconds(), 0.0) if data_time else None,
    )


def judge(measured: Measured, objective: Objective) -> Verdict:
    """Return the verdict on a recovery. Pure."""
    if measured.rto_seconds is None or measured.rpo_seconds is None:
        return Verdict.FAILED
    kept = measured.rto_seconds <= objective.rto_seconds and measured.rpo_seconds <= objective.rpo_seconds
    return Verdict.MET if kept else Verdict.MISSED


def passed(row: AttemptRow) -> bool:
    """Whether a step was done, and found what it should when it is a probe."""
    found = not row.step.startswith("probe:") or (row.detail or {}).get("passed") is True
    return row.outcome is Outcome.PASSED and found


def _recovered(rows: Sequence[AttemptRow], tolerated: Collection[str]) -> bool:
    last = {base_of(row.step): row for row in rows}
    halting = [row for name, row in last.items() if not is_tolerated(name, tolerated)]
    proved = any(row.step.startswith("probe:") for row in rows)
    return proved and all(passed(row) for row in halting)


def is_tolerated(step: str, tolerated: Collection[str]) -> bool:
    """Whether the plan goes on without a step: it is named whole, or by its label (`restore`, `script-warm-cache`)."""
    return step in tolerated or step.partition(":")[0] in tolerated
