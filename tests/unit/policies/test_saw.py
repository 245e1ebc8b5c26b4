"""A saw that is kept says what the functions on all landings say, whatever was cut off and read again before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.objectives import Landing, compliance, exposure, worst_exposure
from policies.saw import Saw

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MOMENTS = st.integers(0, 60).map(lambda minutes: NOON + minutes * MINUTE)
LANDINGS = st.lists(
    st.builds(lambda landed, age: Landing(landed - age * MINUTE, landed), MOMENTS, st.integers(-5, 90)), max_size=12
)


def said(saw: Saw, landings: list[Landing], begin: datetime, end: datetime, objective: timedelta) -> None:
    created = NOON - timedelta(hours=2)
    seen = saw.look(created, begin, end, objective)
    assert seen.exposure == exposure(landings, created, end)
    assert seen.worst == worst_exposure(landings, created, begin, end)
    assert seen.compliance == compliance(landings, created, begin, end, objective)
    landed = [each for each in landings if each.landed_at <= end]
    newest = max(landed, key=lambda each: (each.data_time, -each.landed_at.timestamp()), default=None)
    assert saw.newest(end) == newest


@settings(max_examples=60)
@given(LANDINGS, LANDINGS, st.lists(MOMENTS, min_size=4, max_size=4).map(sorted), st.integers(0, 60))
def test_as_the_functions_on_all_landings(
    first: list[Landing], later: list[Landing], moments: list[datetime], allowed: int
) -> None:
    begin, again, end, last = moments
    objective = allowed * MINUTE
    saw = Saw(None, first)
    said(saw, first, begin, end, objective)
    said(saw, first, begin, end, objective)
    saw.forget(begin)
    said(saw, first, begin, end, objective)
    said(saw, first, again, last, objective)
    saw.forget(again)
    known = [each for each in first if each.landed_at <= end] + [each for each in later if each.landed_at > end]
    saw.renew(end, [each for each in later if each.landed_at > end])
    said(saw, known, again, last, objective)
    said(saw, known, last, last, objective)


def test_a_point_before_the_window_counts_from_its_begin() -> None:
    before = Landing(NOON - 9 * MINUTE, NOON - 5 * MINUTE)
    saw = Saw(before, [Landing(NOON, NOON + 7 * MINUTE)])
    assert saw.newest(NOON) == before
    assert saw.known_since(NOON, NOON) == NOON
    assert saw.look(NOON - 60 * MINUTE, NOON, NOON + 9 * MINUTE, 10 * MINUTE) == (9 * MINUTE, 16 * MINUTE, 3 / 9)
    alone = Saw(None, [Landing(NOON, NOON + 7 * MINUTE)])
    assert alone.known_since(NOON, NOON + 6 * MINUTE) is None
    assert alone.known_since(NOON, NOON + 7 * MINUTE) == NOON + 7 * MINUTE
