"""A sandbox that is kept after its drill, and may be promoted to a failover.

Its servers go on in their closed networks until the time is over or somebody releases them. A failover that promotes
it uses the same recovery points, and takes the volumes that were restored and proved there instead of restoring them
again: the servers are shut down, and start anew in the tenant's own networks. What a sandbox has not put where it is
used (databases, folders), and whatever was gone before it could be taken over, is restored as in any failover.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drills.evidence import find_drill, worst
from drills.measure import Verdict
from drills.scenario import Scenario
from orchestrator.catalogue.records import RunState
from orchestrator.engine.port import Run
from orchestrator.errors import InvalidInput, Refused

if TYPE_CHECKING:
    from drills.flows import Program

#: What a kept sandbox waits for: the word that ends it, or the failover that takes it over.
RELEASE = "release"
#: The message of a failover that takes a sandbox over, before its own id.
HEIR = "taken over by "
#: How long a failover waits for the sandbox to step back. It goes on without it then: nothing may hold it up.
STEP_BACK_SECONDS = 15.0
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class TakenOver:
    """Whether a failover got the sandbox. If not, `why`, and everything is restored from the recovery points."""

    sandbox: str
    taken: bool
    why: str = ""


def keep(run: Run, seconds: float) -> None:
    """Let a sandbox stand for so long, or until it is released or taken over. What it made goes with the run's end."""
    run.wait(RELEASE, seconds)


def check_promotable(program: Program, sandbox: str, scenario: Scenario) -> None:
    """Raise unless `scenario`, a failover, can promote the sandbox.

    InvalidInput for a run that is no sandbox of the plan at the centre; Refused for one that failed, that rehearsed
    another state of the plan, or that is not kept any more. UnknownName for no run of a plan.
    """
    rows = find_drill(program.catalogue, sandbox)
    plan, centre = scenario.plan, scenario.centre
    alone = f"start the failover by itself: tricenter drill run {plan} --kind failover --centre {centre}"
    if {(each.kind, each.plan, each.centre) for each in rows} != {("sandbox", plan, centre)}:
        raise InvalidInput(f"{sandbox} is no sandbox of {plan} at {centre}", hint="tricenter drill list")
    if worst([each.verdict for each in rows]) is Verdict.FAILED:
        raise Refused(f"the sandbox {sandbox} failed: what it holds was not proved", hint=alone)
    if any(each.plan_digest != scenario.plan_digest for each in rows):
        raise Refused(f"{plan}, or what it recovers, was changed since the sandbox {sandbox}", hint=alone)
    if not _is_kept(program, sandbox):
        raise Refused(f"the sandbox {sandbox} is not kept any more", hint=alone)


def points_of(program: Program, sandbox: str) -> dict[str, str]:
    """Return the recovery points that a sandbox was made from, by system."""
    rows = find_drill(program.catalogue, sandbox)
    return {f"{each.tenant}/{each.system}": each.point_id for each in rows if each.point_id}


def take_over(program: Program, sandbox: str, heir: str) -> TakenOver:
    """Tell a sandbox that the run `heir` has what it made from now on, and wait until it has stepped back.

    `heir` must have registered before that it takes away what is left of it. May be repeated.
    """
    row = program.catalogue.run(sandbox)
    if not row.state.ended and program.ledger.received(sandbox, RELEASE) is None:
        with suppress(Refused):  # it ended, or was released, a moment ago
            program.ledger.send(sandbox, RELEASE, {"by": heir, "message": f"{HEIR}{heir}"}, heir)
    if heir_of(program, sandbox) != heir:
        return TakenOver(sandbox, taken=False, why="it had ended, or was released, before")
    end = time.monotonic() + STEP_BACK_SECONDS
    while not program.catalogue.run(sandbox).state.ended:
        if time.monotonic() > end:
            return TakenOver(sandbox, taken=False, why=f"its worker did not step back in {STEP_BACK_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    return TakenOver(sandbox, taken=True)


def heir_of(program: Program, sandbox: str) -> str | None:
    """Return the run that a sandbox was told to leave everything to, None when there is none."""
    answer = program.ledger.received(sandbox, RELEASE)
    message = str((answer or {}).get("message") or "")
    return message.removeprefix(HEIR) if message.startswith(HEIR) else None


def _is_kept(program: Program, sandbox: str) -> bool:
    row = program.catalogue.run(sandbox)
    waits = row.state is RunState.WAITING and row.waiting_for == RELEASE
    return waits and program.ledger.received(sandbox, RELEASE) is None
