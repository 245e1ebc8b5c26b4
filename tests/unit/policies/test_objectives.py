"""RPO and RTO against a slow reference that looks at every second, and against the saw-tooth drawn by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from policies.objectives import (
    FASTEST_BYTES_PER_SECOND,
    SLOWEST_BYTES_PER_SECOND,
    Landing,
    RestoreSample,
    compliance,
    estimated_rto,
    exposure,
    verdict,
    worst_exposure,
)

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
SPAN = 60


def at(second: int) -> datetime:
    return EPOCH + timedelta(seconds=second)


def landing(data: int, landed: int) -> Landing:
    return Landing(at(data), at(landed))


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


moments = st.integers(0, SPAN)
#: (data time, landed): landing takes time, so the data time is never the later one.
pairs = st.tuples(moments, moments).map(lambda pair: (min(pair), max(pair)))
histories = st.lists(pairs, max_size=12)


@st.composite
def windows(draw: st.DrawFn) -> tuple[int, int]:
    first, second = draw(moments), draw(moments)
    return min(first, second), max(first, second)


def landings_of(history: list[tuple[int, int]]) -> list[Landing]:
    return [landing(*pair) for pair in history]


def slow_since(history: list[tuple[int, int]], created: int, moment: int) -> int:
    return max((data for data, landed in history if landed <= moment), default=created)


def slow_worst(history: list[tuple[int, int]], created: int, start: int, end: int) -> int:
    """The limit from the left at every second of the window, and the value at both its ends."""
    if end < created:
        return 0
    begin = max(start, created)
    lefts = [moment - slow_since(history, created, moment - 1) for moment in range(begin + 1, end + 1)]
    ends = [moment - slow_since(history, created, moment) for moment in (begin, end)]
    return max(0, *lefts, *ends)


def slow_within(history: list[tuple[int, int]], created: int, start: int, end: int, objective: int) -> list[bool]:
    """For every second of the window: is exposure within the objective until the second's end?"""
    begin = max(start, created)
    return [moment + 1 - slow_since(history, created, moment) <= objective for moment in range(begin, end)]


@given(histories, moments, moments)
def test_exposure_is_the_time_since_the_newest_landed_data(history, created, moment):
    expected = max(moment - slow_since(history, created, moment), 0)
    assert exposure(landings_of(history), at(created), at(moment)) == seconds(expected)


@given(histories, moments, windows())
def test_worst_exposure_is_the_highest_of_every_second(history, created, window):
    expected = slow_worst(history, created, *window)
    assert worst_exposure(landings_of(history), at(created), *map(at, window)) == seconds(expected)


@given(histories, moments, windows(), st.integers(0, SPAN))
def test_compliance_is_the_share_of_the_seconds_within_the_objective(history, created, window, objective):
    within = slow_within(history, created, *window, objective)
    assume(within)
    share = compliance(landings_of(history), at(created), *map(at, window), seconds(objective))
    assert share == pytest.approx(sum(within) / len(within), abs=1e-12)


@given(histories, moments, windows(), st.integers(0, SPAN))
def test_full_compliance_and_worst_exposure_agree(history, created, window, objective):
    created = min([created, *(data for data, _ in history)])  # of older data see the test below
    drawn, ends = landings_of(history), [at(each) for each in window]
    worst = worst_exposure(drawn, at(created), *ends)
    share = compliance(drawn, at(created), *ends, seconds(objective))
    assert (share == 1.0) == (verdict(worst, seconds(objective)) == "met")


def test_data_older_than_the_system_raises_exposure_when_it_lands():
    # Created at 1; data of 0 lands at the window's very end. Worst counts that moment, a share of time cannot.
    teeth, window = [landing(0, 39)], (at(0), at(39))
    assert exposure(teeth, at(1), at(38)) == seconds(37)
    assert worst_exposure(teeth, at(1), *window) == exposure(teeth, at(1), at(39)) == seconds(39)
    assert compliance(teeth, at(1), *window, seconds(38)) == 1.0


@given(histories, moments, windows())
def test_worst_exposure_is_never_below_the_exposure_at_any_moment_of_the_window(history, created, window):
    drawn, (start, end) = landings_of(history), window
    worst = worst_exposure(drawn, at(created), at(start), at(end))
    assert all(exposure(drawn, at(created), at(each)) <= worst for each in range(max(start, created), end + 1))


@given(histories, pairs, moments)
def test_a_further_point_never_raises_exposure(history, more, moment):
    before = exposure(landings_of(history), at(0), at(moment))
    assert exposure(landings_of([*history, more]), at(0), at(moment)) <= before


@given(histories, pairs, windows(), st.integers(0, SPAN))
def test_a_further_point_never_lowers_compliance_nor_raises_the_worst(history, more, window, objective):
    ends = [at(each) for each in window]
    fewer, all_of_them = landings_of(history), landings_of([*history, more])
    assert worst_exposure(all_of_them, at(0), *ends) <= worst_exposure(fewer, at(0), *ends)
    limit = seconds(objective)
    assert compliance(all_of_them, at(0), *ends, limit) >= compliance(fewer, at(0), *ends, limit)


@given(st.permutations([(0, 3), (2, 9), (1, 9), (5, 9), (5, 7), (4, 20)]), windows())
def test_the_order_of_the_landings_does_not_matter(history, window):
    ends = [at(each) for each in window]
    drawn, ordered = landings_of(history), landings_of(sorted(history))
    assert worst_exposure(drawn, at(0), *ends) == worst_exposure(ordered, at(0), *ends)
    assert compliance(drawn, at(0), *ends, seconds(4)) == compliance(ordered, at(0), *ends, seconds(4))


@given(histories, st.lists(moments, min_size=3, max_size=3, unique=True).map(sorted), st.integers(0, SPAN))
def test_two_windows_side_by_side_come_to_the_whole(history, bounds, objective):
    start, between, end = bounds
    drawn, limit = landings_of(history), seconds(objective)
    parts = [(at(start), at(between)), (at(between), at(end))]
    shares = [compliance(drawn, at(0), *part, limit) * (part[1] - part[0]) for part in parts]
    whole = compliance(drawn, at(0), at(start), at(end), limit) * (at(end) - at(start))
    assert abs(whole - sum(shares, timedelta())) <= timedelta(microseconds=2)
    assert worst_exposure(drawn, at(0), at(start), at(end)) == max(
        worst_exposure(drawn, at(0), *each) for each in parts
    )


def test_the_saw_tooth_by_hand():
    # Created at 0; points of 10 and 30 land at 14 and 35. The peaks stand just before the landings and at the end.
    teeth = [landing(10, 14), landing(30, 35)]
    assert exposure(teeth, at(0), at(13)) == seconds(13)
    assert exposure(teeth, at(0), at(14)) == seconds(4)
    assert worst_exposure(teeth, at(0), at(0), at(60)) == seconds(30)
    assert worst_exposure(teeth, at(0), at(0), at(36)) == seconds(25)
    assert worst_exposure(teeth, at(0), at(35), at(36)) == seconds(6)
    # Within 20 s: all of [0, 14), [14, 30) of the second tooth, [35, 50) of the third: 45 of 60.
    assert compliance(teeth, at(0), at(0), at(60), seconds(20)) == 0.75


def test_a_system_that_was_never_backed_up_is_exposed_since_its_creation():
    assert exposure([], at(5), at(50)) == seconds(45)
    assert worst_exposure([], at(5), at(0), at(50)) == seconds(45)
    assert compliance([], at(5), at(0), at(45), seconds(10)) == 0.25


def test_an_older_point_that_lands_late_changes_nothing():
    on_time, late = landing(30, 32), landing(10, 40)
    for moment in (39, 40, 41, 60):
        assert exposure([on_time, late], at(0), at(moment)) == exposure([on_time], at(0), at(moment))
    assert worst_exposure([on_time, late], at(0), at(33), at(60)) == seconds(30)


def test_points_that_land_together_count_as_the_newest_of_them():
    together = [landing(1, 20), landing(18, 20)]
    assert worst_exposure(together, at(15), at(20), at(20)) == seconds(2)
    assert worst_exposure(together, at(15), at(15), at(20)) == seconds(5)


def test_before_the_creation_there_is_no_exposure():
    assert exposure([], at(50), at(10)) == timedelta()
    assert worst_exposure([], at(50), at(0), at(40)) == timedelta()
    assert compliance([], at(50), at(0), at(40), seconds(1)) == 1.0


@pytest.mark.parametrize(("objective", "share"), [(9, 0.0), (10, 1.0), (11, 1.0)])
def test_a_window_without_length_is_judged_by_its_moment(objective, share):
    assert compliance([], at(0), at(10), at(10), seconds(objective)) == share


def test_time_zones_do_not_matter_and_summer_time_does_not_lengthen_an_hour():
    berlin, shanghai = ZoneInfo("Europe/Berlin"), timezone(timedelta(hours=8))
    before = datetime(2026, 3, 29, 1, 30, tzinfo=berlin)
    after = datetime(2026, 3, 29, 3, 30, tzinfo=berlin)  # one hour later: the clocks went forward at two
    assert exposure([], before, after) == timedelta(hours=1)
    assert exposure([Landing(before, before)], before, after.astimezone(shanghai)) == timedelta(hours=1)
    assert worst_exposure([], before, before, after) == timedelta(hours=1)


def test_a_moment_without_time_zone_is_refused():
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - that is the point
    with pytest.raises(ValueError, match="without time zone"):
        Landing(naive, at(0))
    with pytest.raises(ValueError, match="without time zone"):
        exposure([], naive, at(0))
    with pytest.raises(ValueError, match="without time zone"):
        worst_exposure([], at(0), naive, at(1))


def test_a_window_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValueError, match="ends before it starts"):
        worst_exposure([], at(0), at(2), at(1))


def test_an_objective_that_is_reached_exactly_is_met():
    assert verdict(seconds(30), seconds(30)) == "met"
    assert verdict(seconds(30) + timedelta(microseconds=1), seconds(30)) == "missed"


def test_no_estimate_without_a_measured_restore():
    assert estimated_rto(10**9, []) is None
    assert estimated_rto(10**9, [RestoreSample(10**6, 0.0)]) is None


@given(st.integers(1, 600), st.integers(10**6, 10**9), st.lists(st.integers(0, 10**12), min_size=2, unique=True))
def test_the_estimate_finds_the_fixed_part_and_the_throughput(fixed, speed, sizes):
    samples = [RestoreSample(size, fixed + size / speed) for size in sizes]
    assume(max(sizes) - min(sizes) > 10**7)
    estimate = estimated_rto(5 * 10**11, samples)
    assert estimate is not None
    assert estimate.total_seconds() == pytest.approx(max(fixed + 5 * 10**11 / speed, 1), rel=1e-3)


samples_of_any_kind = st.lists(
    st.builds(RestoreSample, st.integers(0, 10**13), st.floats(0.001, 10**6)), min_size=1, max_size=20
)


@given(samples_of_any_kind, st.integers(0, 10**15), st.integers(0, 10**15))
def test_a_larger_system_never_takes_less_and_the_estimate_keeps_to_its_floors(samples, one, other):
    small, large = sorted((one, other))
    less, more = estimated_rto(small, samples), estimated_rto(large, samples)
    assert less is not None
    assert more is not None
    assert seconds(1) <= less <= more
    assert more.total_seconds() >= large / FASTEST_BYTES_PER_SECOND - 1e-3
    slowest = max(each.seconds for each in samples) + large / SLOWEST_BYTES_PER_SECOND
    assert more.total_seconds() <= slowest + 1


def test_one_sample_is_taken_for_throughput():
    estimate = estimated_rto(3 * 10**9, [RestoreSample(10**9, 20.0)])
    assert estimate == seconds(60)


def test_restores_that_took_no_longer_for_more_are_taken_for_a_fixed_time():
    estimate = estimated_rto(10**9, [RestoreSample(10**9, 20.0), RestoreSample(10**8, 30.0)])
    assert estimate is not None
    assert estimate.total_seconds() == pytest.approx(25, abs=0.5)


def test_a_negative_size_is_refused():
    with pytest.raises(ValueError, match="never negative"):
        estimated_rto(-1, [RestoreSample(1, 1.0)])
