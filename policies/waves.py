"""Waves: in what order the systems of a plan begin, when each is expected to be back, and how good any order could be.

What has the longest way to the end of the plan behind it goes first (critical path). One that finds no room lets
another begin that needs none of what is full, as in `policies.recovery_order`. No clock; times are seconds from the
plan's start.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from policies.limits import Limits, lookup
from policies.recovery_order import Job, list_schedule

#: Stands for the length of a recovery of which nothing is known when nothing is known of any other either.
UNKNOWN_SECONDS = 60.0


class Task(NamedTuple):
    """A system to be recovered: how long it takes (None: nobody knows), what it holds meanwhile, what it waits for."""

    name: str
    seconds: float | None
    slots: tuple[str, ...]
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """When one system is expected to begin and to be back. `guessed`: its length is that of others, or a default."""

    name: str
    wave: int
    start: float
    end: float
    guessed: bool
    critical: bool


@dataclass(frozen=True, slots=True)
class Waves:
    """The turns in the order of their urgency, the first being 0.

    `bound` is the least time that any order needs: the critical path, or the work of the slot that is shortest of
    room. The systems of `path` are the critical path; `guesses` of all lengths are none that was measured.
    """

    turns: tuple[Turn, ...]
    path: tuple[str, ...]
    path_seconds: float
    bound: float
    makespan: float
    #: What makes the bound: "path", or the slot whose work it is.
    bound_by: str

    @property
    def urgency(self) -> dict[str, int]:
        """The place of each system among all: 0 goes first. No system is more urgent than one that it waits for."""
        return {turn.name: place for place, turn in enumerate(self.turns)}

    @property
    def guesses(self) -> int:
        return sum(turn.guessed for turn in self.turns)

    @property
    def count(self) -> int:
        """How many waves there are."""
        return max((turn.wave for turn in self.turns), default=0)


def plan_waves(tasks: Iterable[Task], limits: Limits) -> Waves:
    """Return the turns of all tasks. Their order `after` one another must be without a circle, and names be unique.

    A wave is everything that begins when nothing of the waves before is left to begin: the first holds what waits for
    nothing, the next what waits only for that, and so on. Pure.
    """
    known = {task.name: task for task in tasks}
    after = {name: tuple(each for each in task.after if each in known) for name, task in known.items()}
    order = _topological(after)
    seconds = _lengths(known)
    tails: dict[str, float] = {}
    then = _reversed(after)
    for name in reversed(order):
        tails[name] = seconds[name] + max((tails[each] for each in then[name]), default=0.0)
    place = {name: index for index, name in enumerate(order)}
    urgent = sorted(known, key=lambda name: (-tails[name], place[name]))
    path = _path(urgent, then, tails)
    starts = _starts(urgent, known, seconds, after, limits)
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = 1 + max((depth[each] for each in after[name]), default=0)
    ends = {name: starts[name] + seconds[name] for name in known}
    longest = max(tails.values(), default=0.0)
    slot, work = _most_loaded(known, seconds, limits)
    return Waves(
        turns=tuple(
            Turn(name, depth[name], starts[name], ends[name], known[name].seconds is None, name in path)
            for name in urgent
        ),
        path=path,
        path_seconds=longest,
        bound=max(longest, work),
        makespan=max(ends.values(), default=0.0),
        bound_by=slot if work > longest else "path",
    )


def _lengths(known: Mapping[str, Task]) -> dict[str, float]:
    """Return a length for every task: of one that was never measured, the mean of those that were."""
    measured = [task.seconds for task in known.values() if task.seconds is not None]
    guess = math.fsum(measured) / len(measured) if measured else UNKNOWN_SECONDS
    return {name: guess if task.seconds is None else task.seconds for name, task in known.items()}


def _reversed(after: Mapping[str, Sequence[str]]) -> defaultdict[str, list[str]]:
    then: defaultdict[str, list[str]] = defaultdict(list)
    for name, others in after.items():
        for other in others:
            then[other].append(name)
    return then


def _topological(after: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names so that each stands behind all that it waits for, otherwise in the order given."""
    left = {name: len(set(others)) for name, others in after.items()}
    then = _reversed({name: tuple(set(others)) for name, others in after.items()})
    ready = [name for name, count in left.items() if not count]
    for name in ready:  # grows while it is walked
        for other in then[name]:
            left[other] -= 1
            if not left[other]:
                ready.append(other)
    assert len(ready) == len(after), "an order with a circle"
    return ready


def _path(urgent: Sequence[str], then: Mapping[str, Sequence[str]], tails: Mapping[str, float]) -> tuple[str, ...]:
    """Return the longest chain of what waits for what."""
    path = list(urgent[:1])
    while path and (following := then.get(path[-1])):
        path.append(max(following, key=lambda name: tails[name]))
    return tuple(path)


def _starts(
    urgent: Sequence[str],
    known: Mapping[str, Task],
    seconds: Mapping[str, float],
    after: Mapping[str, Sequence[str]],
    limits: Limits,
) -> dict[str, float]:
    place = {name: index for index, name in enumerate(urgent)}
    jobs = [Job(seconds[name], known[name].slots) for name in urgent]
    waits = {place[name]: [place[each] for each in others] for name, others in after.items()}
    return dict(zip(urgent, list_schedule(jobs, limits, waits), strict=True))


def _most_loaded(known: Mapping[str, Task], seconds: Mapping[str, float], limits: Limits) -> tuple[str, float]:
    """Return the slot whose work takes longest at its capacity, and how long; the first one of equals."""
    work: defaultdict[str, float] = defaultdict(float)
    for name, task in known.items():
        for slot in task.slots:
            work[slot] += seconds[name]
    loads = {slot: total / most for slot, total in work.items() if (most := lookup(limits, slot).concurrent)}
    return max(loads.items(), key=lambda each: each[1], default=("", 0.0))
