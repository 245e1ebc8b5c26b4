"""The deadline of a drill."""

from __future__ import annotations

import threading
import time

import pytest

from drills.deadline import DeadlinePassed, stop_after
from orchestrator.errors import CheckFailed
from orchestrator.process import current_leash
from orchestrator.process import run as run_child


def wait_for_a_child() -> float:
    begin = time.monotonic()
    with pytest.raises(DeadlinePassed, match="not done after"), stop_after(0.1):
        run_child(["sleep", "30"], deadline_seconds=30)
    return time.monotonic() - begin


def test_what_takes_too_long_is_stopped_while_it_waits() -> None:
    assert wait_for_a_child() < 5


def test_it_holds_in_any_thread() -> None:
    took: list[float] = []
    thread = threading.Thread(target=lambda: took.append(wait_for_a_child()))
    thread.start()
    thread.join(10)
    assert took
    assert took[0] < 5


def test_what_works_without_a_child_is_told_at_its_end() -> None:
    with pytest.raises(DeadlinePassed), stop_after(0.05):
        time.sleep(0.2)


def test_what_is_done_in_time_is_left_alone() -> None:
    with stop_after(60):
        assert run_child(["true"], deadline_seconds=5).code == 0
    assert current_leash() is None


def test_another_error_stays_what_it_is() -> None:
    with pytest.raises(CheckFailed, match="no point"), stop_after(60):
        raise CheckFailed("no point")
