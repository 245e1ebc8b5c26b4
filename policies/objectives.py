"""RPO and RTO, defined once, as arithmetic on recovery points. No clock: every moment is handed in.

A recovery point's *data time* is when its content is certain to be complete up to. It counts at a centre from the
moment it has *landed* there, whole. *Exposure* at a moment is the work that would be lost if everything before that
centre were lost then: the time since the data time of the newest point landed by then, or since the system was created
when there is none. Over time exposure is a saw-tooth: it rises with the clock and drops when a newer point lands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Literal, NamedTuple

Verdict = Literal["met", "missed"]

NOTHING = timedelta(0)

#: A restore takes at least this long whatever its size, and no estimate goes below or above these speeds.
LEAST_SECONDS = 1.0
SLOWEST_BYTES_PER_SECOND = 64 * 1024
FASTEST_BYTES_PER_SECOND = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class Landing:
    """A recovery point of one system at one centre: complete up to `data_time`, whole there at `landed_at`."""

    data_time: datetime
    landed_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "data_time", _utc(self.data_time))
        object.__setattr__(self, "landed_at", _utc(self.landed_at))


class RestoreSample(NamedTuple):
    """A restore that was measured: how much came back, and in how many seconds."""

    size_bytes: int
    seconds: float


class _Tooth(NamedTuple):
    """A stretch of time during which exposure grows with the clock, counted from `since`."""

    begin: datetime
    end: datetime
    since: datetime

    @property
    def peak(self) -> timedelta:
        return max(self.end - self.since, NOTHING)


def exposure(landings: Iterable[Landing], created_at: datetime, at: datetime) -> timedelta:
    """Return the exposure at `at`, never less than nothing. Order and repetition of the landings do not matter.

    Raises ValueError for a moment without time zone.
    """
    created_at, at = _utc(created_at), _utc(at)
    since = max((each.data_time for each in landings if each.landed_at <= at), default=created_at)
    return max(at - since, NOTHING)


def worst_exposure(landings: Iterable[Landing], created_at: datetime, start: datetime, end: datetime) -> timedelta:
    """Return the highest exposure from `start` to `end`: the highest peak, just before a landing or at the end.

    A peak is approached and, at the moment of the landing itself, gone; it counts all the same. O(n log n).
    Time before the system was created is without exposure. Raises ValueError when `end` is before `start`.
    """
    return max((tooth.peak for tooth in _teeth(landings, created_at, start, end)), default=NOTHING)


def compliance(
    landings: Iterable[Landing], created_at: datetime, start: datetime, end: datetime, objective: timedelta
) -> float:
    """Return the share of the time from `start` to `end` during which exposure was within the objective, 0 to 1.

    Exact: the teeth are measured, not sampled. Time before the system was created does not count. In a window without
    length the share is 1 or 0, as the exposure then is within the objective or not. Raises ValueError as above.
    """
    teeth = list(_teeth(landings, created_at, start, end))
    length = sum((tooth.end - tooth.begin for tooth in teeth), NOTHING)
    if not length:
        return 1.0 if max((tooth.peak for tooth in teeth), default=NOTHING) <= objective else 0.0
    within = sum((_within(tooth, objective) for tooth in teeth), NOTHING)
    return within / length


def verdict(actual: timedelta, objective: timedelta) -> Verdict:
    """Return whether an objective was met; to reach it exactly is to meet it."""
    return "met" if actual <= objective else "missed"


def estimated_rto(size_bytes: int, samples: Iterable[RestoreSample]) -> timedelta | None:
    """Return how long a restore of `size_bytes` is likely to take, or None when no restore was ever measured.

    A fixed part and a throughput, by least squares over the measured restores. When these are too few or too alike to
    tell the two apart, all of the time is taken for throughput, which errs on the slow side for a larger system.
    Raises ValueError for a negative size.
    """
    if size_bytes < 0:
        raise ValueError("a size is never negative")
    measured = [each for each in samples if each.size_bytes >= 0 and each.seconds > 0]
    if not measured:
        return None
    fixed, per_byte = _line(measured)
    per_byte = min(max(per_byte, 1 / FASTEST_BYTES_PER_SECOND), 1 / SLOWEST_BYTES_PER_SECOND)
    return timedelta(seconds=max(fixed + per_byte * size_bytes, LEAST_SECONDS))


def _line(samples: Sequence[RestoreSample]) -> tuple[float, float]:
    """Return (seconds at size nothing, seconds per byte) of the line through the samples; neither is negative."""
    mean_size = fmean(each.size_bytes for each in samples)
    mean_seconds = fmean(each.seconds for each in samples)
    spread = sum((each.size_bytes - mean_size) ** 2 for each in samples)
    if spread:
        slope = sum((each.size_bytes - mean_size) * (each.seconds - mean_seconds) for each in samples) / spread
        fixed = mean_seconds - slope * mean_size
        if slope >= 0 and fixed >= 0:
            return fixed, slope
        if slope < 0:  # size tells nothing: they all took about as long
            return mean_seconds, 0.0
    squares = sum(each.size_bytes**2 for each in samples)  # through the origin
    if not squares:
        return mean_seconds, 0.0
    return 0.0, sum(each.size_bytes * each.seconds for each in samples) / squares


def _teeth(landings: Iterable[Landing], created_at: datetime, start: datetime, end: datetime) -> Iterator[_Tooth]:
    """Yield the saw-tooth from `start` (or the creation, when that is later) to `end`, stretch by stretch."""
    created_at, start, end = _utc(created_at), _utc(start), _utc(end)
    if end < start:
        raise ValueError("the window ends before it starts")
    begin = max(start, created_at)
    if begin > end:
        return
    newest_first = sorted(landings, key=lambda each: each.data_time, reverse=True)
    order = sorted(newest_first, key=lambda each: each.landed_at)  # of those that land together, the newest leads
    since = max((each.data_time for each in order if each.landed_at <= begin), default=created_at)
    landed = any(each.landed_at <= begin for each in order)
    for each in order:
        if not begin < each.landed_at <= end:
            continue
        yield _Tooth(begin, each.landed_at, since)
        begin = each.landed_at
        since = max(since, each.data_time) if landed else each.data_time
        landed = True
    yield _Tooth(begin, end, since)


def _within(tooth: _Tooth, objective: timedelta) -> timedelta:
    """Return how long exposure stays within the objective during one tooth."""
    if objective < NOTHING:
        return NOTHING
    return max(min(tooth.end, tooth.since + objective) - tooth.begin, NOTHING)


def _utc(moment: datetime) -> datetime:
    """Return the moment in UTC: Python subtracts two moments of one zone by the wall clock, summer time or not."""
    if moment.tzinfo is UTC:
        return moment  # as nearly all are: a board of a large city asks for millions
    if moment.utcoffset() is None:
        raise ValueError("a moment without time zone says nothing about when it was")
    return moment.astimezone(UTC)
