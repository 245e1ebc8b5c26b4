"""The order of recovery against its lower bounds, and against what a person would do with few places."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.limits import Limit
from policies.recovery_order import Job, list_schedule, recovery_slots, room_at

HERE = ("centre:same-city",)
lengths = st.lists(st.integers(1, 1000), min_size=1, max_size=30)


def room(count: int) -> dict[str, Limit]:
    return {"centre": Limit(concurrent=count), "vault": Limit(concurrent=10_000), "tenant": Limit(concurrent=10_000)}


def ends(jobs: list[Job], limits: dict[str, Limit]) -> list[float]:
    return [start + job.seconds for start, job in zip(list_schedule(jobs, limits), jobs, strict=True)]


@given(lengths, st.integers(1, 8))
def test_makespan_lies_between_the_least_possible_and_twice_that(seconds: list[int], places: int) -> None:
    makespan = max(ends([Job(each, HERE) for each in seconds], room(places)))
    least = max(max(seconds), sum(seconds) / places)
    assert least <= makespan <= 2 * least


@given(lengths, st.integers(1, 8))
def test_never_more_at_once_than_there_are_places_and_none_stays_empty(seconds: list[int], places: int) -> None:
    jobs = [Job(each, HERE) for each in seconds]
    starts = list_schedule(jobs, room(places))
    running = [sum(begin <= at < begin + job.seconds for begin, job in zip(starts, jobs, strict=True)) for at in starts]
    assert max(running) <= places
    for at in starts:
        before = sum(begin < at <= begin + job.seconds for begin, job in zip(starts, jobs, strict=True))
        assert at == 0 or before == places, "it waited, so every place was taken until then"


@given(st.lists(st.tuples(st.integers(1, 99), st.sampled_from("ab")), max_size=20), st.integers(1, 4))
def test_the_more_urgent_never_starts_later_at_the_same_centre(found: list[tuple[int, str]], places: int) -> None:
    starts = list_schedule([Job(seconds, (f"centre:{centre}",)) for seconds, centre in found], room(places))
    for centre in "ab":
        here = [start for start, (_, where) in zip(starts, found, strict=True) if where == centre]
        assert here == sorted(here)


@given(st.lists(st.tuples(st.integers(1, 99), st.sampled_from("xyz")), min_size=1, max_size=20), st.integers(1, 3))
def test_a_bureaus_limit_holds_too(found: list[tuple[int, str]], most: int) -> None:
    jobs = [Job(seconds, ("centre:a", f"tenant:{tenant}")) for seconds, tenant in found]
    starts = list_schedule(jobs, {**room(4), "tenant": Limit(concurrent=most)})
    for at in starts:
        for tenant in "xyz":
            of_tenant = [
                begin <= at < begin + job.seconds
                for begin, job, (_, whose) in zip(starts, jobs, found, strict=True)
                if whose == tenant
            ]
            assert sum(of_tenant) <= most


def test_waiting_by_hand() -> None:
    jobs = [Job(10, HERE), Job(4, HERE), Job(3, HERE), Job(5, HERE)]
    assert list_schedule(jobs, room(2)) == [0, 0, 4, 7]


def test_who_cannot_start_lets_another_pass_that_can() -> None:
    limits = {**room(2), "tenant": Limit(concurrent=1)}
    jobs = [Job(10, (*HERE, "tenant:a")), Job(5, (*HERE, "tenant:a")), Job(20, (*HERE, "tenant:b"))]
    assert list_schedule(jobs, limits) == [0, 10, 0]


def test_behind_one_of_unknown_length_nobody_knows() -> None:
    jobs = [Job(math.inf, HERE), Job(5, HERE), Job(5, HERE)]
    assert list_schedule(jobs, room(2)) == [0, 0, 5]
    assert list_schedule(jobs, room(1)) == [0, math.inf, math.inf]


def test_nothing_to_do() -> None:
    assert list_schedule([], {}) == []


@pytest.mark.parametrize(
    ("limits", "places"),
    [({}, 8), ({"vault:provincial": Limit(concurrent=4)}, 4), ({"centre": Limit(concurrent=2)}, 2)],
)
def test_room_at_a_centre_is_the_lesser_of_centre_and_vault(limits: dict[str, Limit], places: int) -> None:
    assert room_at("provincial", limits) == places
    jobs = [Job(1, recovery_slots(f"t{n}", "provincial")) for n in range(20)]
    assert list_schedule(jobs, limits).count(0) == places
