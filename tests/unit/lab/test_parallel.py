import threading
import time

import pytest

from orchestrator.lab.parallel import together


def test_jobs_run_at_the_same_time() -> None:
    meet = threading.Barrier(3, timeout=2)
    together(meet.wait, meet.wait, meet.wait)


def test_the_first_failure_does_not_wait_for_the_slow_job() -> None:
    go_on = threading.Event()

    def fail() -> None:
        raise ValueError("no")

    begin = time.monotonic()
    with pytest.raises(ValueError, match="no"):
        together(lambda: go_on.wait(10), fail)
    assert time.monotonic() - begin < 5
    go_on.set()


def test_no_jobs_are_done_at_once() -> None:
    together()
