"""Call-outs of a plan: scripts that are run at their position, and what people are asked to do and to confirm there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drills.server_probes import address_variables
from orchestrator.engine.port import Run
from orchestrator.errors import CheckFailed, ProcessFailed
from orchestrator.process import run as run_child
from policies.plan import Step

if TYPE_CHECKING:
    from drills.recover import Task

SCRIPT_SECONDS = 3600.0
PROMPT_SECONDS = 24 * 3600.0
SHOWN_CHARACTERS = 2000

#: What a prompt is answered with, besides yes.
NO = "no"


@dataclass(frozen=True, slots=True)
class Said:
    """What a script printed last."""

    output: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Who confirmed a prompt, and with which words."""

    by: str
    words: str


def run_script(run: Run, task: Task, step: Step, addresses: Mapping[str, str], suffix: str) -> None:
    """Run a script of the plan here. It sees TRICENTER_* of the run, and the address of each server.

    Raises ProcessFailed when it does not end with 0; its own deadline is the step's.
    """
    seconds = step.timeout.total_seconds() if step.timeout else SCRIPT_SECONDS
    run.step(f"{step.label}{suffix}", _run, step.command, script_environment(task, addresses), seconds)


def ask_person(run: Run, task: Task, step: Step, suffix: str) -> None:
    """Wait until somebody confirms what the plan asks for. Raises CheckFailed when the answer is no, or none in time.

    The prompt belongs to the whole: whoever watches the drill answers there.
    """
    seconds = step.timeout.total_seconds() if step.timeout else PROMPT_SECONDS
    answer = run.wait(f"{step.label}{suffix}", seconds)
    run.step(f"confirmed-{step.label}{suffix}", read_answer, answer, step.label)


def read_answer(answer: Any, what: str) -> Confirmed:
    """Return who confirmed. Raises CheckFailed when nobody did, or the answer was no."""
    if answer is None:
        raise CheckFailed(f"nobody answered {what} in time", hint="the step's `timeout` sets how long it waits")
    words = str(answer.get("message") or "") if isinstance(answer, Mapping) else str(answer)
    by = str(answer.get("by") or "") if isinstance(answer, Mapping) else ""
    if words.strip().lower() == NO:
        raise CheckFailed(f"{by or 'somebody'} answered no to {what}", hint="the plan says what follows")
    return Confirmed(by, words)


def script_environment(task: Task, addresses: Mapping[str, str]) -> dict[str, str]:
    """Return what a script sees of the run. Pure."""
    return {
        "TRICENTER_RUN": task.drill,
        "TRICENTER_KIND": task.shape.kind,
        "TRICENTER_PLAN": task.plan.plan,
        "TRICENTER_SYSTEM": str(task.ref),
        "TRICENTER_CENTRE": task.centre,
        **address_variables(addresses),
    }


def _run(command: tuple[str, ...], environment: Mapping[str, str], seconds: float) -> Said:
    finished = run_child(list(command), env=dict(environment), deadline_seconds=seconds, check=False)
    if finished.code != 0:
        raise ProcessFailed(command[0], finished.code, finished.stderr)
    return Said(finished.stdout[-SHOWN_CHARACTERS:])
