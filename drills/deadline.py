"""A drill's deadline: one that does not come to an end is stopped, and is a failed one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from orchestrator.errors import CheckFailed
from policies.values import format_duration


class DeadlinePassed(CheckFailed):
    """The drill took longer than its plan allows."""


@contextmanager
def stop_after(seconds: float) -> Iterator[None]:
    """Raise DeadlinePassed inside the block when it has run for `seconds`, whatever it is waiting for.

    By an alarm signal, as ctrl-C does it, so that a child process that is waited for is stopped the same way. Only in
    a process's main thread: Python handles signals there.
    """

    def ring(number: int, frame: FrameType | None) -> None:
        raise DeadlinePassed(
            f"the drill was stopped: not done after {format_duration(seconds)}",
            hint="the plan's `deadline` sets this; twice the RTO when it is not given",
        )

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
