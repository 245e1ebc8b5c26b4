"""Evidence: a run of a plan as its rows tell it. Catalogue, report and screen are all made from this.

Nothing is carried from the run's own memory into its record, so a report made again in a year is the same report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from drills.kinds import Shape
from drills.measure import (
    STAGES,
    Measured,
    Verdict,
    base_of,
    judge,
    measure,
    passed,
    stage_of,
)
from drills.scenario import Part, Scenario
from orchestrator.catalogue.records import AttemptRow, DrillRow, Outcome, RunRow
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import InvalidInput, UnknownName
from policies.values import format_duration

FORMAT = 2

#: The flow of a part that recovers one system.
RECOVER = "recover"


@dataclass(frozen=True)
class Recovered:
    """The recovery of one system: its own attempts, those of the whole, and what follows from them."""

    part: Part
    whole: Sequence[AttemptRow]
    own: Sequence[AttemptRow]
    outage: datetime | None
    shape: Shape
    #: Why its recovery was not even begun, or ended without an attempt that says so.
    stopped: str | None

    @property
    def steps(self) -> list[AttemptRow]:
        """The attempts that belong to this recovery, the whole's among them."""
        return [each for each in self._timeline if each.step not in self._foreign]

    @property
    def last_tries(self) -> list[AttemptRow]:
        """The last attempt at each step: what was cut off and done again counts by how it ended then."""
        return list({base_of(each.step): each for each in self.steps}.values())

    @property
    def probes(self) -> list[AttemptRow]:
        return [each for each in self.last_tries if each.step.startswith("probe:")]

    @cached_property
    def point(self) -> Mapping[str, Any] | None:
        """The recovery point that was used, as its step saw it; None before that."""
        return _detail(self.whole, f"choose-point:{self.part.name}")

    @property
    def key_access(self) -> Mapping[str, Any] | None:
        """What the password was seen to open, and what is known of its escrow; None before that."""
        return _detail(self.own, "key-access")

    @cached_property
    def measured(self) -> Measured:
        passed_over = self.part.tolerated | self._foreign
        found = measure(self._timeline, self._data_time, outage=self.outage, tolerated=passed_over)
        return replace(found, rto_seconds=None) if self.shape.spoken else found  # talking about it measures nothing

    @property
    def _data_time(self) -> datetime | None:
        """Up to when data is there. A rehearsal on an older point measures the newest one that it could have used."""
        if self.point is None:
            return None
        older = timedelta(seconds=self.point.get("older_seconds") or 0.0) if self.shape.drill else timedelta(0)
        return datetime.fromisoformat(self.point["point"]["data_time"]) + older

    @property
    def verdict(self) -> Verdict:
        if self.shape.spoken:
            return Verdict.MET if self.probes and all(map(passed, self.probes)) else Verdict.FAILED
        return Verdict.FAILED if self.stopped else judge(self.measured, self.part.objective)

    @property
    def restored_bytes(self) -> int:
        placed = [each.detail for each in self.last_tries if each.step.startswith("restore:") and each.detail]
        return sum(each["bytes"] for each in placed)

    @property
    def ended_at(self) -> datetime:
        return max(each.ended_at or each.started_at for each in self.steps)

    @cached_property
    def _timeline(self) -> list[AttemptRow]:
        rows = [each for each in (*self.whole, *self.own) if stage_of(each.step)]
        return sorted(rows, key=lambda each: (each.started_at, each.id))

    @cached_property
    def _foreign(self) -> frozenset[str]:
        """The steps of the whole that are about other systems: this one waited for them, and does not fail by them."""
        return frozenset(each.step for each in self.whole if not _about(each.step, self.part.name))

    def problems(self) -> Iterator[dict[str, str]]:
        if self.stopped:
            yield {"zh": f"未恢复：{self.stopped}", "en": f"not recovered: {self.stopped}"}
        for each in self.last_tries:
            if each.outcome is not Outcome.PASSED and each.step != "systems":
                said = f"{each.error_type}: {each.error}" if each.error else str(each.outcome)
                yield {"zh": f"步骤 {each.step} 未完成：{said}", "en": f"step {each.step} did not pass: {said}"}
            elif not passed(each) and each.step.startswith("probe:"):
                want, got = each.detail["expected"], each.detail["got"]
                yield {
                    "zh": f"校验 {each.detail['name']} 未通过：应为 {want}，实为 {got}",
                    "en": f"probe {each.detail['name']} failed: expected {want}, got {got}",
                }
        yield from _missed(self.measured, self.part)


@dataclass(frozen=True)
class Evidence:
    """The attempts of one run of a plan and of its parts."""

    drill: str
    attempts: Sequence[AttemptRow]
    parts: Sequence[RunRow]
    own: Mapping[str, Sequence[AttemptRow]]  # by the run of the part

    @cached_property
    def scenario(self) -> Scenario:
        """What was declared. Raises InvalidInput for a run that an older program has recorded in its own way."""
        declared = _detail(self.attempts, "declare") or {}
        if "systems" not in declared:
            raise InvalidInput(
                f"drill {self.drill} was recorded by an older program, which told less of it",
                hint="the report that it wrote then is where drill list says",
            )
        return Scenario.from_json(declared)

    @cached_property
    def outage(self) -> datetime | None:
        """When the outage began: as it was declared, and when the system was sealed if it was planned."""
        if self.scenario.shape.sealed:
            return next((each.started_at for each in self.attempts if each.step.startswith("seal")), None)
        return self.scenario.outage

    @cached_property
    def systems(self) -> list[Recovered]:
        whole = [each for each in self.attempts if not self.outage or _counts(each, self.outage, self.scenario)]
        return [self._recovered(each, whole) for each in self.scenario.systems]

    @property
    def reconciliations(self) -> list[Mapping[str, Any]]:
        found = [each for each in self.attempts if each.step.startswith("reconcile:")]
        return [
            {
                **(each.detail or {"passed": False, "expected": "", "got": each.error or "", "detail": []}),
                "step": each.step,
            }
            for each in {each.step: each for each in found}.values()
        ]

    def _recovered(self, part: Part, whole: Sequence[AttemptRow]) -> Recovered:
        runs = [each for each in self.parts if each.flow == RECOVER and each.arguments.get("system") == part.name]
        own = [attempt for run in runs for attempt in self.own.get(run.id, ())]
        stopped = None
        if self.scenario.shape.target != "nowhere":
            if not runs and any(each.step == "systems" for each in whole):
                stopped = "its turn never came"
            elif runs and runs[-1].error and not any(each.error for each in own):
                stopped = runs[-1].error
        return Recovered(part, whole, own, self.outage, self.scenario.shape, stopped)


def gather(catalogue: Catalogue, drill: str) -> Evidence:
    """Return the evidence of a run of a plan, with that of its parts."""
    parts = catalogue.parts(drill)
    return Evidence(drill, catalogue.attempts(drill), parts, {each.id: catalogue.attempts(each.id) for each in parts})


def conclude(catalogue: Catalogue, drill: str, reports: Path) -> list[DrillRow]:
    """Write the rows of a run, one a system, from its attempts; mark points as proved that were. Return the rows."""
    seen = gather(catalogue, drill)
    scenario, report = seen.scenario, str(reports / f"{drill}.html")
    disagree = not all(each.get("passed") for each in seen.reconciliations)
    requested_by = catalogue.run(drill).requested_by
    rows = []
    for each in seen.systems:
        verdict = Verdict.FAILED if disagree else each.verdict
        row = DrillRow(
            id=drill,
            plan=scenario.plan,
            tenant=each.part.tenant,
            system=each.part.system,
            centre=scenario.centre,
            kind=scenario.kind,
            point_id=each.point["point"]["id"] if each.point else None,
            started_at=each.steps[0].started_at if each.steps else seen.attempts[0].started_at,
            ended_at=each.ended_at if each.steps else seen.attempts[-1].started_at,
            verdict=verdict,
            rpo_seconds=each.measured.rpo_seconds,
            rto_seconds=each.measured.rto_seconds,
            stages=each.measured.reached(),
            restored_bytes=each.restored_bytes,
            report=report,
            plan_digest=scenario.plan_digest,
            requested_by=requested_by,
        )
        catalogue.add_drill(row)
        rows.append(row)
        if each.point and row.point_id and verdict != Verdict.FAILED:
            catalogue.mark_proved(row.point_id, each.point["centre"])
    return rows


def find_drill(catalogue: Catalogue, drill: str) -> list[DrillRow]:
    """Return the rows of a run of a plan that ended, one a system. Raises UnknownName."""
    rows = catalogue.drills()
    if not (found := [each for each in rows if each.id == drill]):
        raise UnknownName("drill", drill, {each.id for each in rows})
    return sorted(found, key=lambda each: (each.tenant, each.system))


def worst(verdicts: Sequence[str]) -> Verdict:
    """Return the verdict on the whole: that of its worst system. Pure."""
    return next((each for each in (Verdict.FAILED, Verdict.MISSED) if each in verdicts), Verdict.MET)


def as_document(catalogue: Catalogue, drill: str) -> dict[str, Any]:
    """Return everything that is known of a run of a plan as plain JSON: what reports and packs are made of.

    Verdicts and times are those of the rows, written when it ended. Raises UnknownName for one that did not.
    """
    return describe(find_drill(catalogue, drill), gather(catalogue, drill))


def describe(drill_rows: Sequence[DrillRow], seen: Evidence) -> dict[str, Any]:
    """Return what `as_document` does, from the rows. Pure."""
    rows = {f"{each.tenant}/{each.system}": each for each in drill_rows}
    scenario = asdict(seen.scenario)
    verdict = worst([each.verdict for each in rows.values()])
    return {
        "format": FORMAT,
        "drill": seen.drill,
        **{key: value for key, value in scenario.items() if key != "systems"},
        "verdict": str(verdict),
        "started_at": seen.attempts[0].started_at.isoformat(),
        "ended_at": max(each.ended_at for each in rows.values()).isoformat(),
        "outage_at": seen.outage.isoformat() if seen.outage else None,
        "declared_by": scenario["operator"],
        "approved_by": (_detail(seen.attempts, "approve") or {}).get("by"),
        "epoch": _detail(seen.attempts, "epoch"),
        "switched": _switched(seen),
        "systems": [_system(each, rows[each.part.name]) for each in seen.systems],
        "reconciliations": list(seen.reconciliations),
        "grades": next((each.detail for each in seen.attempts if each.step == "grade" and each.detail), []),
        "attempts": list(_attempts(seen)),
    }


def _system(each: Recovered, row: DrillRow) -> dict[str, Any]:
    part = asdict(each.part)
    return {
        **part,
        "system": each.part.name,
        "title": part["system_title"],
        "point": each.point,
        "measured": {
            "rpo_seconds": row.rpo_seconds,
            "rto_seconds": row.rto_seconds,
            "stages": {stage: row.stages.get(stage) for stage in STAGES},
        },
        "verdict": str(row.verdict),
        "restored_bytes": row.restored_bytes,
        "probes": [_probe(probe) for probe in each.probes],
        "problems": list(each.problems()),
        "tolerated": sorted(each.part.tolerated),
        # Only where it was proved: what was signed of older drills stays as it was.
        **({"key_access": each.key_access} if each.key_access else {}),
    }


def _attempts(seen: Evidence) -> Iterator[dict[str, Any]]:
    systems = {run.id: run.arguments.get("system") for run in seen.parts}
    rows = [*seen.attempts, *(attempt for own in seen.own.values() for attempt in own)]
    for each in sorted(rows, key=lambda each: (each.started_at, each.id)):
        outcome = Outcome.FAILED if each.outcome is Outcome.PASSED and not passed(each) else each.outcome
        yield {
            "run": each.run_id,
            "step": each.step,
            "system": systems.get(each.run_id),
            "stage": stage_of(each.step),
            "started_at": each.started_at.isoformat(),
            "ended_at": each.ended_at.isoformat() if each.ended_at else None,
            "seconds": each.seconds,
            "outcome": str(outcome),
            "error": each.error,
        }


def _probe(each: AttemptRow) -> dict[str, Any]:
    found = each.detail or {"name": each.step, "passed": False, "expected": "", "got": each.error or "", "detail": []}
    return {"step": each.step, "seconds": each.seconds, **found}


def _switched(seen: Evidence) -> str:
    done = any(each.step.startswith("switch:") for own in seen.own.values() for each in own if passed(each))
    if not done:
        return "none"
    return "real" if seen.scenario.shape.activates else "simulated"


def _missed(measured: Measured, part: Part) -> Iterator[dict[str, str]]:
    for name, actual, limit in (
        ("RTO", measured.rto_seconds, part.objective.rto_seconds),
        ("RPO", measured.rpo_seconds, part.objective.rpo_seconds),
    ):
        if actual is not None and actual > limit:
            said, allowed = format_duration(actual), format_duration(limit)
            yield {
                "zh": f"{name} 实测 {said}，超过目标 {allowed}",
                "en": f"the measured {name} of {said} exceeds the objective of {allowed}",
            }


def _detail(attempts: Sequence[AttemptRow], step: str) -> Mapping[str, Any] | None:
    for each in attempts:
        if base_of(each.step) == step and each.outcome is Outcome.PASSED:
            detail: Mapping[str, Any] = each.detail
            return detail
    return None


def _about(step: str, system: str) -> bool:
    """Whether a step of the whole is about a system: it names none, or this one."""
    about = step.partition(":")[2]
    return "/" not in about or system in about.split(":")


def _counts(each: AttemptRow, outage: datetime, scenario: Scenario) -> bool:
    """Whether a step of the whole is part of the outage: what was done while a planned one had not begun is not."""
    return not scenario.shape.sealed or each.started_at >= outage or each.step.startswith("choose-point")
