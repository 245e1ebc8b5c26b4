"""In what order recoveries start when not all may run at once, and so how long each of them waits. No clock.

The most urgent comes first. One that finds no room waits, and lets a less urgent one begin that needs none of what is
full, as the engine does with its runs: no place stays empty while anybody could use it.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from policies.limits import Limits, lookup


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


def list_schedule(jobs: Sequence[Job], limits: Limits) -> list[float]:
    """Return after how many seconds each job starts, the most urgent job being the first.

    `math.inf` for a job that would have to wait for one of unknown length. Each has ended within twice the least
    time that any order needs when centres alone limit it.
    """
    most = {slot: lookup(limits, slot).concurrent for job in jobs for slot in job.slots}
    starts = [math.inf] * len(jobs)
    held: Counter[str] = Counter()
    running: list[tuple[float, int]] = []
    waiting: dict[tuple[str, ...], deque[int]] = {}  # those that need the same, in their order
    for index, job in enumerate(jobs):
        waiting.setdefault(job.slots, deque()).append(index)
    clock = 0.0
    while waiting and clock < math.inf:
        while (first := _first_with_room(waiting, held, most)) is not None:
            slots = jobs[first].slots
            waiting[slots].popleft()
            if not waiting[slots]:
                del waiting[slots]
            starts[first] = clock
            held.update(slots)
            heapq.heappush(running, (clock + jobs[first].seconds, first))
        clock = running[0][0]
        while running and running[0][0] <= clock:
            held.subtract(jobs[heapq.heappop(running)[1]].slots)
    return starts


def _first_with_room(
    waiting: Mapping[tuple[str, ...], deque[int]], held: Counter[str], most: Mapping[str, int | None]
) -> int | None:
    """Return the most urgent of those that wait and find room; None when nobody does."""
    return min(
        (
            indices[0]
            for slots, indices in waiting.items()
            if all((limit := most[slot]) is None or held[slot] < limit for slot in slots)
        ),
        default=None,
    )
