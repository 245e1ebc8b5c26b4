"""What is lost if centres are lost: properties that hold of any city, and verdicts small enough to judge by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.limits import Limit
from policies.objectives import Landing, exposure
from policies.scenarios import (
    Basis,
    Copy,
    Fate,
    Outcome,
    Protected,
    Sample,
    Standing,
    assess,
    totals,
)

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CENTRES = ("production", "same-city", "provincial")
VAULTS = CENTRES[1:]
MIB = 1024**2


def landing(minutes: float, landed: float | None = None) -> Landing:
    """A point with data of so many minutes ago that landed a minute later, or so many minutes ago."""
    return Landing(NOW - minutes * MINUTE, NOW - (minutes - 1 if landed is None else landed) * MINUTE)


def copy(centre: str, minutes: float | None = 10, **changes: object) -> Copy:
    newest = None if minutes is None else landing(minutes)
    plain = Copy(centre, rpo=HOUR, rto=4 * HOUR, newest=newest, size_bytes=100 * MIB)
    return replace(plain, **changes)  # type: ignore[arg-type]


def system(name: str, *copies: Copy, **changes: object) -> Protected:
    plain = Protected("bureau", name, "tier", 3, NOW - timedelta(days=9), copies)
    return replace(plain, **changes)  # type: ignore[arg-type]


def drilled(name: str, centre: str, seconds: float, size: int = 100 * MIB) -> Sample:
    return Sample("bureau", name, centre, size, seconds)


def lose(systems: Sequence[Protected], *lost: str, samples: Sequence[Sample] = (), **limits: int) -> list[Outcome]:
    allowed = {slot: Limit(concurrent=count) for slot, count in limits.items()}
    return list(assess(systems, samples, lost, NOW, allowed))


def only(systems: Sequence[Protected], *lost: str, samples: Sequence[Sample] = (), **limits: int) -> Outcome:
    (found,) = lose(systems, *lost, samples=samples, **limits)
    return found


minutes = st.none() | st.integers(0, 500)


@st.composite
def cities(draw: st.DrawFn) -> list[Protected]:
    systems = []
    for number in range(draw(st.integers(1, 6))):
        copies = [
            copy(
                centre,
                draw(minutes),
                rto=draw(st.integers(1, 9)) * HOUR,
                faults=draw(st.sampled_from([0, 0, 0, 2])),
                size_bytes=draw(st.integers(1, 500)) * MIB,
            )
            for centre in draw(st.sampled_from([VAULTS, VAULTS, VAULTS[:1], VAULTS[1:]]))
        ]
        known = NOW - draw(st.integers(0, 300)) * MINUTE  # maybe younger than the points: a rebuilt catalogue
        tenant = draw(st.sampled_from(["a", "b", "c"]))
        systems.append(system(f"s{number}", *copies, tenant=tenant, known_since=known, level=draw(st.integers(1, 6))))
    return systems


samples_of_cities = st.lists(
    st.builds(
        Sample,
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["s0", "s1", "s2"]),
        st.sampled_from(VAULTS),
        st.integers(1, 500).map(lambda size: size * MIB),
        st.floats(0.1, 9000),
    ),
    max_size=6,
)

BADNESS = [Fate.RUNNING, Fate.UNPROTECTED, Fate.RECOVERED, Fate.LOST]
ALL_LOSSES = [frozenset(each) for size in range(4) for each in combinations(CENTRES, size)]


@given(cities(), samples_of_cities)
def test_losing_more_never_makes_anything_better(city: list[Protected], samples: list[Sample]) -> None:
    found = {lost: {str(o.system): o for o in lose(city, *lost, samples=samples)} for lost in ALL_LOSSES}
    for less, more in ((a, b) for a in ALL_LOSSES for b in ALL_LOSSES if a < b):
        for name, before in found[less].items():
            after = found[more][name]
            gone = (Fate.LOST, Fate.UNPROTECTED)
            assert BADNESS.index(after.fate) >= BADNESS.index(before.fate) or (before.fate, after.fate) in gone
            assert before.fate is not Fate.LOST or after.fate is Fate.LOST
            assert {each.centre for each in _copies(after)} <= {each.centre for each in _copies(before)}
            assert _quality(after) >= _quality(before)


def _copies(outcome: Outcome) -> list[Copy]:
    return [each.copy for each in ([outcome.choice] if outcome.choice else []) + list(outcome.alternatives)]


def _quality(outcome: Outcome) -> tuple[bool, bool, timedelta]:
    """How bad it is: no copy, a copy with known faults, the work that is lost."""
    faulty = outcome.choice is None or outcome.choice.copy.faults > 0
    return outcome.choice is None, faulty, outcome.choice.loss if outcome.choice else outcome.loss


@given(cities())
def test_more_centres_lost_never_means_less_work_lost_when_all_copies_are_sound(city: list[Protected]) -> None:
    sound = [replace(each, copies=tuple(replace(one, faults=0) for one in each.copies)) for each in city]
    found = {lost: {str(o.system): o.loss for o in lose(sound, *lost)} for lost in ALL_LOSSES}
    for less, more in ((a, b) for a in ALL_LOSSES for b in ALL_LOSSES if a < b):
        assert all(found[more][name] >= loss for name, loss in found[less].items())


@given(cities(), st.sampled_from(ALL_LOSSES))
def test_loss_is_the_exposure_at_the_chosen_centre_and_no_sound_copy_has_less(
    city: list[Protected], lost: frozenset[str]
) -> None:
    for outcome in lose(city, *lost):
        if outcome.fate is not Fate.RECOVERED:
            continue
        assert outcome.choice is not None
        assert outcome.choice.copy.newest is not None
        assert outcome.choice.centre not in lost
        assert outcome.loss == exposure([outcome.choice.copy.newest], outcome.system.known_since, NOW)
        for other in outcome.alternatives:
            assert other.loss >= outcome.loss or other.copy.faults


@given(cities(), samples_of_cities)
def test_order_is_that_of_deadlines_and_starts_follow_it(city: list[Protected], samples: list[Sample]) -> None:
    # Bureaus have room enough: a bureau's limit lets less urgent systems of others pass.
    turns = [each for each in lose(city, "production", samples=samples, centre=2, tenant=99) if each.recovery]
    keys = [(each.recovery.rto_objective, -each.system.level) for each in turns if each.recovery]
    assert keys == sorted(keys)
    assert [each.recovery.order for each in turns if each.recovery] == list(range(1, len(turns) + 1))
    for centre in VAULTS:
        here = [each.recovery for each in turns if each.recovery and each.choice and each.choice.centre == centre]
        waits = [timedelta.max if each.waits is None else each.waits for each in here]
        assert waits == sorted(waits)


@given(cities(), samples_of_cities, st.sampled_from(ALL_LOSSES))
def test_every_system_is_told_of_once_and_the_totals_add_up(
    city: list[Protected], samples: list[Sample], lost: frozenset[str]
) -> None:
    outcomes = lose(city, *lost, samples=samples)
    assert sorted(str(each.system) for each in outcomes) == sorted(map(str, city))
    every = totals(outcomes)
    assert every.systems == len(city)
    parts = [totals([each for each in outcomes if each.system.tenant == tenant]) for tenant in "abc"]
    for name in ("systems", "recovered", "lost", "unprotected", "rpo_missed", "rto_missed", "rto_unknown", "hold"):
        assert getattr(every, name) == sum(getattr(part, name) for part in parts)
    assert every.worst_loss == max(part.worst_loss for part in parts)


def test_system_whose_only_copy_is_lost_is_lost() -> None:
    city = [
        system("a", copy("same-city"), copy("provincial", None)),
        system("b", copy("same-city"), copy("provincial")),
    ]
    first, second = lose(city, "production", "same-city")
    assert (first.system.system, first.fate, first.loss, first.holds) == ("a", Fate.LOST, timedelta(days=9), False)
    assert (first.choice, first.recovery) == (None, None)
    assert (second.fate, second.choice and second.choice.centre) == (Fate.RECOVERED, "provincial")


def test_never_protected_is_lost_since_it_is_known() -> None:
    found = only([system("a", copy("same-city", None), known_since=NOW - HOUR)], "production")
    assert (found.fate, found.loss) == (Fate.LOST, HOUR)


def test_point_that_lands_later_is_not_there_yet() -> None:
    late = copy("same-city", newest=landing(10, landed=-5))
    assert only([system("a", late, copy("provincial", 30))], "production").loss == 30 * MINUTE


def test_newest_data_wins_then_the_nearer_centre_then_what_has_no_faults() -> None:
    def chosen(*copies: Copy) -> tuple[str, list[str]]:
        found = only([system("a", *copies)], "production")
        assert found.choice is not None
        return found.choice.centre, [each.centre for each in found.alternatives]

    assert chosen(copy("same-city", 20), copy("provincial", 10)) == ("provincial", ["same-city"])
    assert chosen(copy("same-city", 10), copy("provincial", 10)) == ("same-city", ["provincial"])
    assert chosen(copy("same-city", 10, faults=1), copy("provincial", 50)) == ("provincial", ["same-city"])
    assert chosen(copy("same-city", 10, faults=1), copy("provincial", None)) == ("same-city", [])


def test_price_of_the_proved_point() -> None:
    def price(proved: float | None) -> timedelta | None:
        at = None if proved is None else NOW - proved * MINUTE
        found = only([system("a", copy("same-city", 10, proved_data_time=at))], "production")
        return found.choice.proved_price if found.choice else None

    assert (price(None), price(10), price(70)) == (None, timedelta(0), HOUR)


def test_estimate_rests_on_the_nearest_measurements() -> None:
    here = [system("a", copy("same-city"), copy("provincial"))]
    own, elsewhere = drilled("a", "same-city", 60), drilled("a", "provincial", 90)
    others = [drilled("b", "same-city", 30), drilled("c", "same-city", 50)]
    for samples, basis, drills, seconds in (
        ([own, elsewhere, *others], Basis.OWN, 1, 60),
        ([elsewhere, *others], Basis.ELSEWHERE, 1, 90),
        (others, Basis.OTHERS, 2, 40),
    ):
        turn = only(here, "production", samples=samples).recovery
        assert turn is not None
        assert turn.estimate.takes is not None
        assert (turn.estimate.basis, turn.estimate.drills) == (basis, drills)
        assert turn.estimate.takes.total_seconds() == pytest.approx(seconds)
        assert turn.rto is Standing.MET


def test_small_system_that_starts_slowly_is_not_taken_for_a_quick_one() -> None:
    small = system("a", copy("same-city", size_bytes=MIB))
    turn = only([small], "production", samples=[drilled("a", "same-city", 600, size=MIB)]).recovery
    assert turn is not None
    assert turn.estimate.takes == timedelta(minutes=10)


def test_never_drilled_is_unknown_and_does_not_hold() -> None:
    found = only([system("a", copy("same-city"))], "production", samples=[drilled("b", "provincial", 9)])
    assert found.recovery is not None
    assert (found.recovery.estimate.takes, found.recovery.estimate.basis) == (None, Basis.NONE)
    assert (found.recovery.rto, found.recovery.back_after, found.holds) == (Standing.UNKNOWN, None, False)
    every = totals([found])
    assert (every.rto_unknown, every.rto_missed, every.last_back) == (1, 0, None)


@pytest.mark.parametrize("doubt", [{"faults": 1}, {"drill_failed": True}])
def test_nobody_promises_what_was_last_seen_to_fail(doubt: dict[str, object]) -> None:
    samples = [drilled("a", "same-city", 60)]
    found = only([system("a", copy("same-city", **doubt))], "production", samples=samples)
    assert found.recovery is not None
    assert (found.recovery.rto, found.holds) == (Standing.UNKNOWN, False)
    assert found.recovery.back_after == MINUTE


def test_waiting_counts() -> None:
    samples = [drilled(name, "same-city", 3600) for name in "abc"]
    city = [system(name, copy("same-city", rto=90 * MINUTE)) for name in "abc"]
    city[2] = replace(city[2], level=4)
    turns = [each for each in lose(city, "production", samples=samples, centre=1) if each.recovery]
    assert [(each.system.system, each.recovery.waits, each.recovery.rto) for each in turns if each.recovery] == [
        ("c", timedelta(0), Standing.MET),
        ("a", HOUR, Standing.MISSED),
        ("b", 2 * HOUR, Standing.MISSED),
    ]
    assert totals(turns).last_back == 3 * HOUR


def test_waiting_alone_may_miss_what_nobody_measured() -> None:
    samples = [drilled("a", "same-city", 7200)]
    city = [
        system("a", copy("same-city", rto=HOUR)),
        system("b", copy("provincial", rto=90 * MINUTE), tenant="bureau"),
    ]
    turns = lose(city, "production", samples=samples, tenant=1)
    assert turns[1].recovery is not None
    assert (turns[1].recovery.waits, turns[1].recovery.back_after) == (2 * HOUR, None)
    assert turns[1].recovery.rto is Standing.MISSED


def test_rpo_is_judged_where_the_system_comes_back() -> None:
    city = [system("a", copy("same-city", 40, rpo=30 * MINUTE), copy("provincial", 50, rpo=2 * HOUR))]
    samples = [drilled("a", "same-city", 60)]
    near, far = only(city, "production", samples=samples), only(city, "production", "same-city", samples=samples)
    assert near.choice is not None
    assert far.choice is not None
    assert (near.choice.rpo, near.holds) == (Standing.MISSED, False)
    assert (far.choice.rpo, far.holds) == (Standing.MET, True)


def test_while_production_stands_only_protection_is_lost() -> None:
    city = [system("a", copy("same-city")), system("b", copy("same-city"), copy("provincial"))]
    assert [(each.system.system, each.fate, each.holds, each.loss) for each in lose(city, "same-city")] == [
        ("a", Fate.UNPROTECTED, False, timedelta(0)),
        ("b", Fate.RUNNING, True, timedelta(0)),
    ]


def test_city_without_systems() -> None:
    assert lose([], *CENTRES) == []
    assert totals([]).last_back is None
