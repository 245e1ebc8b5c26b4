"""When work may run: windows of local time, blackouts (重保期), and the open stretches that they leave.

Windows are written in the site's own time; all arithmetic is done in UTC. No clock: every moment is handed in.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

WINDOW_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
MOMENT_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T]([01][0-9]|2[0-3]):[0-5][0-9])?$"
DAY_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
TIMEZONE_PATTERN = r"^[A-Za-z][A-Za-z0-9_+/-]*$"

DAY = timedelta(days=1)
NEVER = timedelta(0)


class Stretch(NamedTuple):
    """A stretch of time, `begin` in it and `end` not."""

    begin: datetime
    end: datetime


class Closed(NamedTuple):
    """A stretch in which something is forbidden, and why."""

    begin: datetime
    end: datetime
    reason_zh: str
    reason_en: str


class Hold(NamedTuple):
    """Until when work is held, and by what."""

    until: datetime
    reason_zh: str
    reason_en: str


def _window(text: str) -> str:
    begin, end = window_times(text)
    if begin == end:
        raise ValueError("a window begins and ends at different times")
    return text


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


def zone(name: str) -> tzinfo:
    """Return the time zone of that name. Raises ValueError for one that this host does not know."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a folder of zones is an OSError: Asia
        raise ValueError(f"no time zone {name}") from None


def _zone_name(name: str) -> str:
    zone(name)
    return name


#: A window of local time; one that ends before it begins goes over midnight.
Window = Annotated[
    str,
    Field(pattern=WINDOW_PATTERN, description="22:00-06:00 goes over midnight; 00:00-24:00 is the whole day"),
    AfterValidator(_window),
]

#: A day, or a minute of it, in the site's time.
Moment = Annotated[str, Field(pattern=MOMENT_PATTERN), AfterValidator(_moment)]

#: A day, in the site's time.
Day = Annotated[str, Field(pattern=DAY_PATTERN), AfterValidator(_moment)]

#: A name of the time zone database.
TimeZone = Annotated[str, Field(pattern=TIMEZONE_PATTERN), AfterValidator(_zone_name)]


@cache
def window_times(text: str) -> tuple[timedelta, timedelta]:
    """Return a window's begin and end as time since local midnight. An end of 24:00 is a day."""
    begin, end = (timedelta(hours=int(part[:2]), minutes=int(part[3:])) for part in text.split("-"))
    return begin, end


def longest_gap(windows: Sequence[str]) -> timedelta:
    """Return the longest time of a day without a window; nothing when there are no windows, which is always open."""
    if not windows:
        return NEVER
    spans = sorted(
        (begin + shift, (end if end > begin else end + DAY) + shift)
        for begin, end in map(window_times, windows)
        for shift in (NEVER, DAY)
    )
    gap, reached = NEVER, spans[0][1]
    for begin, end in spans[1:]:
        gap, reached = max(gap, begin - reached), max(reached, end)
    return gap


def moment_of(text: str, local: tzinfo, *, ends: bool = False) -> datetime:
    """Return the moment that a site file names. A day alone begins at its midnight and, as an end, is included."""
    moment = datetime.fromisoformat(text).replace(tzinfo=local)
    if ends and not re.search(r"[ T]", text):
        moment = _at(moment.date() + DAY, NEVER, local)
    return moment.astimezone(UTC)


class Calendar:
    """When one kind of work may run: inside the windows and outside the blackouts, from `begin` on."""

    def __init__(self, windows: Sequence[str], closed: Sequence[Closed], local: tzinfo, begin: datetime) -> None:
        self.always = not windows and not closed
        self._windows, self._closed = windows, closed
        last = max((each.end for each in closed), default=begin)
        self._end = max(last, begin) + 60 * DAY
        stretches = _daily(windows, local, begin, self._end) if windows else [Stretch(begin, self._end)]
        self._open = _without(_merged(stretches), closed)
        self._begins = [each.begin for each in self._open]

    def is_open(self, at: datetime) -> bool:
        """Return whether work may start at that moment."""
        found = self._until(at)
        return self.always or (found is not None and found.begin <= at)

    def settle(self, at: datetime, share: float, spread: timedelta) -> datetime:
        """Return when work that falls to `at` starts: then, or within the next open stretch.

        What was held does not start all at once when the stretch opens: `share` (0 to 1) of the stretch, or of
        `spread` where that is shorter, lies before it.
        """
        if self.always:
            return at
        found = self._until(at)
        if found is None:
            return self._end
        if found.begin <= at:
            return at
        return found.begin + min(found.end - found.begin, spread) * share

    def hold(self, at: datetime, until: datetime) -> Hold:
        """Return what holds work at a moment at which it may not start."""
        for each in self._closed:
            if each.begin <= at < each.end:
                return Hold(until, each.reason_zh, each.reason_en)
        windows = " ".join(self._windows)
        return Hold(until, f"时间窗口 {windows}", f"window {windows}")

    def _until(self, at: datetime) -> Stretch | None:
        """Return the open stretch that holds `at`, or the next one."""
        index = bisect_right(self._begins, at)
        if index and at < self._open[index - 1].end:
            return self._open[index - 1]
        return self._open[index] if index < len(self._open) else None


def _at(day: date, since_midnight: timedelta, local: tzinfo) -> datetime:
    days, seconds = divmod(int(since_midnight.total_seconds()), 86400)
    wall = time(seconds // 3600, seconds % 3600 // 60)
    return datetime.combine(day + timedelta(days=days), wall, tzinfo=local).astimezone(UTC)


def _daily(windows: Sequence[str], local: tzinfo, begin: datetime, end: datetime) -> list[Stretch]:
    day, last = begin.astimezone(local).date() - DAY, end.astimezone(local).date()
    found = []
    while day <= last:
        for opens, closes in map(window_times, windows):
            found.append(Stretch(_at(day, opens, local), _at(day, closes if closes > opens else closes + DAY, local)))
        day += DAY
    return found


def _merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Return the stretches in order; those that touch are one."""
    merged: list[Stretch] = []
    for each in sorted(stretches):
        if merged and each.begin <= merged[-1].end:
            merged[-1] = Stretch(merged[-1].begin, max(merged[-1].end, each.end))
        else:
            merged.append(each)
    return merged


def _without(stretches: list[Stretch], closed: Iterable[Closed]) -> list[Stretch]:
    for shut in closed:
        stretches = [
            part
            for each in stretches
            for part in (Stretch(each.begin, min(each.end, shut.begin)), Stretch(max(each.begin, shut.end), each.end))
            if part.begin < part.end
        ]
    return stretches
