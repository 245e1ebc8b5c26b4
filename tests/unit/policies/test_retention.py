"""Retention: what is never forgotten, whatever the history, and what a plan is refused for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.retention import (
    BAD_STAYS,
    Decision,
    Farther,
    Ground,
    Held,
    Reason,
    decide,
    is_leftover,
    is_too_many,
    kept_by_rule,
)
from policies.suspicion import Standing
from policies.tiers import UNITS, Keep, Retention
from policies.windows import zone

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
CHINA = zone("Asia/Shanghai")
RULE = Retention(keep_within=timedelta(days=14), lock=timedelta(0))


def held(age_days: float, *, proved: bool = False, landed_days: float | None = None) -> Held:
    at = NOW - age_days * DAY
    landed = at if landed_days is None else NOW - landed_days * DAY
    return Held(f"p{age_days}", at, at, landed, proved)


def farther(keeps_days: float, points: list[Held], *ids: str) -> Farther:
    rule = Retention(keep_within=keeps_days * DAY, lock=timedelta(0))
    return Farther("provincial", rule, {each.id: each.data_time for each in points if each.id in ids})


def reasons(decisions: tuple[Decision, ...]) -> dict[str, Reason]:
    return {each.id: each.reason for each in decisions}


def test_each_reason_that_keeps_a_point() -> None:
    points = [held(0), held(5), held(20, proved=True), held(21), held(22), held(23), held(24), held(25, landed_days=3)]
    far = farther(35, points, "p21", "p22", "p24")
    rule = RULE.model_copy(update={"lock": 7 * DAY})
    assert reasons(decide(points, rule, NOW, CHINA, in_use={"p22"}, farther=[far])) == {
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
    points = [held(0), held(3), held(20, landed_days=1), held(30)]
    _, young, locked, absent = decide(
        points,
        rule,
        NOW,
        CHINA,
        in_use=(),
        farther=[farther(35, points, "p20")],
    )
    assert young.grounds == (
        Ground(Reason.YOUNG, until=NOW + 11 * DAY),
        Ground(Reason.NOT_FARTHER, centre="provincial"),
    )
    assert locked.grounds == (Ground(Reason.LOCKED, until=NOW + DAY),)
    assert absent.grounds == (Ground(Reason.NOT_FARTHER, centre="provincial"),)


def test_what_the_farther_centre_does_not_keep_either_is_not_kept_for_it() -> None:
    far = farther(35, [])
    decisions = decide([held(0), held(34), held(36)], RULE, NOW, CHINA, in_use=(), farther=[far])
    assert reasons(decisions) == {"p0": Reason.NEWEST, "p34": Reason.NOT_FARTHER, "p36": Reason.EXPIRED}


def test_a_system_that_is_no_longer_backed_up_loses_nothing() -> None:
    points = [held(0), held(10)]
    later = decide(points, RULE, NOW + 1000 * DAY, CHINA, in_use=(), farther=[])
    assert all(each.kept for each in later)


def test_nothing_to_decide() -> None:
    assert decide([], RULE, NOW, CHINA, in_use=(), farther=[]) == ()
    assert not is_too_many(())


ages = st.floats(min_value=0, max_value=100).map(lambda each: round(each, 2))
histories = st.lists(st.tuples(ages, st.booleans()), min_size=1, max_size=30, unique_by=lambda each: each[0]).map(
    lambda drawn: [held(age, proved=proved) for age, proved in drawn]
)
keeps = st.tuples(*(st.integers(0, 6) for _ in UNITS)).map(lambda counts: Keep(**dict(zip(UNITS, counts, strict=True))))
rules = st.tuples(st.integers(1, 60), st.integers(0, 60), keeps).map(
    lambda drawn: Retention(keep_within=drawn[0] * DAY, lock=min(drawn[:2]) * DAY, keep=drawn[2])
)


@given(histories, rules, st.data())
def test_whatever_the_history_what_must_stay_stays(points: list[Held], rule: Retention, data: st.DataObject) -> None:
    ids = [each.id for each in points]
    in_use = data.draw(st.frozensets(st.sampled_from(ids)))
    there = data.draw(st.frozensets(st.sampled_from(ids)))
    far = farther(2 * rule.keep_within / DAY, points, *there)
    forgotten = {each.id for each in decide(points, rule, NOW, CHINA, in_use=in_use, farther=[far]) if not each.kept}

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
            assert each.id in far.holds or age > far.rule.keep_within


@given(histories, rules)
def test_what_is_left_is_left_again(points: list[Held], rule: Retention) -> None:
    kept = {each.id for each in decide(points, rule, NOW, CHINA, in_use=(), farther=[]) if each.kept}
    again = decide([each for each in points if each.id in kept], rule, NOW, CHINA, in_use=(), farther=[])
    assert {each.id for each in again if each.kept} == kept


@given(histories, rules, rules)
def test_a_farther_centre_that_keeps_no_less_keeps_all_that_the_nearer_does(
    points: list[Held], rule: Retention, more: Retention
) -> None:
    counts = {unit: getattr(rule.keep, unit) + getattr(more.keep, unit) for unit in UNITS}
    longer = Retention(keep_within=rule.keep_within + more.keep_within, lock=timedelta(0), keep=Keep(**counts))
    near = {each.id for each in decide(points, rule, NOW, CHINA, in_use=(), farther=[]) if each.kept}
    far = kept_by_rule([each for each in points if each.good], longer, NOW, CHINA)
    assert set(kept_by_rule(points, rule, NOW, CHINA)) <= set(far)
    locked = {each.id for each in points if each.landed_at + rule.lock > NOW}
    assert near - locked <= set(far)


def test_the_newest_of_each_bucket_is_kept_and_says_which_it_is() -> None:
    rule = Retention(keep_within=DAY, lock=timedelta(0), keep=Keep(daily=2, weekly=2, monthly=3, yearly=2))
    # NOW is a Monday, 20:00 in China; 18 hours before is the Monday there as well, and Sunday in UTC.
    points = [held(0), held(0.75), held(3), held(4), held(60), held(61), held(400)]
    buckets = {
        each.id: [f"{ground.reason} {ground.bucket}" for ground in each.grounds if ground.bucket]
        for each in decide(points, rule, NOW, CHINA, in_use=(), farther=[])
    }
    assert buckets == {
        "p0": ["daily 2026-11-23", "weekly 2026-W48", "monthly 2026-11", "yearly 2026"],
        "p0.75": [],
        "p3": ["daily 2026-11-20", "weekly 2026-W47"],
        "p4": [],
        "p60": ["monthly 2026-09"],
        "p61": [],
        "p400": ["monthly 2025-10", "yearly 2025"],
    }
    assert {each.id for each in decide(points, rule, NOW, CHINA, in_use=(), farther=[]) if not each.kept} == {
        "p4",
        "p61",
    }


def test_the_hour_that_a_night_in_autumn_has_twice_is_two_hours() -> None:
    berlin, second = zone("Europe/Berlin"), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    points = [Held(name, at, at, at, False) for name, at in (("a", second - DAY / 24), ("b", second))]
    rule = Retention(keep_within=timedelta(minutes=1), lock=timedelta(0), keep=Keep(hourly=2))
    assert set(kept_by_rule(points, rule, second, berlin)) == {"a", "b"}


# --- points that are suspect or bad

OLD = NOW - 100 * DAY
standings = st.sampled_from([Standing.SUSPECT, Standing.BAD])
poison = st.lists(st.tuples(st.floats(-50, 150), standings), max_size=20).map(
    lambda drawn: [
        replace(held(age), id=f"x{number}", standing=standing, settled_at=OLD if standing is Standing.BAD else None)
        for number, (age, standing) in enumerate(drawn)
    ]
)


def kept_of(points: list[Held], rule: Retention, **more: bool) -> set[str]:
    return {each.id for each in decide(points, rule, NOW, CHINA, in_use=(), farther=[], **more) if each.kept}


@given(histories, poison, rules)
def test_whatever_is_poisoned_no_good_point_goes_for_its_sake(
    good: list[Held], bad: list[Held], rule: Retention
) -> None:
    alone, together = kept_of(good, rule), kept_of([*good, *bad], rule)
    assert alone <= together
    if any(each.standing is Standing.SUSPECT for each in bad):
        assert {each.id for each in good} <= together, "all is held until it is settled"
    else:
        assert together & {each.id for each in good} == alone


events = st.lists(st.tuples(st.floats(0.1, 40), st.sampled_from(Standing)), min_size=1, max_size=40)


@given(events, rules)
def test_in_time_as_points_come_and_go_the_newest_good_one_and_the_good_of_each_bucket_are_there(
    drawn: list[tuple[float, Standing]], rule: Retention
) -> None:
    at, made, there = OLD, list[Held](), list[Held]()
    for number, (days, standing) in enumerate(drawn):
        at += days * DAY
        settled = at - 2 * BAD_STAYS if standing is Standing.BAD else None
        point = Held(f"e{number:02}", at, at, at, False, standing, settled)
        made, there = [*made, point], [*there, point]
        stays = {each.id for each in decide(there, rule, at, CHINA, in_use=(), farther=[]) if each.kept}
        there = [each for each in there if each.id in stays]
        good = [each for each in made if each.good]
        assert set(kept_by_rule(good, rule, at, CHINA)) <= stays
        assert not good or good[-1].id in stays


def test_a_suspect_point_holds_what_would_go_and_a_bad_one_goes_first() -> None:
    points = [held(0), held(1), held(30)]
    suspect, bad = (
        replace(held(-0.01), id="s", standing=Standing.SUSPECT),
        replace(held(1), id="b", standing=Standing.BAD),
    )
    assert reasons(decide([suspect, *points], RULE, NOW, CHINA, in_use=(), farther=[])) == {
        "s": Reason.SUSPECT, "p0": Reason.NEWEST, "p1": Reason.YOUNG, "p30": Reason.HELD_BY_SUSPECT,
    }  # fmt: skip
    assert kept_of(points, RULE, held=True) == {"p0", "p1", "p30"}, "also when it waits at another centre"
    long_ago, just_now = replace(bad, settled_at=NOW - BAD_STAYS), replace(bad, settled_at=NOW - DAY)
    assert reasons(decide([long_ago, *points], RULE, NOW, CHINA, in_use=(), farther=[]))["b"] is Reason.BAD
    (still,) = (each for each in decide([just_now, *points], RULE, NOW, CHINA, in_use=(), farther=[]) if each.id == "b")
    assert still.grounds == (Ground(Reason.JUST_SETTLED, until=NOW + BAD_STAYS - DAY),)
    assert reasons(decide([long_ago], RULE, NOW, CHINA, in_use=(), farther=[])) == {"b": Reason.NONE_GOOD}


def test_a_point_of_the_future_holds_all_until_somebody_has_seen_its_date() -> None:
    ahead, points = held(-30), [held(0), held(5), held(20)]
    decided = decide([ahead, *points], RULE, NOW, CHINA, in_use=(), farther=[])
    assert (decided[0].standing, decided[0].reason) == (Standing.SUSPECT, Reason.SUSPECT)
    assert all(each.kept for each in decided)
    seen = decide([replace(ahead, settled_at=NOW), *points], RULE, NOW, CHINA, in_use=(), farther=[])
    assert reasons(seen) == {"p-30": Reason.YOUNG, "p0": Reason.NEWEST, "p5": Reason.YOUNG, "p20": Reason.EXPIRED}


def test_a_point_that_was_made_last_and_is_dated_long_ago_is_suspect() -> None:
    back = replace(held(400), finished_at=NOW)
    decided = decide([held(1), held(2), held(20), back], RULE, NOW, CHINA, in_use=(), farther=[])
    assert reasons(decided)["p400"] is Reason.SUSPECT
    assert all(each.kept for each in decided)


@pytest.mark.parametrize(("forgotten", "kept", "too_many"), [(1, 1, False), (2, 1, True), (0, 1, False), (5, 6, False)])
def test_more_than_half_is_too_many(forgotten: int, kept: int, too_many: bool) -> None:
    going = [Decision(f"f{number}", NOW, (Ground(Reason.EXPIRED),)) for number in range(forgotten)]
    staying = [Decision(f"k{number}", NOW, (Ground(Reason.YOUNG),)) for number in range(kept)]
    assert is_too_many([*going, *staying]) is too_many


def test_leftovers_wait_a_day() -> None:
    assert not is_leftover(NOW - DAY, NOW)
    assert is_leftover(NOW - DAY - timedelta(seconds=1), NOW)
