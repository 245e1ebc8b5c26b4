"""Waves against their lower bound: order and room are kept, and no time is wasted that an order could save."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.limits import Limit
from policies.recovery_order import Job, list_schedule, recovery_slots
from policies.waves import Task, Waves, plan_waves

HERE = ("centre:same-city",)
AMPLE = 10_000


def room(count: int, tenant: int = AMPLE) -> dict[str, Limit]:
    return {
        "centre": Limit(concurrent=count),
        "vault": Limit(concurrent=AMPLE),
        "tenant": Limit(concurrent=tenant),
    }


@st.composite
def plans(draw: st.DrawFn, slots: tuple[str, ...] = HERE) -> list[Task]:
    """Systems that wait for some of those before them."""
    count = draw(st.integers(1, 25))
    tasks = []
    for number in range(count):
        earlier = draw(st.lists(st.integers(0, number - 1), max_size=3, unique=True)) if number else []
        seconds = draw(st.integers(1, 500))
        tasks.append(Task(f"s{number}", float(seconds), slots, tuple(f"s{each}" for each in earlier)))
    return draw(st.permutations(tasks))


def longest(tasks: list[Task]) -> float:
    known, ends = {task.name: task for task in tasks}, {}

    def end(name: str) -> float:
        if name not in ends:
            ends[name] = (known[name].seconds or 0) + max((end(each) for each in known[name].after), default=0.0)
        return ends[name]

    return max(end(name) for name in known)


def times(waves: Waves) -> dict[str, tuple[float, float]]:
    return {turn.name: (turn.start, turn.end) for turn in waves.turns}


@given(plans(), st.integers(1, 6))
def test_order_and_room_are_kept(tasks: list[Task], places: int) -> None:
    waves = plan_waves(tasks, room(places))
    found = times(waves)
    assert found.keys() == {task.name for task in tasks}
    for task in tasks:
        start, end = found[task.name]
        assert end - start == task.seconds
        assert all(found[each][1] <= start for each in task.after)
        assert sum(begin <= start < ends for begin, ends in found.values()) <= places


@given(plans(), st.integers(1, 6))
def test_makespan_lies_between_the_bound_and_twice_that(tasks: list[Task], places: int) -> None:
    waves = plan_waves(tasks, room(places))
    least = max(longest(tasks), sum(task.seconds or 0 for task in tasks) / places)
    assert waves.bound == pytest.approx(least)
    assert waves.bound <= waves.makespan * (1 + 1e-9)
    assert waves.makespan <= 2 * waves.bound
    assert waves.makespan == max(end for _, end in times(waves).values())


@given(plans())
def test_with_ample_room_the_makespan_is_the_critical_path(tasks: list[Task]) -> None:
    waves = plan_waves(tasks, room(AMPLE))
    assert waves.makespan == waves.bound == waves.path_seconds == longest(tasks)
    assert waves.bound_by == "path"
    known = {task.name: task for task in tasks}
    assert math.fsum(known[name].seconds or 0 for name in waves.path) == waves.path_seconds
    assert all(before in known[name].after for before, name in zip(waves.path, waves.path[1:], strict=False))


@given(plans(), st.integers(1, 6))
def test_nothing_is_more_urgent_or_in_an_earlier_wave_than_what_it_waits_for(tasks: list[Task], places: int) -> None:
    waves = plan_waves(tasks, room(places))
    number = {turn.name: turn.wave for turn in waves.turns}
    for task in tasks:
        for each in task.after:
            assert waves.urgency[each] < waves.urgency[task.name]
            assert number[each] < number[task.name]


@given(plans(), st.randoms(use_true_random=False))
def test_the_order_of_the_file_does_not_change_the_bound(tasks: list[Task], shuffle: random.Random) -> None:
    other = list(tasks)
    shuffle.shuffle(other)
    assert plan_waves(tasks, room(2)).bound == pytest.approx(plan_waves(other, room(2)).bound)


def test_the_long_way_goes_first() -> None:
    tasks = [
        Task("a", 10, HERE),
        Task("b", 10, HERE),
        Task("base", 10, HERE),
        Task("portal", 30, HERE, ("base",)),
    ]
    waves = plan_waves(tasks, room(1))
    assert [turn.name for turn in waves.turns] == ["base", "portal", "a", "b"]
    assert waves.path == ("base", "portal")
    assert (waves.path_seconds, waves.bound, waves.bound_by) == (40, 60, "centre:same-city")
    assert [turn.wave for turn in waves.turns] == [1, 2, 1, 1]
    assert waves.count == 2
    assert plan_waves(tasks, room(2)).makespan == 40


def test_a_bureaus_limit_makes_a_bound_of_its_own() -> None:
    tasks = [Task(f"s{n}", 10, (*HERE, "tenant:a")) for n in range(4)]
    waves = plan_waves(tasks, room(4, tenant=1))
    assert (waves.bound, waves.bound_by, waves.makespan) == (40, "tenant:a", 40)


def test_a_length_that_nobody_knows_is_guessed_from_the_others_and_said_to_be() -> None:
    waves = plan_waves([Task("a", None, HERE), Task("b", 10, HERE), Task("c", 20, HERE)], room(1))
    assert {turn.name: turn.end - turn.start for turn in waves.turns} == {"a": 15, "b": 10, "c": 20}
    assert [turn.name for turn in waves.turns if turn.guessed] == ["a"]
    assert waves.guesses == 1
    assert plan_waves([Task("a", None, HERE)], room(1)).makespan == 60


def test_no_systems_take_no_time() -> None:
    waves = plan_waves([], {})
    assert (waves.turns, waves.bound, waves.makespan, waves.path, waves.count) == ((), 0, 0, (), 0)


@pytest.mark.parametrize("seed", range(5))
def test_a_hundred_systems_come_within_fifteen_per_cent_of_the_bound(seed: int) -> None:
    """As a city is: a few registers that all wait for, bureaus of several systems each, eight places."""
    chance = random.Random(seed)
    tasks = [Task(f"base-{n}", chance.uniform(60, 300), recovery_slots("data", "same-city")) for n in range(4)]
    for number in range(96):
        after = tuple(f"base-{each}" for each in chance.sample(range(4), chance.randint(0, 2)))
        seconds, tenant = chance.lognormvariate(4.5, 0.6), f"t{number % 24}"
        tasks.append(Task(f"s{number}", seconds, recovery_slots(tenant, "same-city"), after))
    waves = plan_waves(tasks, {})
    assert waves.makespan <= 1.15 * waves.bound, (waves.makespan, waves.bound, waves.bound_by)


def test_what_waits_for_one_without_an_end_never_starts() -> None:
    jobs = [Job(math.inf, HERE), Job(5, HERE), Job(5, HERE)]
    assert list_schedule(jobs, room(2), {2: [0]}) == [0, 0, math.inf]
    assert list_schedule(jobs, room(2), {2: [1]}) == [0, 0, 5]
