"""A drill's deadline: one that does not come to an end is stopped, and is a failed one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.errors import CheckFailed, TricenterError
from orchestrator.process import Leash, current_leash, leashed
from policies.values import format_duration


class DeadlinePassed(CheckFailed):
    """The drill took longer than its plan allows."""


@contextmanager
def stop_after(seconds: float) -> Iterator[None]:
    """Raise DeadlinePassed inside the block when it has run for `seconds`.

    Works in any thread. The children that the block started are stopped, and with them whatever waits for one; what
    works in Python itself has deadlines of its own, and is told at its next step.
    """
    error = DeadlinePassed(
        f"the drill was stopped: not done after {format_duration(seconds)}",
        hint="the plan's `deadline` sets this; twice the RTO when it is not given",
    )
    leash = Leash(current_leash())
    timer = threading.Timer(seconds, leash.pull, (error,))
    timer.daemon = True
    timer.start()
    try:
        with leashed(leash):
            yield
            leash.check()
    except TricenterError as stopped:
        raise leash.error or stopped from stopped
    finally:
        timer.cancel()
