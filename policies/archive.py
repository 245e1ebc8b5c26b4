"""Continuous archiving of a database: what a site says of it, and what a list of archived segments is good for. Pure.

A database writes every change to its write-ahead log (WAL), in segments of equal size whose names count up. A base
backup and every segment since then give back any moment between; one that is missing ends that at the gap.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from pydantic import Field, model_validator

from policies.values import Misfit, MisfitError, Model, SecretRef, Span, format_duration

#: What is archived lies beside the repositories of systems: no system's name begins with a digit.
PREFIX = "0-archive"


def archive_prefix(system: str, source: str) -> str:
    """Return where the archive of a source lies in the tenant's bucket at every centre."""
    return f"{PREFIX}/{system}/{source}"


#: What stands unquoted in the command that PostgreSQL hands to a shell.
PLAIN_PATH_PATTERN = r"^/[A-Za-z0-9._/-]*$"
ACCOUNT_PATTERN = r"^[a-z_][a-z0-9_-]{0,31}$"
_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(?=$|-)")


class ArchiveRule(Model):
    """Continuous archiving to every vault of the tier, by pgBackRest on the database's own host."""

    data_folder: str = Field(pattern=PLAIN_PATH_PATTERN, description="the data folder, on the host that runs this")
    socket_folder: str = Field(
        "/var/run/postgresql", pattern=PLAIN_PATH_PATTERN, description="folder of the database's socket on that host"
    )
    os_user: str = Field(
        "postgres",
        pattern=ACCOUNT_PATTERN,
        description="who the database runs as; a superuser of that name",
    )
    folder: str = Field(
        "/var/lib/pgbackrest",
        pattern=PLAIN_PATH_PATTERN,
        description="configuration and queue of pgBackRest",
    )
    passphrase: SecretRef = Field(description="what everything is encrypted with before it leaves the host")
    full_every: Span = Field(timedelta(days=7), description="a full base backup at each centre")
    incremental_every: Span = Field(timedelta(days=1), description="a base backup of what changed since the last one")
    observe_every: Span = Field(
        timedelta(minutes=5), description="a look at until when each centre can give the database back"
    )

    @model_validator(mode="after")
    def _increments_between_fulls(self) -> Self:
        if self.incremental_every > self.full_every:
            got, most = (format_duration(each.total_seconds()) for each in (self.incremental_every, self.full_every))
            raise MisfitError([Misfit(("incremental_every",), got, f"at most {most}, the full_every beside it")])
        return self


class Segment(NamedTuple):
    """A WAL segment: the timeline it was written on, and its number, which goes on from one timeline to the next."""

    timeline: int
    number: int


@dataclass(frozen=True, slots=True)
class BaseBackup:
    """A base backup at a centre: the first segment that it needs, and since when it can be recovered to."""

    label: str
    full: bool
    start: str
    began_at: datetime
    stopped_at: datetime
    bytes: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment up to which everything committed lies in `segment` and those before it."""

    moment: datetime
    segment: str
    segment_bytes: int


@dataclass(frozen=True, slots=True)
class Reach:
    """What a centre can give back: every moment from `since` to `until`; None when there is nothing.

    `missing` is the first segment that is not there although later ones are.
    """

    since: datetime | None
    until: datetime | None
    missing: str | None


def segment_of(name: str, segment_bytes: int) -> Segment | None:
    """Return the segment that a file of the archive holds; None for what is no whole segment."""
    found = _SEGMENT.match(name)
    if not found:
        return None
    timeline, log, part = (int(each, 16) for each in found.groups())
    return Segment(timeline, log * _per_log(segment_bytes) + part)


def name_of(segment: Segment, segment_bytes: int) -> str:
    """Return the name of the file of a segment."""
    log, part = divmod(segment.number, _per_log(segment_bytes))
    return f"{segment.timeline:08X}{log:08X}{part:08X}"


def reach_of(names: Iterable[str], backups: Sequence[BaseBackup], marks: Sequence[Mark], segment_bytes: int) -> Reach:
    """Return what the segments and base backups at one centre give back.

    A mark counts when every segment from the newest base backup's first to its own is there. An older base backup
    counts when nothing is missing from it on.
    """
    there = {each for name in names if (each := segment_of(name, segment_bytes))}
    ordered = sorted(backups, key=lambda each: each.stopped_at)
    starts = [each for each in (segment_of(backup.start, segment_bytes) for backup in ordered) if each]
    if not there or not starts:
        return Reach(None, None, None)
    line, numbers = max(each.timeline for each in there), {each.number for each in there}
    last = _end_of_run(starts[-1].number, numbers)
    missing = name_of(Segment(line, last + 1), segment_bytes) if last < max(numbers) else None
    reached = [
        mark.moment
        for mark in marks
        if (own := segment_of(mark.segment, segment_bytes)) and own.timeline == line and own.number <= last
    ]
    whole = [
        backup.stopped_at
        for backup, start in zip(ordered, starts, strict=True)
        if _end_of_run(start.number, numbers) == last
    ]
    until = max(reached, default=None)
    since = min(whole, default=None)
    return Reach(since, until, missing) if until and since and since <= until else Reach(None, None, missing)


def _end_of_run(first: int, numbers: set[int]) -> int:
    """Return the last of the numbers from `first` on without a hole; the one before `first` when there is none."""
    last = first
    while last in numbers:
        last += 1
    return last - 1


def _per_log(segment_bytes: int) -> int:
    return (1 << 32) // segment_bytes
