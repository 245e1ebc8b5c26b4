"""Grading: the lowest element counts, no drill is no level, and no number of an unread clause is printed."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from policies.grading import BATCHES_A_DAY, PROFILES, Observed, grade, profile_of

DAY = timedelta(days=1)
GOOD = Observed(
    centre="provincial",
    distance_km=356.0,
    newest_point_age=timedelta(hours=1),
    landed_a_day=72.0,
    proved_age=3 * DAY,
    restore_test_every=30 * DAY,
    has_cloud=True,
    drilled={"switchover": 10 * DAY},
    switches_names=True,
)
PROFILE = PROFILES["gbt20988-2025"]


def levels(seen: Observed) -> dict[str, int | None]:
    return {each.name: each.level for each in grade(seen, PROFILE).elements}


def test_what_a_program_cannot_see_is_named_and_never_counted() -> None:
    found = grade(GOOD, PROFILE)
    assert levels(GOOD) == {
        "data": 4, "processing": 4, "network": 5, "facility": None, "support": None, "operation": None, "plan": 6,
    }  # fmt: skip
    assert found.level == 4
    assert [each.name for each in found.unseen] == ["facility", "support", "operation"]
    assert all("程序无法核实" in each.reason.zh and "not checkable" in each.reason.en for each in found.unseen)


def test_no_drill_on_record_is_no_level_whatever_the_equipment() -> None:
    for drilled in ({}, {"restore": 400 * DAY}):
        assert grade(replace(GOOD, drilled=drilled), PROFILE).level == 0


def test_the_lowest_element_counts() -> None:
    restored = replace(GOOD, drilled={"restore": DAY})
    assert (levels(restored)["processing"], levels(restored)["network"], grade(restored, PROFILE).level) == (3, 3, 3)
    assert grade(replace(restored, has_cloud=False), PROFILE).level == 1
    assert levels(replace(GOOD, landed_a_day=BATCHES_A_DAY - 0.1))["data"] == 2
    for bad in (
        {"newest_point_age": None},
        {"newest_point_age": 8 * DAY},
        {"proved_age": None},
        {"proved_age": 31 * DAY},
    ):
        assert levels(replace(GOOD, **bad))["data"] == 0  # type: ignore[arg-type]


def test_the_edition_is_the_one_in_force_and_says_what_is_not_verified() -> None:
    assert profile_of(date(2025, 12, 31)).name == "gbt20988-2007"
    assert profile_of(date(2026, 1, 1)).name == "gbt20988-2025"
    assert "尚未核实" in PROFILE.note.zh


AGES = st.one_of(st.none(), st.timedeltas(timedelta(0), 800 * DAY))


@given(
    AGES,
    st.floats(0, 500),
    AGES,
    st.booleans(),
    st.booleans(),
    st.sampled_from(["restore", "sandbox", "failover"]),
    AGES,
)
def test_more_is_never_worse_and_no_verdict_is_above_what_timed_points_can_reach(
    newest: timedelta | None, rate: float, proved: timedelta | None, cloud: bool, names: bool, kind: str,
    drilled: timedelta | None,
) -> None:  # fmt: skip
    drills = {} if drilled is None else {kind: drilled}
    seen = Observed("provincial", 356.0, newest, rate, proved, 30 * DAY, cloud, drills, names)
    found = grade(seen, PROFILE)
    assert 0 <= found.level <= 4
    assert grade(replace(seen, has_cloud=True), PROFILE).level >= found.level
    assert grade(replace(seen, drilled={**drills, "switchover": DAY}), PROFILE).level >= found.level
    for each in found.elements:
        if each.standing == "unread":  # figures in it are what was measured here, never what a clause asks for
            told = re.sub(r"\d+(\.\d+)?( 次| a day| km|d\d\dh|[dhms]\d*[hms]?)", "", each.reason.en + each.reason.zh)
            assert not re.search(r"(at least|不少于|≥|≤)\s*\d", told)
