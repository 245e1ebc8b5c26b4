"""Windows and blackouts: open stretches over midnight, in any zone, and work that is let go evenly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from policies.windows import Calendar, Closed, TimeZone, Window, longest_gap, moment_of, window_times, zone

SHANGHAI = zone("Asia/Shanghai")
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)

moments = st.timedeltas(2 * DAY, 50 * DAY).map(lambda each: BEGIN + each)
clock = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))
windows = st.tuples(clock, clock).filter(lambda pair: pair[0] != pair[1]).map("-".join)
zones = st.sampled_from(["Asia/Shanghai", "Asia/Urumqi", "Asia/Kathmandu", "UTC", "Pacific/Apia"]).map(zone)


def closed(begin: datetime, length: timedelta) -> Closed:
    return Closed(begin, begin + length, "重保期", "blackout")


blackouts = st.lists(
    st.builds(closed, moments, st.timedeltas(timedelta(minutes=1), timedelta(days=9))), max_size=3
).map(tuple)


def inside(window: str, local: datetime) -> bool:
    """Say it in the plainest way there is."""
    begin, end = window_times(window)
    since = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return begin <= since < end if begin < end else since >= begin or since < end


@given(st.lists(windows, max_size=3).map(tuple), blackouts, zones, moments)
def test_open_is_inside_a_window_and_outside_every_blackout(shown, shut, local, at):
    calendar = Calendar(shown, shut, local, BEGIN)
    allowed = not shown or any(inside(each, at.astimezone(local)) for each in shown)
    assert calendar.is_open(at) == (allowed and not any(each.begin <= at < each.end for each in shut))


@given(st.lists(windows, max_size=3).map(tuple), blackouts, zones, moments, st.floats(0, 0.999))
def test_work_is_let_go_while_it_may_run_and_never_early(shown, shut, local, at, share):
    calendar = Calendar(shown, shut, local, BEGIN)
    settled = calendar.settle(at, share, DAY)
    assert settled >= at
    assert calendar.is_open(settled)
    assert (settled == at) == calendar.is_open(at)
    assert settled <= max([at, *(each.end for each in shut)]) + 3 * DAY + len(shut) * DAY * 9


@given(st.lists(windows, min_size=1, max_size=3).map(tuple), moments)
def test_no_time_without_a_window_is_longer_than_the_longest_gap(shown, at):
    calendar = Calendar(shown, (), SHANGHAI, BEGIN)
    assert calendar.settle(at, 0.0, DAY) - at <= longest_gap(shown)


@pytest.mark.parametrize(
    ("shown", "gap"),
    [
        ((), 0),
        (("00:00-24:00",), 0),
        (("22:00-06:00",), 16),
        (("22:00-24:00", "00:00-06:00"), 16),
        (("08:00-09:00",), 23),
    ],
)
def test_the_longest_gap(shown, gap):
    assert longest_gap(shown) == timedelta(hours=gap)


def test_a_window_over_midnight_is_one_stretch_in_local_time():
    calendar = Calendar(("22:00-06:00",), (), SHANGHAI, BEGIN)
    noon = datetime(2026, 11, 23, 12, tzinfo=SHANGHAI)
    assert calendar.settle(noon, 0.0, DAY) == datetime(2026, 11, 23, 22, tzinfo=SHANGHAI)
    assert calendar.settle(noon, 0.75, DAY) == datetime(2026, 11, 24, 4, tzinfo=SHANGHAI)
    midnight = datetime(2026, 11, 24, 0, 0, tzinfo=SHANGHAI)
    assert calendar.settle(midnight, 0.5, DAY) == midnight
    assert "22:00-06:00" in calendar.hold(noon, midnight).reason_en


def test_a_blackout_inside_a_window_cuts_it_and_says_why():
    begin = datetime(2026, 11, 23, 23, tzinfo=SHANGHAI)
    calendar = Calendar(("22:00-06:00",), (closed(begin, timedelta(hours=2)),), SHANGHAI, BEGIN)
    assert calendar.settle(begin, 0.0, DAY) == datetime(2026, 11, 24, 1, tzinfo=SHANGHAI)
    assert calendar.hold(begin, begin).reason_zh == "重保期"
    assert not calendar.is_open(begin)
    assert calendar.is_open(begin - timedelta(minutes=1))


@pytest.mark.parametrize(
    ("text", "ends", "moment"),
    [
        ("2027-03-03", False, datetime(2027, 3, 2, 16, tzinfo=UTC)),
        ("2027-03-14", True, datetime(2027, 3, 14, 16, tzinfo=UTC)),
        ("2027-03-14 18:30", True, datetime(2027, 3, 14, 10, 30, tzinfo=UTC)),
        ("2027-03-14T18:30", False, datetime(2027, 3, 14, 10, 30, tzinfo=UTC)),
    ],
)
def test_a_day_alone_is_included(text, ends, moment):
    assert moment_of(text, SHANGHAI, ends=ends) == moment


@pytest.mark.parametrize("text", ["22:00-22:00", "24:00-06:00", "22-06", "22:60-06:00", "22:00–06:00", ""])
def test_what_is_no_window(text):
    with pytest.raises(ValidationError):
        TypeAdapter(Window).validate_python(text)


@pytest.mark.parametrize("name", ["Asia", "Asia/Shanghia", "../etc/passwd", "Mars/Olympus", ""])
def test_what_is_no_time_zone(name):
    with pytest.raises(ValidationError):
        TypeAdapter(TimeZone).validate_python(name)
