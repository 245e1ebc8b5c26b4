"""A tabletop drill: nothing is touched. People talk every step through, and confirm that they could take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drills.callouts import NO, PROMPT_SECONDS
from drills.probes import ProbeResult
from orchestrator.engine.port import Run
from orchestrator.errors import CheckFailed
from policies.plan import before, effective_steps

if TYPE_CHECKING:
    from drills.run import Drill


def talk_through(run: Run, drill: Drill) -> None:
    """Ask for each step of each system in the order of the plan, and keep who confirmed it, with which words.

    A no is a finding of the drill and does not end it. Raises CheckFailed when nobody answers in time.
    """
    needs, told = before(drill.plan), set[str]()
    while left := [name for name in drill.plan.systems if name not in told]:
        name = next(each for each in left if told.issuperset(needs[each]))
        for step in effective_steps(drill.plan, name, drill.refs[name].system):
            topic = f"talk:{name}:{step.label}"
            seconds = step.timeout.total_seconds() if step.timeout else PROMPT_SECONDS
            answer = run.wait(topic, seconds)
            run.step(f"probe:talk:{step.label}:{name}", _heard, answer, step.label)
        told.add(name)


def _heard(answer: Any, label: str) -> ProbeResult:
    if answer is None:
        raise CheckFailed(f"nobody answered {label} in time", hint="the step's `timeout` sets how long it waits")
    by, words = str(answer.get("by") or ""), str(answer.get("message") or "")
    good = words.strip().lower() != NO
    return ProbeResult(f"talk:{label}", good, "confirmed", f"{by}: {words or 'yes'}")
