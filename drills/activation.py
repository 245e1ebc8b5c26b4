"""What makes a centre the active one: the approval, the seal and the last copy, the epoch, and the way back.

A planned run can be taken back at any moment: what it sealed is opened again, the epoch is returned, the places are
as they were. After a disaster there is nothing to go back to, so what a failover has recovered stays. From the moment
on that a commit begins there is no way back: however the run ends then, the commit is what is finished.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drills.evidence import RECOVER
from drills.grounds.standby import commit_recovery, undo_recovery
from drills.kinds import SHAPES
from drills.name_switch import undo_names
from drills.promotion import check_promotable
from orchestrator.approval import Approved, wait_for_approval
from orchestrator.backups.places import place_of
from orchestrator.backups.seal import seal, unseal
from orchestrator.catalogue.epochs import active_centre, current_epoch, read_history
from orchestrator.catalogue.records import RunState
from orchestrator.engine.parts import as_state, end_parts
from orchestrator.engine.port import Part, PartState, Run
from orchestrator.epoch.raising import EpochRaised, raise_epoch, raised_by
from orchestrator.errors import CheckFailed, PartlyDone, Refused, UnknownName
from policies.plan import Kind
from policies.site import SystemRef
from policies.work import copy_centres

if TYPE_CHECKING:
    from drills.flows import Program
    from drills.run import Drill

APPROVAL_SECONDS = 24 * 3600.0
#: How long a switch may be undone when its plan does not say.
UNDO_SECONDS = 3600.0

COMMIT = "commit"
UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Asked:
    """What an approval is asked for. It is good for exactly this: another plan, point or epoch wants another one."""

    kind: str
    plan: str
    plan_digest: str
    centre: str
    point: str
    systems: dict[str, str]  # where each is active now
    epoch: int
    declared_by: str
    override: str
    sandbox: str = ""  # that is promoted


@dataclass(frozen=True, slots=True)
class Settled:
    """How a switch ended: committed or undone, by whom ("" when the window passed), and what could not be done."""

    how: str
    by: str
    left: tuple[str, ...] = ()


def ask(program: Program, drill: Drill) -> Asked:
    """Return what an approval is asked for. Raises Refused when a system is active at the centre already.

    One that a failover has made active there, and has not recovered, may be asked for again.
    """
    systems = {name: active_centre(program.catalogue, name) for name in drill.plan.systems}
    here = [name for name, centre in systems.items() if centre == drill.centre]
    if here := [name for name in here if not (drill.scenario.shape.unplanned and _is_cut_off(program, name))]:
        raise Refused(f"{', '.join(here)}: active at {drill.centre} already", hint="tricenter epoch show")
    if drill.sandbox:
        check_promotable(program, drill.sandbox, drill.scenario)
    return Asked(
        kind=drill.scenario.kind,
        plan=drill.plan.plan,
        plan_digest=drill.scenario.plan_digest,
        centre=drill.centre,
        point=drill.point or "latest",
        systems=systems,
        epoch=current_epoch(program.catalogue),
        declared_by=drill.scenario.operator,
        override=drill.override or "",
        sandbox=drill.sandbox or "",
    )


def _is_cut_off(program: Program, system: str) -> bool:
    """Return whether the run that made a system active ended, neither well nor with its commit begun."""
    moves = [each.record.run for each in read_history(program.catalogue) if system in each.record.moved]
    try:
        row = program.catalogue.run(moves[-1])
    except UnknownName:  # another orchestrator's, or forgotten
        return False
    return row.state.ended and row.state is not RunState.DONE and not is_committed(program, row.id)


def await_approval(run: Run, program: Program, drill: Drill) -> tuple[Asked, Approved]:
    """Wait until a second person approves what is asked, and return both. Raises Refused when nobody does."""
    asked = run.step("ask", ask, program, drill)
    rule, declared_by = program.site.approval, asked.declared_by
    return asked, wait_for_approval(run, asked, declared_by=declared_by, rule=rule, seconds=APPROVAL_SECONDS)


def seal_and_sync(run: Run, program: Program, drill: Drill, asked: Asked) -> dict[str, str]:
    """Close the sources where the systems are active now, and have their last state copied. Return the points' ids.

    Raises CheckFailed when the last state of a system did not get where it is recovered from.
    """
    for name, ref in drill.refs.items():
        centre = asked.systems[name]
        for source in ref.system.sources_at(centre):
            place = place_of(ref, centre, source)
            run.undo("unseal", here=place.here, place=place.as_argument(), run=run.id)
            run.step(f"seal:{name}:{source}", seal, program, ref, centre, source, run.id)
    states = run.parts("sync", lambda states: _last_copies(run, drill, states))
    points = {}
    for name in drill.refs:
        for mark in ("last-backup", "last-copy"):
            state = states.get(f"{mark}:{name}")
            if state and not state.done:
                raise CheckFailed(f"{name}: its last state was not saved: {state.error}", hint=state.hint or "")
        points[name] = states[f"last-backup:{name}"].run  # a point is named by the run that made it
    return points


def _last_copies(run: Run, drill: Drill, states: Mapping[str, PartState]) -> Iterable[Part]:
    for name, ref in drill.refs.items():
        backup, near = f"last-backup:{name}", copy_centres(ref)[0]
        yield Part(backup, "backup", {"system": name, "sealed": run.id})
        if drill.vault != near and backup in states and states[backup].done:
            yield Part(f"last-copy:{name}", "replicate", {"system": name, "source": near, "target": drill.vault})


def activate(run: Run, program: Program, drill: Drill, asked: Asked, approved: Approved) -> EpochRaised:
    """Raise the epoch: from now on the centre is the active one of the plan's systems, and the one before is fenced."""
    if drill.scenario.shape.sealed:
        run.undo("return-epoch", drill=run.id)
    return run.step(
        "epoch",
        raise_epoch,
        program,
        dict.fromkeys(drill.plan.systems, drill.centre),
        declared_by=asked.declared_by,
        approved_by=approved.by,
        run=run.id,
        forced=drill.override,
        expected=asked.epoch,
    )


def reprotect(run: Run, drill: Drill) -> dict[str, str]:
    """Have the new active centre backed up, and copied to the others, at once. Return what could not be, by system.

    A vault that is gone does not take back a recovery that has succeeded.
    """
    states = run.parts("reprotect", lambda states: _first_copies(drill, states))
    named = {name: each for name, each in states.items() if name.startswith("protect")}
    return {name: each.error or each.state for name, each in named.items() if not each.done}


def _first_copies(drill: Drill, states: Mapping[str, PartState]) -> Iterable[Part]:
    for name, ref in drill.refs.items():
        backup = f"protect:{name}"
        yield Part(backup, "backup", {"system": name, "at": drill.vault})
        if backup in states and states[backup].done:
            for other in copy_centres(ref):
                if other != drill.vault:
                    arguments = {"system": name, "source": drill.vault, "target": other}
                    yield Part(f"protect-{other}:{name}", "replicate", arguments)


def settle(run: Run, program: Program, drill: Drill) -> Settled:
    """Keep the way back open for the plan's window, then commit; or undo, when somebody says so."""
    window = drill.plan.undo_window.total_seconds() if drill.plan.undo_window else UNDO_SECONDS
    answer = run.wait(COMMIT, window)
    by = str((answer or {}).get("by") or "")
    if answer and str(answer.get("message")) == UNDO:
        return run.step("undo", undo_all, program, run.id, by)
    return run.step("commit", commit_all, program, run.id, by)


def commit_all(program: Program, drill: str, by: str) -> Settled:
    """Drop what stood in the places before. May be repeated."""
    left: list[str] = []
    for state, ref, centre in _recovered(program, drill):
        left += commit_recovery(program, state.run, ref, centre)
    return Settled("committed", by, tuple(left))


def undo_all(program: Program, drill: str, by: str) -> Settled:
    """Take a switch back: names, servers and places as they were, the epoch returned, the sources open again.

    May be repeated. What was written at the new centre since is lost with it; that is why it asks a person.
    """
    undo_parts(program, drill)
    return_epoch(program, drill)
    for each in program.ledger.open_cleanups(drill):
        if each.action == "unseal":
            unseal(program, **each.arguments)
    return Settled("undone", by)


def settle_parts(program: Program, drill: str, kind: Kind) -> None:
    """Bring to an end what the parts of a run have made that was stopped or killed. May be repeated.

    A commit that has begun is finished. Before that a planned switch is taken back, once its parts have ended: one that
    is still at work would make again what is taken away here.
    """
    end_parts(program.ledger, drill, "the whole has ended")
    if is_committed(program, drill):
        commit_all(program, drill, "")
    elif SHAPES[kind].sealed:
        undo_parts(program, drill)


def is_committed(program: Program, drill: str) -> bool:
    """Return whether the commit of a run has begun."""
    return any(each.step == COMMIT for each in program.catalogue.attempts(drill))


def undo_parts(program: Program, drill: str) -> None:
    """Take back what the parts of a run have made. May be repeated. Raises PartlyDone naming what did not work."""
    faults = []
    for state, ref, centre in _recovered(program, drill):
        try:
            undo_names(program, (state.result or {}).get("names", ()))
            undo_recovery(program, state.run, ref, centre)
        except Refused as error:
            faults.append(f"{ref}: {error}")
    if faults:
        raise PartlyDone("; ".join(faults), hint="mend that, and undo again")


def return_epoch(program: Program, drill: str) -> None:
    """Make the systems of a run active again where they were before it, if it moved them. May be repeated.

    Whether it did is asked of the registers: who is killed while he raises an epoch does not write it down.
    Raises Unreachable when they cannot tell.
    """
    attempts = program.catalogue.attempts(drill)
    tried = any(each.step == "epoch" and each.error_type != Refused.__name__ for each in attempts)
    if not tried or is_committed(program, drill) or (raised := raised_by(program, drill)) is None:
        return
    asked = next(each.detail for each in attempts if each.step == "ask" and each.detail)
    raise_epoch(
        program,
        asked["systems"],
        declared_by=raised.declared_by,
        approved_by=raised.approved_by,
        run=f"{drill}-undo",
        forced=raised.forced or None,
    )


def _recovered(program: Program, drill: str) -> Iterable[tuple[PartState, SystemRef, str]]:
    for row in program.catalogue.parts(drill):
        if row.flow == RECOVER:
            yield as_state(row), program.system(row.arguments["system"]), row.arguments["centre"]
