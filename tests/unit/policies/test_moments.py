"""Moments as people say them: which one is meant, and what is refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.moments import BadMoment, parse_moment

LOCAL = ZoneInfo("Asia/Shanghai")
#: A Monday, 20:30 in Dalian.
NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-11-23 18:00", "2026-11-23T10:00"),
        ("2026-11-23 9:05", "2026-11-23T01:05"),
        ("2026-11-23T18:00:30", "2026-11-23T10:00:30"),
        ("2026-11-23T18:00+09:00", "2026-11-23T09:00"),
        ("2026-11-23T10:00Z", "2026-11-23T10:00"),
        ("20261122", "2026-11-22T16:00"),
        ("2026-11-22", "2026-11-22T16:00"),
        ("2026-11-23", "2026-11-23T12:30"),  # the end of today is now
        ("18:00", "2026-11-23T10:00"),
        ("21:00", "2026-11-22T13:00"),  # has not been yet today
        ("yesterday 18:00", "2026-11-22T10:00"),
        ("Yesterday  9:00", "2026-11-22T01:00"),
        ("yesterday", "2026-11-22T16:00"),
        ("today", "2026-11-23T12:30"),
        ("昨天 18:00", "2026-11-22T10:00"),
        ("昨天18:00", "2026-11-22T10:00"),
        ("昨天 18：00", "2026-11-22T10:00"),
        ("前天", "2026-11-21T16:00"),
        ("大前天 08:00", "2026-11-20T00:00"),
        ("2h ago", "2026-11-23T10:30"),
        ("2 hours ago", "2026-11-23T10:30"),
        ("1 day 2 hours ago", "2026-11-22T10:30"),
        ("90m ago", "2026-11-23T11:00"),
        ("3 days ago", "2026-11-20T12:30"),
        ("3 days ago 09:00", "2026-11-20T01:00"),
        ("3天前 09:00", "2026-11-20T01:00"),
        ("2小时前", "2026-11-23T10:30"),
        ("2个小时30分钟前", "2026-11-23T10:00"),
        ("1周前", "2026-11-16T12:30"),
        ("now", "2026-11-23T12:30"),
    ],
)
def test_what_is_meant(said: str, meant: str) -> None:
    assert parse_moment(said, NOW, LOCAL) == datetime.fromisoformat(meant).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "said",
    ["", "soon", "ago", "h ago", "yesterday 25:00", "2026-13-01", "yesterdayish", "昨天 晚上",
     "2026-11-23 18:00 maybe", "99999 weeks ago", "前"],
)  # fmt: skip
def test_what_names_no_moment(said: str) -> None:
    with pytest.raises(BadMoment, match="names no moment"):
        parse_moment(said, NOW, LOCAL)


@pytest.mark.parametrize("said", ["2999-01-01 10:00", "today 23:00", "2026-11-24 00:00"])
def test_what_is_yet_to_come(said: str) -> None:
    with pytest.raises(BadMoment, match="yet to come"):
        parse_moment(said, NOW, LOCAL)


def test_an_hour_that_the_clocks_skip_or_repeat_is_still_a_moment() -> None:
    berlin, later = ZoneInfo("Europe/Berlin"), datetime(2026, 12, 1, tzinfo=UTC)
    skipped = parse_moment("2026-03-29 02:30", later, berlin)
    assert skipped.astimezone(berlin).hour in (1, 3)
    assert parse_moment("2026-10-25 02:30", later, berlin) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@given(st.integers(0, 800_000_000))
def test_a_written_moment_is_read_back(seconds: int) -> None:
    local = (NOW - timedelta(seconds=seconds)).astimezone(LOCAL)
    assert parse_moment(f"{local:%Y-%m-%d %H:%M:%S}", NOW, LOCAL) == local


@given(st.integers(0, 5000))
def test_so_long_ago(minutes: int) -> None:
    assert parse_moment(f"{minutes}分钟前", NOW, LOCAL) == NOW - timedelta(minutes=minutes)


@given(st.text(max_size=20))
def test_any_text_is_answered(text: str) -> None:
    with suppress(BadMoment):
        assert parse_moment(text, NOW, LOCAL) <= NOW
