"""A run of a plan: rehearsed or real, on one path. What a kind has not (`drills.kinds`) is passed over.

The whole declares, is approved, seals and synchronises where the other centre lives, chooses the points, raises the
epoch, has every system recovered as a part of its own, reconciles, and keeps a way back open. Nothing here waits for a
centre that is gone: only the vault that is read, and the surviving registers, are asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drills import activation, promotion
from drills.deadline import stop_after
from drills.evidence import RECOVER, conclude
from drills.grades import grade_now
from drills.probes import ProbeResult, reconcile
from drills.recover import as_figures
from drills.scenario import Scenario, find_system
from drills.tabletop import talk_through
from orchestrator.backups.landings import choose_point
from orchestrator.catalogue.records import DrillRow, PointAt
from orchestrator.engine.journal import as_evidence
from orchestrator.engine.port import Part, PartState, Run
from orchestrator.errors import (
    CheckFailed,
    Interrupted,
    PartlyDone,
    ProcessFailed,
    Refused,
    TricenterError,
    UnknownName,
)
from policies.plan import Plan, before
from policies.site import SystemRef

if TYPE_CHECKING:
    from drills.flows import Program


@dataclass(frozen=True, slots=True)
class Drill:
    """One run of a plan to be held. `point` says which recovery points, `vault` is the centre they are read from."""

    scenario: Scenario
    plan: Plan
    refs: Mapping[str, SystemRef]
    point: str | None
    vault: str
    scratch: Path
    reports: Path
    urgency: Mapping[str, int]
    override: str | None = None
    sandbox: str | None = None  # that is promoted: its points are used, and its volumes
    hold_seconds: float = 0.0  # how long what was made is kept for people

    @property
    def centre(self) -> str:
        return self.scenario.centre


@dataclass(frozen=True, slots=True)
class Chosen:
    """The recovery point of one system, as the centre's own listing showed it."""

    point: PointAt
    centre: str

    def as_evidence(self) -> dict[str, Any]:
        return {**as_evidence(self.point), "centre": self.centre}


def hold(run: Run, program: Program, drill: Drill) -> list[DrillRow]:
    """Run a plan and return its rows, one a system, whose verdicts say how it ended: a failed probe does not raise.

    An error on the way makes a failed run, recorded before the error is raised. Only what says that it could not be
    held leaves no row: Refused (a lease, no space, no approval), a recovery point that is not there, an interruption.
    """
    run.step("declare", lambda: drill.scenario)
    try:
        left = _run(run, program, drill)
    except (Refused, UnknownName, Interrupted):
        raise
    except TricenterError as error:
        _record(run, program, drill)
        if isinstance(error, ProcessFailed | PartlyDone):
            raise CheckFailed(
                f"{drill.plan.plan} was not recovered at {drill.centre}: {error}", hint=error.hint
            ) from error
        raise
    rows = _record(run, program, drill)
    if drill.scenario.shape.activates:
        activation.settle(run, program, drill)
        if left:
            raise PartlyDone(
                f"recovered, and not protected yet: {left}", hint="tricenter backup run, tricenter replicate"
            )
    return rows


def _record(run: Run, program: Program, drill: Drill) -> list[DrillRow]:
    """Write the rows down, and then what grade each system has with this run on record: the report's of this day."""
    rows: list[DrillRow] = run.step("record", conclude, program.catalogue, run.id, drill.reports)
    run.step("grade", grade_now, program, list(drill.refs.values()))
    return rows


def _run(run: Run, program: Program, drill: Drill) -> str:
    """Recover everything. Return what is not protected again, as text."""
    shape = drill.scenario.shape
    if shape.spoken:
        talk_through(run, drill)
        return ""
    approval = activation.await_approval(run, program, drill) if shape.approved else None
    with stop_after(drill.scenario.deadline_seconds):
        points: Mapping[str, str] = {}
        if shape.sealed and approval:
            points = activation.seal_and_sync(run, program, drill, approval[0])
        elif drill.sandbox:
            points = promotion.points_of(program, drill.sandbox)
        chosen = {name: _choose(run, program, drill, name, points.get(name)) for name in drill.plan.systems}
        if approval:
            activation.activate(run, program, drill, *approval)
            run.undo("settle-parts", drill=run.id, kind=shape.kind)
        if drill.sandbox:
            _register_bubbles(run, drill, drill.sandbox)
            taken = run.step("take-over", promotion.take_over, program, drill.sandbox, run.id)
            drill = replace(drill, sandbox=drill.sandbox if taken.taken else None)
        if shape.target == "bubble":
            _register_bubbles(run, drill, run.id)
        states = recover_all(run, drill, chosen)
        _reconcile(run, drill.plan, states)
    _tell(drill, states)
    unprotected = activation.reprotect(run, drill) if shape.activates else {}
    return "; ".join(f"{name}: {why}" for name, why in unprotected.items())


def recover_all(run: Run, drill: Drill, chosen: Mapping[str, Chosen], mark: str = "") -> dict[str, PartState]:
    """Have every system recovered, each when what it comes after has been, the most urgent first. Return the ends."""
    until = datetime.now(UTC) + timedelta(seconds=drill.scenario.deadline_seconds)
    needs = before(drill.plan)

    def due(states: Mapping[str, PartState]) -> Iterable[Part]:
        done = {name for name in drill.plan.systems if (state := states.get(name + mark)) and state.done}
        for name in drill.plan.systems:
            if done.issuperset(needs[name]):
                yield Part(name + mark, RECOVER, _order(run, drill, name, chosen[name], until), drill.urgency[name])

    states = run.parts("systems" + mark, due)
    return {name: state for name in drill.plan.systems if (state := states.get(name + mark))}


def _order(run: Run, drill: Drill, name: str, chosen: Chosen, until: datetime) -> dict[str, str]:
    return {
        "drill": run.id,
        "plan": drill.plan.plan,
        "system": name,
        "kind": drill.scenario.kind,
        "centre": drill.centre,
        "vault": chosen.centre,
        "point": chosen.point.point.id,
        "scratch": str(drill.scratch),
        "until": until.isoformat(),
        **({"sandbox": drill.sandbox} if drill.sandbox else {}),
    }


def _choose(run: Run, program: Program, drill: Drill, name: str, point: str | None) -> Chosen:
    wanted = point or drill.point
    return run.step(
        f"choose-point:{name}",
        lambda: Chosen(choose_point(program, drill.refs[name], drill.vault, wanted), drill.vault),
    )


def _register_bubbles(run: Run, drill: Drill, bubble: str) -> None:
    """Write down what must be taken away before anything of it is made: one bubble in each tenant's project.

    The bubble of another run, a sandbox's, is taken away by its heir only.
    """
    where = {"centre": drill.centre, "drill": bubble} | ({} if bubble == run.id else {"heir": run.id})
    for tenant in sorted({ref.tenant.tenant for ref in drill.refs.values() if ref.system.servers}):
        run.cleanup("delete-bubble", here=False, tenant=tenant, **where)


def _reconcile(run: Run, plan: Plan, states: Mapping[str, PartState]) -> None:
    for number, each in enumerate(plan.reconcile, 1):

        def figure(side: Any, number: int = number) -> str | None:
            state = states.get(side.system)
            return as_figures(state.result if state else None).get(f"{number}:{side.source}:{side.query}")

        run.step(f"reconcile:{number}", _agree, each, figure(each.left), figure(each.right))


def _agree(each: Any, left: str | None, right: str | None) -> ProbeResult:
    return reconcile(each, left, right)


def _tell(drill: Drill, states: Mapping[str, PartState]) -> None:
    """Raise when systems were not recovered: CheckFailed when none was, PartlyDone when some were."""
    lost = [name for name in drill.plan.systems if name not in states or not states[name].done]
    if not lost:
        return
    why = "; ".join(f"{name}: {states[name].error if name in states else 'its turn never came'}" for name in lost)
    hint = next((states[name].hint for name in lost if name in states and states[name].hint), None)
    if all(name in states and states[name].exit_code == Refused.exit_code for name in lost):
        raise Refused(f"could not be held at {drill.centre}: {why}", hint=hint or "see the run's evidence")
    kind = CheckFailed if len(lost) == len(drill.plan.systems) or drill.scenario.shape.drill else PartlyDone
    raise kind(f"not recovered at {drill.centre}: {why}", hint=hint or "see the run's evidence")


def find_refs(program: Program, plan: Plan) -> dict[str, SystemRef]:
    """Return the systems of a plan by name."""
    return {name: find_system(program.site, name) for name in plan.systems}
