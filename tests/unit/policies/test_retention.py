"""Retention: what is never forgotten, whatever the history, and what a plan is refused for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.retention import (
    CLOCKS_DIFFER,
    Decision,
    Farther,
    Held,
    Reason,
    decide,
    is_leftover,
    is_too_many,
    suspicion,
)
from policies.tiers import Retention

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
RULE = Retention(keep_within=timedelta(days=14), lock=timedelta(0))


def held(age_days: float, *, proved: bool = False, landed_days: float | None = None) -> Held:
    at = NOW - age_days * DAY
    landed = at if landed_days is None else NOW - landed_days * DAY
    return Held(f"p{age_days}", at, at, landed, proved)


def reasons(decisions: tuple[Decision, ...]) -> dict[str, Reason]:
    return {each.id: each.reason for each in decisions}


def test_each_reason_that_keeps_a_point() -> None:
    points = [held(0), held(5), held(20, proved=True), held(21), held(22), held(23), held(24), held(25, landed_days=3)]
    far = Farther("provincial", timedelta(days=35), frozenset({"p21", "p22", "p24"}))
    rule = RULE.model_copy(update={"lock": 7 * DAY})
    assert reasons(decide(points, rule, NOW, in_use={"p22"}, farther=[far])) == {
        "p0": Reason.NEWEST,
        "p5": Reason.YOUNG,
        "p20": Reason.NEWEST_PROVED,
        "p21": Reason.EXPIRED,
        "p22": Reason.IN_USE,
        "p23": Reason.NOT_FARTHER,
        "p24": Reason.EXPIRED,
        "p25": Reason.LOCKED,
    }


def test_a_kept_point_says_until_when_and_for_whom() -> None:
    rule = RULE.model_copy(update={"lock": 2 * DAY})
    _, young, locked, absent = decide(
        [held(0), held(3), held(20, landed_days=1), held(30)],
        rule,
        NOW,
        in_use=(),
        farther=[Farther("provincial", timedelta(days=35), frozenset({"p20"}))],
    )
    assert young.until == NOW + 11 * DAY
    assert locked.until == NOW + DAY
    assert absent.centre == "provincial"


def test_what_the_farther_centre_does_not_keep_either_is_not_kept_for_it() -> None:
    far = Farther("provincial", timedelta(days=35), frozenset())
    decisions = decide([held(0), held(34), held(36)], RULE, NOW, in_use=(), farther=[far])
    assert reasons(decisions) == {"p0": Reason.NEWEST, "p34": Reason.NOT_FARTHER, "p36": Reason.EXPIRED}


def test_a_system_that_is_no_longer_backed_up_loses_nothing() -> None:
    points = [held(0), held(10)]
    later = decide(points, RULE, NOW + 1000 * DAY, in_use=(), farther=[])
    assert all(each.kept for each in later)


def test_nothing_to_decide() -> None:
    assert decide([], RULE, NOW, in_use=(), farther=[]) == ()
    assert suspicion([], NOW) is None
    assert not is_too_many(())


ages = st.floats(min_value=0, max_value=100).map(lambda each: round(each, 2))
histories = st.lists(st.tuples(ages, st.booleans()), min_size=1, max_size=30, unique_by=lambda each: each[0]).map(
    lambda drawn: [held(age, proved=proved) for age, proved in drawn]
)
rules = st.tuples(st.integers(1, 60), st.integers(0, 60)).map(
    lambda days: Retention(keep_within=timedelta(days=days[0]), lock=timedelta(days=min(days)))
)


@given(histories, rules, st.data())
def test_whatever_the_history_what_must_stay_stays(points: list[Held], rule: Retention, data: st.DataObject) -> None:
    ids = [each.id for each in points]
    in_use = data.draw(st.frozensets(st.sampled_from(ids)))
    far = Farther("provincial", 2 * rule.keep_within, data.draw(st.frozensets(st.sampled_from(ids))))
    forgotten = {each.id for each in decide(points, rule, NOW, in_use=in_use, farther=[far]) if not each.kept}

    newest = max(points, key=lambda each: each.data_time)
    proved = [each for each in points if each.proved]
    assert newest.id not in forgotten
    if proved:
        assert max(proved, key=lambda each: each.data_time).id not in forgotten
    assert not forgotten & in_use
    for each in points:
        if each.id in forgotten:
            age = newest.data_time - each.data_time
            assert age > rule.keep_within
            assert each.landed_at + rule.lock <= NOW
            assert each.id in far.holds or age > far.keep_within


@given(histories, rules)
def test_what_is_left_is_left_again(points: list[Held], rule: Retention) -> None:
    kept = {each.id for each in decide(points, rule, NOW, in_use=(), farther=[]) if each.kept}
    again = decide([each for each in points if each.id in kept], rule, NOW, in_use=(), farther=[])
    assert {each.id for each in again if each.kept} == kept


@given(histories, rules)
def test_a_farther_centre_that_keeps_longer_keeps_at_least_as_much(points: list[Held], rule: Retention) -> None:
    longer = rule.model_copy(update={"keep_within": rule.keep_within + 10 * DAY})
    near = {each.id for each in decide(points, rule, NOW, in_use=(), farther=[]) if each.kept}
    far = {each.id for each in decide(points, longer, NOW, in_use=(), farther=[]) if each.kept}
    assert near <= far


def test_dates_that_are_not_to_be_trusted() -> None:
    good = [held(1), held(2)]
    assert suspicion(good, NOW) is None
    ahead = held(-1)
    assert "future" in (suspicion([*good, ahead], NOW) or "")
    assert suspicion([*good, replace(ahead, data_time=NOW + CLOCKS_DIFFER)], NOW) is None
    back = replace(held(400), finished_at=NOW)
    assert "made last" in (suspicion([*good, back], NOW) or "")


@pytest.mark.parametrize(("forgotten", "kept", "too_many"), [(1, 1, False), (2, 1, True), (0, 1, False), (5, 6, False)])
def test_more_than_half_is_too_many(forgotten: int, kept: int, too_many: bool) -> None:
    going = [Decision(f"f{number}", NOW, Reason.EXPIRED) for number in range(forgotten)]
    staying = [Decision(f"k{number}", NOW, Reason.YOUNG) for number in range(kept)]
    assert is_too_many([*going, *staying]) is too_many


def test_leftovers_wait_a_day() -> None:
    assert not is_leftover(NOW - DAY, NOW)
    assert is_leftover(NOW - DAY - timedelta(seconds=1), NOW)
