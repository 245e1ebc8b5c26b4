"""Grounds: where a system is brought to life. A scratch place, an isolated bubble, or where it will be used.

What a run of a plan does to a system is the same on all of them (`drills.recover`); a ground says where things go.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from drills.grounds.common import Ground
from orchestrator.engine.port import Run

if TYPE_CHECKING:
    from drills.flows import Program
    from drills.recover import Task

__all__ = ["Ground", "ground_for"]


def ground_for(run: Run, program: Program, task: Task, scratch: Path) -> Ground:
    """Return where a task's system is recovered, by the kind of its run."""
    if task.shape.target == "bubble":
        from drills.grounds.bubble import BubbleGround

        return BubbleGround(run, program, task, scratch)
    if task.shape.target == "standby":
        from drills.grounds.standby import StandbyGround

        return StandbyGround(run, program, task, scratch)
    from drills.grounds.scratch import ScratchGround

    return ScratchGround(run, program, task, scratch)
