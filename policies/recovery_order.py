"""In what order recoveries start when not all may run at once, and so how long each of them waits. No clock.

The most urgent comes first. One that finds no room waits, and lets a less urgent one begin that needs none of what is
full, as the engine does with its runs: no place stays empty while anybody could use it.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from policies.limits import Limits, lookup

#: Nothing waits for anything but for room.
NO_ORDER: Mapping[int, Collection[int]] = MappingProxyType({})


class Job(NamedTuple):
    """A recovery: how long it takes, `math.inf` when nobody knows, and what it holds meanwhile (`centre:same-city`)."""

    seconds: float
    slots: tuple[str, ...]


def recovery_slots(tenant: str, centre: str) -> tuple[str, ...]:
    """Return what a recovery holds while it runs."""
    return (f"centre:{centre}", f"vault:{centre}", f"tenant:{tenant}")


def room_at(centre: str, limits: Limits) -> int | None:
    """Return how many recoveries may run at once at a centre, whatever their tenants; None: as many as there are."""
    return min(
        (most for slot in (f"centre:{centre}", f"vault:{centre}") if (most := lookup(limits, slot).concurrent)),
        default=None,
    )


def list_schedule(jobs: Sequence[Job], limits: Limits, after: Mapping[int, Collection[int]] = NO_ORDER) -> list[float]:
    """Return after how many seconds each job starts, the most urgent job being the first.

    `after` says which jobs, by their place in the list, must have ended before one may start. `math.inf` for a job
    that would have to wait for one of unknown length. Each has ended within twice the least time that any order needs
    when centres alone limit it.
    """
    most = {slot: lookup(limits, slot).concurrent for job in jobs for slot in job.slots}
    starts = [math.inf] * len(jobs)
    held: Counter[str] = Counter()
    running: list[tuple[float, int]] = []
    waiting = _Waiting(jobs, after)
    clock = 0.0
    while clock < math.inf:
        while (first := waiting.first_with_room(held, most)) is not None:
            waiting.take(first)
            starts[first] = clock
            held.update(jobs[first].slots)
            heapq.heappush(running, (clock + jobs[first].seconds, first))
        if not running:
            break
        clock = running[0][0]
        while running and running[0][0] <= clock < math.inf:
            ended = heapq.heappop(running)[1]
            held.subtract(jobs[ended].slots)
            waiting.release(ended)
    return starts


class _Waiting:
    """The jobs that may start as soon as there is room: by what they need, each kind in its order of urgency."""

    def __init__(self, jobs: Sequence[Job], after: Mapping[int, Collection[int]]) -> None:
        self._jobs = jobs
        self._left = {index: len(set(after.get(index, ()))) for index in range(len(jobs))}
        self._then: dict[int, list[int]] = {}
        self._queues: dict[tuple[str, ...], list[int]] = {}
        for index in range(len(jobs)):
            for other in set(after.get(index, ())):
                self._then.setdefault(other, []).append(index)
            if not self._left[index]:
                self._add(index)

    def first_with_room(self, held: Counter[str], most: Mapping[str, int | None]) -> int | None:
        """Return the most urgent of those that find room; None when nobody does."""
        return min(
            (
                queue[0]
                for slots, queue in self._queues.items()
                if all((limit := most[slot]) is None or held[slot] < limit for slot in slots)
            ),
            default=None,
        )

    def take(self, index: int) -> None:
        queue = self._queues[self._jobs[index].slots]
        heapq.heappop(queue)
        if not queue:
            del self._queues[self._jobs[index].slots]

    def release(self, ended: int) -> None:
        """Let in what waited for this job alone."""
        for index in self._then.get(ended, ()):
            self._left[index] -= 1
            if not self._left[index]:
                self._add(index)

    def _add(self, index: int) -> None:
        heapq.heappush(self._queues.setdefault(self._jobs[index].slots, []), index)
