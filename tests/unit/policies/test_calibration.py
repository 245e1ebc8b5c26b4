"""How good estimates were, and whether recoveries become slower."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.calibration import calibrate
from policies.scenarios import Sample

GIB = 1024**3


def drills(*measured: tuple[float, float]) -> list[Sample]:
    """Recoveries of so many GiB that took so many seconds, the oldest first."""
    return [Sample("t", "s", "same-city", int(size * GIB), seconds) for size, seconds in measured]


def test_the_first_drill_tells_nothing_of_estimates() -> None:
    assert calibrate([]).error is None
    found = calibrate(drills((1, 100)))
    assert (found.drills, found.error, found.mean_error, found.trend) == (1, None, None, None)


def test_a_drill_is_held_against_those_before_it_and_none_after() -> None:
    found = calibrate(drills((1, 100), (1, 100), (1, 200)))
    assert found.error == pytest.approx(-0.5)
    assert found.mean_error == pytest.approx(0.25)
    assert calibrate(drills((1, 100), (1, 100), (1, 200), (1, 400))).error == pytest.approx(-2 / 3)


def test_twice_the_data_may_take_twice_the_time() -> None:
    found = calibrate(drills((1, 100), (2, 200), (4, 400), (8, 800)))
    assert found.error == pytest.approx(0, abs=1e-6)
    assert found.trend == pytest.approx(0, abs=1e-6)


def test_ever_slower_is_a_trend_and_one_slow_drill_is_none() -> None:
    slower = calibrate(drills(*((1, 100 + 10 * number) for number in range(6))))
    assert slower.trend == pytest.approx(10 / 125)
    once = calibrate(drills((1, 100), (1, 100), (1, 300), (1, 100), (1, 100), (1, 100)))
    assert once.trend == pytest.approx(0)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 10_000)), max_size=12))
def test_whatever_was_measured_has_an_answer(measured: list[tuple[int, int]]) -> None:
    found = calibrate(drills(*measured))
    assert found.drills == len(measured)
    assert found.error is None or found.error > -1
    assert (found.trend is None) == (len(measured) < 3)
