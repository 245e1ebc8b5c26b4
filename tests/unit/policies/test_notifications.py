"""Channels: what they want to hear and when; what does not fit is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from policies.notifications import EVENTS, Channel, Notifications, retry_at
from policies.windows import zone

LOCAL = zone("Asia/Shanghai")


def channel(**keys: Any) -> Channel:
    return Channel.model_validate({"url": "env:DUTY", **keys})


def test_a_channel_wants_everything_unless_it_says_otherwise() -> None:
    assert all(channel().wants(event, "info") for event in EVENTS)
    few = channel(events=["drill"], severity="warning")
    assert [few.wants("drill", each) for each in ("info", "warning", "critical")] == [False, True, True]
    assert not few.wants("objective", "critical")


@pytest.mark.parametrize(
    ("quiet", "hours"),
    [
        ("22:00-07:00", {22, 23, 0, 1, 2, 3, 4, 5, 6}),
        ("12:00-14:00", {12, 13}),
        ("18:00-24:00", {18, 19, 20, 21, 22, 23}),
        ("00:00-24:00", set(range(24))),
    ],
)
def test_quiet_time_is_the_site_s(quiet: str, hours: set[int]) -> None:
    midnight = datetime(2026, 11, 23, tzinfo=LOCAL)
    found = {hour for hour in range(24) if channel(quiet=quiet).is_quiet(midnight.replace(hour=hour), LOCAL)}
    assert found == hours
    assert not channel().is_quiet(midnight, LOCAL)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"channels": {"duty": {"url": "env:X", "events": []}}}, "one event at least"),
        ({"channels": {"duty": {"url": "env:X", "events": ["drils"]}}}, "drill"),
        ({"channels": {"duty": {"url": "dingtalk://SEC@token"}}}, "pattern"),
        ({"channels": {"duty": {"url": "env:X", "quiet": "22:00"}}}, "pattern"),
        ({"channels": {"duty": {"url": "env:X", "endpoint": "https://li:pw@host"}}}, "pattern"),
        ({"pulse": {"url": "env:X", "every": "5s"}}, "10s at least"),
        ({"pulse": {}}, "a url, a due_url or both"),
        ({"report_link": "https://reports.example/"}, "pattern"),
    ],
)
def test_what_does_not_fit_is_told(rules: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Notifications.model_validate(rules)


@given(st.integers(1, 200), st.floats(0, 1))
def test_what_fails_is_tried_again_less_and_less_and_never_seldom(attempts: int, spread: float) -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    wait = retry_at(now, attempts, now, spread) - now
    assert timedelta(seconds=12) <= wait <= timedelta(minutes=15)
    assert wait <= retry_at(now, attempts + 1, now, 0) - now
