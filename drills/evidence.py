"""Evidence: a drill as its rows tell it. The catalogue's row, the report and the screen are all made from this.

Nothing is carried from the drill's own memory into its record, so a report made again in a year is the same report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from drills.measure import STAGES, Measured, Verdict, judge, measure, stage_of
from drills.scenario import Scenario
from orchestrator.catalogue.records import AttemptRow, DrillRow, Outcome
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import UnknownName
from policies.values import format_duration

FORMAT = 1


@dataclass(frozen=True)
class Evidence:
    """The attempts of one drill, and what follows from them."""

    drill: str
    attempts: Sequence[AttemptRow]

    @cached_property
    def scenario(self) -> Scenario:
        return Scenario.from_json(self._detail("declare") or {})

    @cached_property
    def point(self) -> Mapping[str, Any] | None:
        """The recovery point that was used, as its step saw it: {"point": …, "landed_at": …}; None before that."""
        return self._detail("choose-point")

    @cached_property
    def measured(self) -> Measured:
        data_time = datetime.fromisoformat(self.point["point"]["data_time"]) if self.point else None
        return measure(self.attempts, data_time)

    @cached_property
    def verdict(self) -> Verdict:
        return judge(self.measured, self.scenario.objective)

    @property
    def steps(self) -> list[AttemptRow]:
        """The attempts that belong to the recovery."""
        return [each for each in self.attempts if stage_of(each.step)]

    @property
    def last_tries(self) -> list[AttemptRow]:
        """The last attempt at each of these steps: what was cut off and done again counts by how it ended then."""
        return list({each.step: each for each in self.steps}.values())

    @property
    def probes(self) -> list[AttemptRow]:
        return [each for each in self.last_tries if stage_of(each.step) == "verify"]

    @property
    def restored_bytes(self) -> int:
        placed = [each.detail for each in self.last_tries if each.step.startswith("restore:") and each.detail]
        return sum(each["bytes"] for each in placed)

    @property
    def ended_at(self) -> datetime:
        return max(each.ended_at or each.started_at for each in self.steps)

    def _detail(self, step: str) -> Mapping[str, Any] | None:
        for each in self.attempts:
            if each.step == step and each.outcome is Outcome.PASSED:
                detail: Mapping[str, Any] = each.detail
                return detail
        return None


def conclude(catalogue: Catalogue, drill: str, reports: Path) -> DrillRow:
    """Write the drill's row from its attempts, mark its point as proved when it was, and return the row."""
    seen = Evidence(drill, catalogue.attempts(drill))
    scenario, measured = seen.scenario, seen.measured
    row = DrillRow(
        id=drill,
        plan=scenario.plan,
        tenant=scenario.tenant,
        system=scenario.system,
        centre=scenario.centre,
        kind=scenario.kind,
        point_id=seen.point["point"]["id"] if seen.point else None,
        started_at=seen.steps[0].started_at,
        ended_at=seen.ended_at,
        verdict=seen.verdict,
        rpo_seconds=measured.rpo_seconds,
        rto_seconds=measured.rto_seconds,
        stages=measured.reached(),
        restored_bytes=seen.restored_bytes,
        report=str(reports / f"{drill}.html"),
    )
    catalogue.add_drill(row)
    if row.point_id and row.verdict != Verdict.FAILED:
        catalogue.mark_proved(row.point_id, row.centre)
    return row


def find_drill(catalogue: Catalogue, drill: str) -> DrillRow:
    """Return the row of a drill that ended. Raises UnknownName."""
    rows = {each.id: each for each in catalogue.drills()}
    if drill not in rows:
        raise UnknownName("drill", drill, rows)
    return rows[drill]


def as_document(row: DrillRow, attempts: Iterable[AttemptRow]) -> dict[str, Any]:
    """Return everything that is known of a drill as plain JSON: the evidence file, and what reports are made of.

    Verdict and times are those of the row, written when the drill ended. Pure.
    """
    seen = Evidence(row.id, tuple(attempts))
    scenario = asdict(seen.scenario)
    return {
        "format": FORMAT,
        "drill": row.id,
        "verdict": str(row.verdict),
        "started_at": row.started_at.isoformat(),
        "ended_at": row.ended_at.isoformat(),
        "scenario": {**scenario, "probes": list(scenario["probes"])},
        "objective": scenario["objective"],
        "measured": {
            "rpo_seconds": row.rpo_seconds,
            "rto_seconds": row.rto_seconds,
            "stages": {stage: row.stages.get(stage) for stage in STAGES},
        },
        "point": seen.point,
        "restored_bytes": row.restored_bytes,
        "steps": [_step(each) for each in seen.steps],
        "probes": [_probe(each) for each in seen.probes],
        "problems": list(_problems(row, seen)),
    }


def _step(each: AttemptRow) -> dict[str, Any]:
    passed = each.outcome is Outcome.PASSED
    if passed and stage_of(each.step) == "verify":
        passed = bool(each.detail["passed"])
    return {
        "step": each.step,
        "stage": stage_of(each.step),
        "started_at": each.started_at.isoformat(),
        "ended_at": each.ended_at.isoformat() if each.ended_at else None,
        "seconds": each.seconds,
        "outcome": str(Outcome.FAILED if each.outcome is Outcome.PASSED and not passed else each.outcome),
        "error": each.error,
    }


def _probe(each: AttemptRow) -> dict[str, Any]:
    found = each.detail or {"name": each.step, "passed": False, "expected": "", "got": each.error or "", "detail": []}
    return {"step": each.step, "seconds": each.seconds, **found}


def _problems(row: DrillRow, seen: Evidence) -> Iterator[dict[str, str]]:
    for each in seen.last_tries:
        if each.outcome is not Outcome.PASSED:
            said = f"{each.error_type}: {each.error}" if each.error else str(each.outcome)
            yield {"zh": f"步骤 {each.step} 未完成：{said}", "en": f"step {each.step} did not pass: {said}"}
        elif stage_of(each.step) == "verify" and not each.detail["passed"]:
            want, got = each.detail["expected"], each.detail["got"]
            yield {
                "zh": f"校验 {each.detail['name']} 未通过：应为 {want}，实为 {got}",
                "en": f"probe {each.detail['name']} failed: expected {want}, got {got}",
            }
    objective = seen.scenario.objective
    for name, actual, limit in (
        ("RTO", row.rto_seconds, objective.rto_seconds),
        ("RPO", row.rpo_seconds, objective.rpo_seconds),
    ):
        if actual is not None and actual > limit:
            measured, allowed = format_duration(actual), format_duration(limit)
            yield {
                "zh": f"{name} 实测 {measured}，超过目标 {allowed}",
                "en": f"the measured {name} of {measured} exceeds the objective of {allowed}",
            }
