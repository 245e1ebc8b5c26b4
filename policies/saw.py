"""The landings of one system at one centre, for who asks for their exposure again and again while time goes on.

It says what `policies.objectives` says of the same landings. There each answer walks through all of them; a week has
hundreds, a city has tens of thousands of such saws, and little of one changes from one look to the next: its first
tooth is cut off by the window, its last one grows. Here the teeth between are walked through once.

Moments are whole microseconds: thousands of landings take the room of a few objects.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from policies.objectives import Landing

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Seen(NamedTuple):
    """What holds of a window: the exposure at its end, the highest within it, the share of it within the objective."""

    exposure: timedelta
    worst: timedelta
    compliance: float


class _Middle(NamedTuple):
    """The teeth between the first landing after a window's begin and its last, and the data that they end with.

    They stay the same as long as `key` does: which landings these are, what had landed before them, the objective.
    """

    key: tuple[int, int, int | None, int]
    worst: int
    within: int
    since: int


class Saw:
    """Landings in the order in which they landed; of those before the window only the one with the newest data."""

    __slots__ = ("_before", "_best", "_data", "_landed", "_middle")

    def __init__(self, before: Landing | None, landings: Iterable[Landing]) -> None:
        """`before` is what had the newest data when the window began; the landings are those after it."""
        self._before = (_whole(before.data_time), _whole(before.landed_at)) if before else None
        self._landed, self._data = array("q"), array("q")
        self._middle: _Middle | None = None
        self._best: tuple[int, tuple[int, int] | None] | None = None
        self._add(landings)

    def renew(self, after: datetime, landings: Iterable[Landing]) -> None:
        """Let these be the landings after a moment, in the place of those that were known."""
        place = bisect_right(self._landed, _whole(after))
        fresh = list(landings)
        if fresh or place < len(self._landed):
            del self._landed[place:], self._data[place:]
            self._add(fresh)

    def forget(self, until: datetime) -> None:
        """Let the window begin later. It cannot begin earlier again."""
        if place := bisect_right(self._landed, _whole(until)):
            self._before = self._newest(place)
            del self._landed[:place], self._data[:place]
            self._middle = self._best = None

    def newest(self, at: datetime) -> Landing | None:
        """Return what has the newest data of all that had landed by `at`; of two with the same what landed first."""
        count = bisect_right(self._landed, _whole(at))
        if self._best is None or self._best[0] != count:
            self._best = count, self._newest(count)
        found = self._best[1]
        return Landing(_moment(found[0]), _moment(found[1])) if found else None

    def known_since(self, begin: datetime, at: datetime) -> datetime | None:
        """Return since when there is a point, counted from `begin`, the window's; None when there is none at `at`."""
        if self._before is not None:
            return begin
        return max(_moment(self._landed[0]), begin) if self._landed and self._landed[0] <= _whole(at) else None

    def look(self, created_at: datetime, start: datetime, end: datetime, objective: timedelta) -> Seen:
        """Return what `exposure` says at `end`, and `worst_exposure` and `compliance` from `start` to `end`.

        The start is not before the window's begin nor before the creation, and the end not before the start.
        """
        begin, until, allowed = _whole(start), _whole(end), objective // _MICROSECOND
        first, last = bisect_right(self._landed, begin), bisect_right(self._landed, until)
        newest = self._newest(first)
        since = newest[0] if newest else _whole(created_at)
        worst = within = 0
        if first < last:
            middle = self._between(first, last, newest[0] if newest else None, allowed)
            worst = max(middle.worst, self._landed[first] - since)
            within = middle.within + _within(begin, self._landed[first], since, allowed)
            begin, since = self._landed[last - 1], middle.since
        worst, within = max(worst, until - since), within + _within(begin, until, since, allowed)
        length = (end - start) // _MICROSECOND
        share = within / length if length else float(worst <= allowed)
        return Seen(max(until - since, 0) * _MICROSECOND, worst * _MICROSECOND, share)

    def _between(self, first: int, last: int, before: int | None, allowed: int) -> _Middle:
        key = first, last, before, allowed
        if self._middle and self._middle.key == key:
            return self._middle
        landed, data = self._landed[first:last], self._data[first:last]
        since = data[0] if before is None else max(before, data[0])
        worst = within = 0
        for number in range(1, len(landed)):
            worst = max(worst, landed[number] - since)
            within += _within(landed[number - 1], landed[number], since, allowed)
            since = max(since, data[number])
        self._middle = _Middle(key, worst, within, since)
        return self._middle

    def _newest(self, count: int) -> tuple[int, int] | None:
        """Return data time and landing of what has the newest data before the window and among its first landings."""
        found = self._before
        for data, landed in zip(self._data[:count], self._landed[:count], strict=True):
            if found is None or data > found[0]:  # what landed first stands first
                found = data, landed
        return found

    def _add(self, landings: Iterable[Landing]) -> None:
        for landed, data in sorted((_whole(each.landed_at), -_whole(each.data_time)) for each in landings):
            self._landed.append(landed)
            self._data.append(-data)
        self._middle = self._best = None


def _within(begin: int, end: int, since: int, allowed: int) -> int:
    return max(min(end, since + allowed) - begin, 0)


def _whole(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(whole: int) -> datetime:
    return _EPOCH + whole * _MICROSECOND
