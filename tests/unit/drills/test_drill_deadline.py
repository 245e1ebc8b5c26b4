"""The deadline of a drill."""

from __future__ import annotations

import signal
import time

import pytest

from drills.deadline import DeadlinePassed, stop_after


def test_what_takes_too_long_is_stopped_while_it_waits() -> None:
    begin = time.monotonic()
    with pytest.raises(DeadlinePassed), stop_after(0.05):
        time.sleep(30)
    assert time.monotonic() - begin < 5


def test_what_is_done_in_time_leaves_no_alarm_behind() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with stop_after(60):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is before
