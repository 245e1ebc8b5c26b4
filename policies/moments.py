"""A moment as people say it, in the site's time: `2026-11-23 18:00`, `yesterday 18:00`, `昨天 18:00`, `2h ago`.

A time with an offset is taken as it stands. A day without a time is its end, so that the newest of that day is
meant; of today that is now. No clock: the moment at which it is said is handed in.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from policies.values import parse_duration

WANTED = (
    "2026-11-23 18:00, 2026-11-23T18:00+08:00, 2026-11-23, 18:00, yesterday 18:00, 昨天 18:00, 3 days ago 09:00, "
    "3天前 09:00, 2h ago or 2小时前"
)

_DAYS = {
    "today": 0, "今天": 0, "今日": 0,
    "yesterday": 1, "昨天": 1, "昨日": 1,
    "前天": 2, "前日": 2,
    "大前天": 3,
}  # fmt: skip
_UNITS = {"秒": "s", "秒钟": "s", "分": "m", "分钟": "m", "小时": "h", "个小时": "h", "天": "d", "周": "w", "星期": "w"}
_WORDS = {
    "second": "s", "sec": "s", "minute": "m", "min": "m", "hour": "h", "hr": "h", "day": "d", "week": "w",
}  # fmt: skip

_AGO = re.compile(r"(?P<span>.+?)\s*(?:ago|之前|以前|前)", re.IGNORECASE)
_DAYS_AGO = re.compile(r"(?P<count>\d{1,5})\s*(?:d|days?|天|日)\s*(?:ago|之前|以前|前)", re.IGNORECASE)
_TIME = re.compile(r"(?P<hour>\d{1,2})[:：](?P<minute>\d{2})(?:[:：](?P<second>\d{2}))?")
_DATE_FIRST = re.compile(r"(?P<date>\d{4}-\d{2}-\d{2}|\d{8})(?:[ T]+(?P<rest>.+))?")


class BadMoment(ValueError):
    """Text that names no moment, or one that is yet to come."""


def parse_moment(text: str, now: datetime, local: tzinfo) -> datetime:
    """Return the moment that `text` names, said at `now` where the time zone is `local`; in UTC. Raises BadMoment."""
    said = " ".join(text.split())
    try:
        moment = _exact(said, local) or _of_day(said, now, local) or _ago(said, now)
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise BadMoment(f"{text!r} names no moment: want {WANTED}")
    if moment > now:
        raise BadMoment(f"{text!r} is {moment.astimezone(local):%F %T}, and that is yet to come")
    return moment.astimezone(UTC)


def _exact(said: str, local: tzinfo) -> datetime | None:
    """Return the moment of a text that has a date and a time."""
    found = _DATE_FIRST.fullmatch(said)
    if not found or not found["rest"]:
        return None
    moment = datetime.fromisoformat(f"{found['date']}T{_padded(found['rest'])}")
    return moment if moment.tzinfo else moment.replace(tzinfo=local)


def _of_day(said: str, now: datetime, local: tzinfo) -> datetime | None:
    """Return the moment of a day that is named by a date or a word, at a time or at its end; or of a time alone."""
    today = now.astimezone(local).date()
    if clock := _clock(said):
        moment = datetime.combine(today, clock, local)
        return moment if moment <= now else datetime.combine(today - timedelta(days=1), clock, local)
    day, rest = _day(said, today)
    if day is None:
        return None
    if not rest:
        return min(datetime.combine(day + timedelta(days=1), time(), local), now)
    clock = _clock(rest)
    return datetime.combine(day, clock, local) if clock else None


def _day(said: str, today: date) -> tuple[date | None, str]:
    for word in sorted(_DAYS, key=len, reverse=True):
        if said.casefold().startswith(word):
            return today - timedelta(days=_DAYS[word]), said[len(word) :].strip()
    if found := _DATE_FIRST.fullmatch(said):
        return date.fromisoformat(found["date"]), ""
    if (found := _DAYS_AGO.match(said)) and (rest := said[found.end() :].strip()):
        return today - timedelta(days=int(found["count"])), rest
    return None, ""


def _ago(said: str, now: datetime) -> datetime | None:
    """Return the moment that lies so long behind: `90m ago`, `1 day 2 hours ago`, `2小时30分前`."""
    if said.casefold() in ("now", "现在"):
        return now
    if not (found := _AGO.fullmatch(said)):
        return None
    span = found["span"]
    for word, unit in sorted(_UNITS.items(), key=lambda each: -len(each[0])):
        span = span.replace(word, unit)
    for word, unit in sorted(_WORDS.items(), key=lambda each: -len(each[0])):
        span = re.sub(rf"(?<=\d)\s*{word}s?\b", unit, span, flags=re.IGNORECASE)
    return now - parse_duration(span)


def _clock(text: str) -> time | None:
    found = _TIME.fullmatch(text)
    return time(int(found["hour"]), int(found["minute"]), int(found["second"] or 0)) if found else None


def _padded(text: str) -> str:
    """Return a time as ISO 8601 has it: 9:05 is 09:05."""
    plain = text.replace("：", ":")
    return f"0{plain}" if re.match(r"\d:", plain) else plain
