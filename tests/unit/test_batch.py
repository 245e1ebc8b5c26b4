"""Many subjects at a time: what is kept, and what it amounts to."""

from __future__ import annotations

import time
from typing import NoReturn

import pytest

from orchestrator.batch import Batch, raise_failures
from orchestrator.errors import CheckFailed, PartlyDone, Unreachable
from orchestrator.process import Child


def divide(number: int) -> float:
    if number == 0:
        raise CheckFailed("zero")
    if number < 0:
        raise Unreachable("far below")
    return 12 / number


def test_no_failure_stops_the_others_and_order_is_kept() -> None:
    ended = Batch([3, 0, 4], divide, jobs=2).run()
    assert [each.result for each in ended] == [4, None, 3]
    with pytest.raises(PartlyDone, match="2 of 3 done; failed: 0: zero"):
        raise_failures(ended)


def test_one_subject_raises_its_own_error() -> None:
    with pytest.raises(CheckFailed, match="zero"):
        raise_failures(Batch([0], divide, jobs=1).run())


def test_all_failing_alike_is_that_failure() -> None:
    with pytest.raises(Unreachable):
        raise_failures(Batch([-1, -2], divide, jobs=2).run())
    with pytest.raises(PartlyDone):
        raise_failures(Batch([-1, 0], divide, jobs=2).run())


def test_unknown_errors_are_not_swallowed() -> None:
    def explode(_: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Batch([1, 2], explode, jobs=1).run()


def test_an_interruption_stops_children_and_lets_no_other_start(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def work(name: str) -> None:
        with Child(["sleep", "60"]) as child:
            started.append(name)
            child.wait(60)
        Child(["sleep", "60"])
        started.append("one too many")

    def interrupt(*_: object, **__: object) -> NoReturn:
        while len(started) < 2:
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr("orchestrator.batch.wait", interrupt)
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Batch(["a", "b", "c"], work, jobs=2).run()
    assert sorted(started) == ["a", "b"]
    assert time.monotonic() - begin < 30
    with Child(["true"]) as child:
        assert child.wait(5) == 0, "after the interruption children may be started again"


def test_each_end_is_seen() -> None:
    seen: list[int] = []
    Batch([1, 2, 3], divide, jobs=3).run(lambda each: seen.append(each.subject))
    assert sorted(seen) == [1, 2, 3]
    raise_failures([])
