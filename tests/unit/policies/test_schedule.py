"""The schedule as a function: turns, one due of each subject, catching up, failures, deadlines, windows, blackouts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.load import load_site
from policies.plan import Plan, Recovery
from policies.schedule import RETRY_MOST, Due, due, reminders, upcoming
from policies.site import Blackout, Site, SystemRef
from policies.work import AtCentre, Facts, Failures, copy_centres, next_turn, phase, plan_centres

DALIAN = load_site(Path(__file__).parents[3] / "examples" / "dalian")
OPEN = DALIAN.model_copy(
    update={
        "blackouts": (),
        "tiers": {
            name: tier.model_copy(
                update={
                    "schedule": tier.schedule.model_copy(
                        update={"windows": tier.schedule.windows.model_copy(update={"heavy": ()})}
                    )
                }
            )
            for name, tier in DALIAN.tiers.items()
        },
    }
)
#: One bureau of it, where a test looks often.
BUREAU = OPEN.model_copy(update={"tenants": {"natural-resources": OPEN.tenants["natural-resources"]}})
NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)  # noon in Dalian
LAND = "natural-resources/land-registry"
MAPS = "natural-resources/planning-maps"
KEY = ("natural-resources", "land-registry")
DAY = timedelta(days=1)

instants = st.timedeltas(timedelta(0), 700 * DAY).map(lambda each: NOW - 350 * DAY + each)
spans = st.timedeltas(timedelta(minutes=1), timedelta(days=400))


def facts(now: datetime, *, age: timedelta, lag: timedelta = timedelta(0), **more: Any) -> Facts:
    """All systems as they are when everything was last done `age` ago, and copies are `lag` behind."""
    at: dict[tuple[str, str, str], AtCentre] = {}
    last = now - age
    for ref in DALIAN.systems():
        for number, centre in enumerate(copy_centres(ref)):
            behind = lag if number else timedelta(0)
            lacking = last if behind else None
            at[ref.tenant.tenant, ref.name, centre] = AtCentre(
                last - behind, lacking, last, last, last, last, last, last, {"restore": last}
            )
    known = {(ref.tenant.tenant, ref.name): last - timedelta(days=400) for ref in DALIAN.systems()}
    checked = {(name, centre): last for name, plan in DALIAN.plans.items() for centre in plan_centres(DALIAN, plan)}
    drift = dict.fromkeys(DALIAN.clouds(), last)
    spotted = dict.fromkeys(known, last)
    return Facts(known_since=known, at=at, drift_at=drift, plan_checked=checked, spotted=spotted, **more)


def of(found: list[Due], flow: str, subject: str) -> Due | None:
    return next((each for each in found if (each.flow, each.subject) == (flow, subject)), None)


def plans_of(ref: SystemRef) -> list[str]:
    return [name for name, each in OPEN.plans.items() if str(ref) in each.systems]


def land() -> SystemRef:
    found = DALIAN.system(*KEY)
    assert found
    return found


# --- what is damaged


def test_what_is_damaged_is_healed_at_once_where_another_centre_has_copies_and_a_blackout_may_hold_it():
    known = facts(NOW, age=timedelta(minutes=1))
    since = NOW - timedelta(minutes=2)
    at = {**known.at, (*KEY, "provincial"): replace(known.at[*KEY, "provincial"], damaged_since=since)}
    found = of(due(OPEN, replace(known, at=at), NOW), "heal", f"{LAND}@provincial")
    assert found is not None
    assert (found.at, found.arguments) == (since, {"system": LAND, "centre": "provincial"})
    assert "provincial" in found.reason_en
    assert of(due(OPEN, known, NOW), "heal", f"{LAND}@provincial") is None

    words = {"from": "2026-11-23", "to": "2026-11-24", "reason": {"zh": "会", "en": "congress"}}
    for forbids, held in ((None, False), (["heal"], True)):
        blackout = Blackout.model_validate(words | ({"forbids": forbids} if forbids else {}))
        site = OPEN.model_copy(update={"blackouts": (blackout,)})
        assert (of(due(site, replace(known, at=at), NOW), "heal", f"{LAND}@provincial") is None) == held


# --- turns


@given(st.text(min_size=1), spans, instants)
def test_a_turn_comes_after_and_within_an_interval_and_then_every_interval(key, interval, after):
    turn = next_turn(key, interval, after)
    assert after < turn <= after + interval
    assert next_turn(key, interval, turn) == turn + interval
    assert next_turn(key, interval, turn - timedelta(microseconds=1)) == turn


@given(st.text(min_size=1), spans, instants, instants)
def test_turns_are_monotone(key, interval, one, other):
    first, second = sorted((one, other))
    assert next_turn(key, interval, first) <= next_turn(key, interval, second)


def test_turns_of_many_systems_are_spread_evenly():
    count, parts = 20_000, 40
    found = [0] * parts
    for number in range(count):
        found[phase(f"tenant-{number // 5}/system-{number % 5}/backup") * parts >> 64] += 1
    # 500 in each; a fair spread strays by more than five standard deviations less than once in a million.
    assert max(abs(each - count / parts) for each in found) < 5 * (count / parts) ** 0.5


# --- one due of each


@settings(max_examples=15)
@given(instants, spans, st.sampled_from([timedelta(0), timedelta(minutes=7), timedelta(days=30)]))
def test_of_each_subject_there_is_one_due_however_long_nothing_was_done(now, outage, lag):
    for site in (DALIAN, OPEN):
        known = facts(now, age=outage, lag=lag)
        for found in (due(site, known, now), upcoming(site, known, now, 48)):
            keys = [(each.flow, each.subject) for each in found]
            assert len(keys) == len(set(keys))


def test_after_an_outage_everything_is_due_and_once_done_nothing_is():
    found = due(OPEN, facts(NOW, age=timedelta(days=100), lag=DAY), NOW)
    pairs = sum(len(copy_centres(ref)) for ref in OPEN.systems())
    copies = sum(len(copy_centres(ref)) - 1 for ref in OPEN.systems())
    systems = len(list(OPEN.systems()))
    checks = sum(len(plan_centres(OPEN, each)) for each in OPEN.plans.values())
    tests = {(plans_of(ref)[0], centre) for ref in OPEN.systems() for centre in copy_centres(ref)}
    assert len([each for each in found if each.flow == "drill"]) == len(tests)
    locks = sum(bool(each.retention.lock) for ref in OPEN.systems() for each in ref.copies.values())
    assert locks == len([each for each in found if each.flow == "lock"]) > 0
    assert len([each for each in found if each.flow == "spot-check"]) == systems
    assert len(found) == 2 * systems + copies + 3 * pairs + locks + len(tests) + len(OPEN.clouds()) + checks
    assert due(OPEN, facts(NOW, age=timedelta(0)), NOW) == []


@settings(max_examples=15)
@given(instants, st.integers(5, 60))
def test_a_day_of_ticks_backs_up_once_each_interval(now, minutes):
    """However often one looks: as many backups as there are turns, and none closer than the looks allow."""
    ref, step = land(), timedelta(minutes=minutes)
    last, done, at = now, 0, now
    while (at := at + step) <= now + DAY:
        here = AtCentre(data_time=last)
        known = Facts(known_since={KEY: now}, at={(*KEY, centre): here for centre in copy_centres(ref)})
        if of(due(BUREAU, known, at), "backup", LAND):
            last, done = at, done + 1
    turns = DAY / max(ref.tier.backup_every, step)
    assert turns / 2 - 1 <= done <= DAY / ref.tier.backup_every + 1


@settings(max_examples=20)
@given(instants, spans)
def test_what_is_due_stays_due_until_it_is_done(now, age):
    known = facts(now, age=age, lag=timedelta(minutes=1))
    before = {(each.flow, each.subject) for each in due(OPEN, known, now)}
    for later in (timedelta(seconds=1), timedelta(hours=5), timedelta(days=40)):
        after = {(each.flow, each.subject) for each in due(OPEN, known, now + later)}
        assert before <= after


def test_what_is_open_is_not_due_and_is_shown():
    known = facts(NOW, age=timedelta(days=100), open={("backup", LAND): "running"})
    assert of(due(OPEN, known, NOW), "backup", LAND) is None
    shown = of(upcoming(OPEN, known, NOW, 1), "backup", LAND)
    assert shown
    assert shown.open == "running"


def test_a_new_system_is_backed_up_soon_and_nothing_else_of_it_is_due():
    known = Facts(known_since={KEY: NOW}, at={}, drift_at=dict.fromkeys(DALIAN.clouds(), NOW))
    assert [each.subject for each in due(DALIAN, known, NOW + timedelta(minutes=15)) if each.system == LAND] == [LAND]
    first = of(upcoming(DALIAN, known, NOW, 24), "backup", LAND)
    assert first
    assert NOW <= first.at <= NOW + timedelta(minutes=15)
    assert first.deadline == NOW + land().copies["same-city"].rpo


# --- replication


def test_a_copy_is_due_only_when_the_source_has_a_newer_point():
    level = facts(NOW, age=timedelta(minutes=1))
    assert not [each for each in due(OPEN, level, NOW) if each.flow == "replicate"]
    behind = facts(NOW, age=timedelta(minutes=1), lag=timedelta(minutes=20))
    found = of(due(OPEN, behind, NOW), "replicate", f"{LAND} same-city>provincial")
    assert found
    assert dict(found.arguments) == {"system": LAND, "source": "same-city", "target": "provincial"}
    assert found.deadline == NOW - timedelta(minutes=21) + land().copies["provincial"].rpo


def test_copies_follow_landings_within_what_the_tier_says():
    known = facts(NOW, age=timedelta(0), lag=timedelta(hours=9))
    coming = [each for each in upcoming(OPEN, known, NOW, 24) if each.flow == "replicate"]
    assert coming
    for each in coming:
        ref = OPEN.system(*str(each.system).split("/"))
        assert ref
        assert NOW <= each.at <= NOW + ref.tier.schedule.replicate_within


def test_a_copy_that_did_not_bring_the_point_is_not_hammered():
    subject = f"{LAND} same-city>provincial"
    known = facts(NOW, age=timedelta(hours=1), lag=timedelta(minutes=20))
    tried = replace(known, done={("replicate", subject): NOW - timedelta(seconds=30)})
    assert of(due(OPEN, known, NOW), "replicate", subject)
    assert of(due(OPEN, tried, NOW), "replicate", subject) is None


# --- failures


def waits(known: Facts, start: datetime, end: datetime) -> list[timedelta]:
    """Return the waits between the tries of a backup that always fails at once, looked at every 15 seconds."""
    at, tries = start, []
    while at < end:
        recent = [each for each in tries if each > at - DAY]
        state = {("backup", LAND): Failures(recent[0], recent[-1], None)} if recent else {}
        if of(due(BUREAU, replace(known, failures=state), at), "backup", LAND):
            tries.append(at)
        at += timedelta(seconds=15)
    return [after - before for before, after in pairwise(tries)]


def test_failures_are_repeated_ever_later_and_never_later_than_the_interval():
    found = waits(facts(NOW, age=timedelta(hours=2)), NOW, NOW + timedelta(hours=5))
    every = land().tier.backup_every
    assert timedelta(minutes=1) <= found[0] <= timedelta(minutes=1, seconds=15)
    assert found == sorted(found)
    assert found[-1] <= every + timedelta(seconds=15)
    assert found[-1] >= every
    assert all(after <= 2 * before + timedelta(seconds=30) for before, after in pairwise(found))
    assert len(found) <= timedelta(hours=5) / every + 6


@given(st.timedeltas(timedelta(0), DAY), st.timedeltas(timedelta(0), DAY))
def test_a_failure_holds_back_for_a_minute_at_least_and_six_hours_at_most(first, length):
    known = facts(NOW, age=timedelta(days=300))
    last = NOW + max(first, length)
    failing = replace(
        known, failures={("drill", f"{plan()}@provincial"): Failures(NOW + min(first, length), last, None)}
    )
    found = of(upcoming(OPEN, failing, last, 7), "drill", f"{plan()}@provincial")
    assert found
    assert last + timedelta(minutes=1) <= found.at <= last + RETRY_MOST


def plan() -> str:
    return next(each.plan for each in DALIAN.plans.values() if list(each.systems) == [LAND])


def test_an_aborted_run_is_left_for_its_interval():
    known = facts(NOW, age=timedelta(hours=2), failures={("backup", LAND): Failures(NOW, NOW, NOW)})
    found = of(upcoming(OPEN, known, NOW, 24), "backup", LAND)
    assert found
    assert found.at == NOW + land().tier.backup_every


def test_a_restore_test_that_failed_is_tried_again_and_one_that_recovered_is_not():
    known, key = facts(NOW, age=timedelta(hours=1)), (*KEY, "provincial")
    long_ago = NOW - timedelta(days=200)
    failed = replace(known.at[key], recovered_at=long_ago, drilled_at=NOW - timedelta(hours=7))
    trying = replace(known, at={**known.at, key: failed})
    assert of(due(OPEN, known, NOW), "drill", f"{plan()}@provincial") is None
    found = of(due(OPEN, trying, NOW), "drill", f"{plan()}@provincial")
    assert found
    assert {**found.arguments, "point": ""} == {"plan": plan(), "centre": "provincial", "point": ""}


def test_a_plan_of_several_systems_is_tested_once_and_where_all_keep_copies():
    names = {LAND: Recovery(), MAPS: Recovery()}
    both = OPEN.model_copy(update={"plans": {"both": Plan(plan="both", systems=names)}})
    known = facts(NOW, age=timedelta(days=200))
    drills = [each.subject for each in due(both, known, NOW) if each.flow == "drill"]
    assert sorted(drills) == ["both@provincial", "both@same-city"]
    tier = both.tiers["data-backup"]
    far = tier.model_copy(update={"copies": {"provincial": tier.copies["provincial"]}})
    apart = both.model_copy(update={"tiers": {**both.tiers, "data-backup": far}})
    assert [each.subject for each in due(apart, known, NOW) if each.flow == "drill"] == ["both@provincial"]


def test_every_other_restore_test_takes_a_point_at_random():
    known, every = facts(NOW, age=timedelta(days=200)), land().tier.schedule.restore_test_every
    taken = []
    for turn in range(6):
        found = of(due(OPEN, known, NOW + turn * every), "drill", f"{plan()}@provincial")
        assert found
        taken.append(found.arguments.get("point"))
        key, done = (*KEY, "provincial"), NOW + turn * every
        known = replace(known, at={**known.at, key: replace(known.at[key], recovered_at=done, drilled_at=done)})
    assert taken in (["random:2592000s", None] * 3, [None, "random:2592000s"] * 3)


def test_each_plan_is_looked_at_every_day_once():
    never = replace(facts(NOW, age=timedelta(0)), plan_checked={})
    found = {each.subject for each in due(OPEN, never, NOW) if each.flow == "plan-check"}
    assert found == {f"{name}@{centre}" for name, each in OPEN.plans.items() for centre in plan_centres(OPEN, each)}
    known = facts(NOW, age=timedelta(0))
    assert not [each for each in due(OPEN, known, NOW) if each.flow == "plan-check"]
    assert {each.subject for each in due(OPEN, known, NOW + DAY) if each.flow == "plan-check"} == found


# --- deadlines and order


def test_deadlines_are_when_the_objective_would_be_missed():
    found = due(OPEN, facts(NOW, age=timedelta(days=100)), NOW)
    last, rule = NOW - timedelta(days=100), land().tier.schedule
    expected = {
        ("backup", LAND): land().copies["same-city"].rpo,
        ("verify", f"{LAND}@provincial structure"): rule.check_every,
        ("verify", f"{LAND}@provincial data"): DAY,
        ("retention", f"{LAND}@same-city"): rule.retention_every,
        ("lock", f"{LAND}@same-city"): DAY,
        ("drill", f"{plan()}@same-city"): rule.restore_test_every,
    }
    for (flow, subject), length in expected.items():
        each = of(found, flow, subject)
        assert each, (flow, subject)
        assert each.deadline == last + length


def test_the_most_urgent_comes_first():
    found = due(OPEN, facts(NOW, age=timedelta(days=100), lag=DAY), NOW)
    assert [(each.priority, each.deadline) for each in found] == sorted((e.priority, e.deadline) for e in found)
    assert {each.flow: each.priority for each in found} == {
        "backup": 1, "replicate": 1, "verify": 2, "drill": 2, "lock": 2, "spot-check": 2, "retention": 3,
        "tenant-drift": 3, "plan-check": 3,
    }  # fmt: skip
    tied = [each.rpo for each in found if (each.flow, each.deadline) == (found[0].flow, found[0].deadline)]
    assert tied == sorted(tied)


# --- windows and blackouts


def test_heavy_work_waits_for_the_night_and_spreads_over_it():
    known = facts(NOW, age=timedelta(days=100))
    assert not [each for each in due(DALIAN, known, NOW) if each.flow in ("retention", "drill")]
    assert not [each for each in due(DALIAN, known, NOW) if each.subject.endswith(" data")]
    assert [each for each in due(DALIAN, known, NOW) if each.subject.endswith(" structure")]
    night = [each for each in upcoming(DALIAN, known, NOW, 24) if each.flow == "retention"]
    assert len(night) == sum(len(copy_centres(ref)) for ref in DALIAN.systems())
    begin = datetime(2026, 11, 23, 14, tzinfo=UTC)
    for each in night:
        assert begin <= each.at < begin + timedelta(hours=8)
        assert each.held_until == each.at
        assert each.hold
        assert "22:00-06:00" in each.hold.reason_en
    assert len({each.at for each in night}) == len(night)
    assert max(each.at for each in night) - min(each.at for each in night) > timedelta(hours=4)


def test_every_night_each_retention_is_due_once():
    """Whatever the phase of its turn: held or not, one a night, a day apart."""
    nightly = DALIAN.model_copy(update={"tenants": BUREAU.tenants, "blackouts": ()})
    done: dict[str, list[datetime]] = {}
    begin = datetime(2026, 11, 23, 4, tzinfo=UTC)
    known, at = facts(begin, age=timedelta(hours=1)), begin
    while (at := at + timedelta(minutes=30)) < begin + timedelta(days=4):
        for each in due(nightly, known, at):
            if each.flow == "retention":
                done.setdefault(each.subject, []).append(at)
                tenant, _, rest = each.subject.partition("/")
                name, _, centre = rest.partition("@")
                key = (tenant, name, centre)
                known = replace(known, at={**known.at, key: replace(known.at[key], retained_at=at)})
    assert len(done) == sum(len(copy_centres(ref)) for ref in nightly.systems())
    for times in done.values():
        assert len(times) in (3, 4)
        gaps = [after - before for before, after in pairwise(times)]
        assert all(abs(each - DAY) <= timedelta(minutes=30) for each in gaps[1:]), gaps


def shut(site: Site, **values: Any) -> Site:
    blackout = Blackout.model_validate(
        {"from": "2026-11-20", "to": "2026-11-25", "reason": {"zh": "进博会", "en": "expo"}, **values}
    )
    return site.model_copy(update={"blackouts": (blackout,)})


def test_in_a_blackout_only_backups_copies_and_locks_go_on():
    known = facts(NOW, age=timedelta(days=100), lag=DAY)
    assert {each.flow for each in due(shut(OPEN), known, NOW)} == {"backup", "replicate", "lock", "plan-check"}
    held = [each for each in upcoming(shut(OPEN), known, NOW, 24 * 5) if each.flow == "retention"]
    ends = datetime(2026, 11, 25, 16, tzinfo=UTC)
    assert held
    for each in held:
        assert each.hold
        assert each.hold[1:] == ("重保期 进博会", "blackout: expo")
        assert ends <= each.at <= ends + DAY
    assert {each.flow for each in due(shut(OPEN), known, ends + DAY)} == {each.flow for each in due(OPEN, known, NOW)}


@pytest.mark.parametrize(
    ("values", "flow", "subjects"),
    [
        ({"forbids": ["backup"], "systems": [LAND]}, "backup", {LAND}),
        (
            {"forbids": ["backup"], "tenants": ["natural-resources"]},
            "backup",
            {LAND, "natural-resources/planning-maps"},
        ),
        ({"forbids": ["retention"], "centres": ["provincial"], "systems": [LAND]}, "retention", {f"{LAND}@provincial"}),
        ({"forbids": ["tenant-drift"], "centres": ["production"]}, "tenant-drift", {"production"}),
        ({"forbids": ["tenant-drift"], "tenants": ["natural-resources"]}, "tenant-drift", set()),
    ],
)
def test_a_blackout_holds_what_it_names_and_nothing_else(values, flow, subjects):
    known = facts(NOW, age=timedelta(days=100), lag=DAY)
    free = {(each.flow, each.subject) for each in due(OPEN, known, NOW)}
    left = {(each.flow, each.subject) for each in due(shut(OPEN, **values), known, NOW)}
    assert free - left == {(flow, each) for each in subjects}


def test_a_backup_touches_production_and_the_centre_it_goes_to():
    known = facts(NOW, age=timedelta(days=100))
    for centre in ("production", "same-city"):
        left = due(shut(OPEN, forbids=["backup"], centres=[centre]), known, NOW)
        assert of(left, "backup", LAND) is None


# --- reminders


def test_drills_by_people_are_called_to_mind_and_never_run():
    known, key = facts(NOW, age=timedelta(days=1)), (*KEY, "provincial")
    at = replace(known.at[key], held={"restore": NOW - timedelta(days=400), "tabletop": NOW})
    found = reminders(OPEN, replace(known, at={**known.at, key: at}), NOW, timedelta(days=30))
    assert [(each.system, each.centre, each.plans) for each in found] == [(LAND, "provincial", (plan(),))]
    assert found[0].due_at == NOW - timedelta(days=400) + land().tier.drill.every


# --- past a centre that was away


def copies_of_land(near: AtCentre, far: AtCentre) -> dict[str, Due]:
    at = {(*KEY, "same-city"): near, (*KEY, "provincial"): far}
    found = due(OPEN, Facts(known_since={KEY: NOW - 90 * DAY}, at=at), NOW)
    return {each.subject.removeprefix(f"{LAND} "): each for each in found if each.flow == "replicate"}


def test_what_a_farther_centre_has_and_the_nearest_lacks_goes_back_to_it():
    older, newer = NOW - timedelta(hours=5), NOW - timedelta(hours=1)
    found = copies_of_land(AtCentre(older), AtCentre(newer))
    assert list(found) == ["provincial>same-city"]
    back = found["provincial>same-city"]
    assert back.arguments == {"system": LAND, "source": "provincial", "target": "same-city"}
    assert back.deadline == older + land().copies["same-city"].rpo
    assert list(copies_of_land(AtCentre(None), AtCentre(newer))) == ["provincial>same-city"]
    assert copies_of_land(AtCentre(newer), AtCentre(newer)) == {}


def test_a_point_written_past_the_nearest_centre_is_owed_while_it_would_keep_it():
    newer = NOW - timedelta(hours=1)
    keep = land().copies["same-city"].retention.keep_within
    assert copies_of_land(AtCentre(newer), AtCentre(newer, owed=NOW - keep)) == {}
    owed = AtCentre(newer - timedelta(hours=2), newer, owed=NOW - keep + timedelta(minutes=1))
    assert set(copies_of_land(AtCentre(newer), owed)) == {"same-city>provincial", "provincial>same-city"}


def test_a_backup_that_went_past_the_nearest_centre_was_made_all_the_same():
    every = land().tier.backup_every
    known = Facts(
        known_since={KEY: NOW - 90 * DAY},
        at={(*KEY, "same-city"): AtCentre(NOW - 9 * every), (*KEY, "provincial"): AtCentre(NOW)},
    )
    (backup,) = [each for each in upcoming(OPEN, known, NOW, 24) if each.flow == "backup" and each.subject == LAND]
    assert NOW < backup.at <= NOW + every
