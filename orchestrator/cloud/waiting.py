"""Waiting for what a cloud does by itself: a pause at a time, and an end when the work is stopped or its time is up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from orchestrator.errors import Unreachable
from orchestrator.process import current_leash

T = TypeVar("T")

POLL_SECONDS = 0.5


def pause(seconds: float = POLL_SECONDS) -> None:
    """Sleep a little. Raises what the work of this thread was stopped with."""
    if leash := current_leash():
        leash.check()
    time.sleep(seconds)


def wait_for(ask: Callable[[], T], holds: Callable[[T], bool], what: str, deadline_seconds: float) -> T:
    """Ask until the answer `holds`, and return it. Raises Unreachable, with the last answer, after the deadline."""
    end = time.monotonic() + deadline_seconds
    while not holds(answer := ask()):
        if time.monotonic() > end:
            status = getattr(answer, "status", answer)
            raise Unreachable(f"{what}: still {status} after {deadline_seconds:.0f} s", hint="try again later")
        pause()
    return answer
