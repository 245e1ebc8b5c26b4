"""Which recovery points stay at a centre and which may go, each with its reason. Pure.

Age is counted from the newest point and not from the clock: a system that is no longer backed up loses nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from policies.tiers import Retention

#: Clocks of hosts differ by less than this; what differs by more was dated wrongly.
CLOCKS_DIFFER = timedelta(hours=1)

#: A backup that made no point leaves snapshots. They are kept this long, in case it still runs somewhere.
LEFTOVERS_STAY = timedelta(days=1)


class Reason(StrEnum):
    """Why a point, or what is left of one, is kept or forgotten."""

    NEWEST = "newest"
    NEWEST_PROVED = "newest-proved"
    YOUNG = "young"
    LOCKED = "locked"
    IN_USE = "in-use"
    NOT_FARTHER = "not-farther"  # not yet at a farther centre that shall have it
    INCOMPLETE = "incomplete"  # replication has not brought all of it yet
    UNKNOWN = "unknown"  # complete, and not in the catalogue
    EXPIRED = "expired"
    LEFTOVER = "leftover"  # of a backup that ended without a point


KEEPS = frozenset(Reason) - {Reason.EXPIRED, Reason.LEFTOVER}


@dataclass(frozen=True, slots=True)
class Held:
    """A recovery point that is whole at the centre."""

    id: str
    data_time: datetime
    finished_at: datetime
    landed_at: datetime
    proved: bool


@dataclass(frozen=True, slots=True)
class Farther:
    """A centre behind this one: how long it keeps points, and which it holds."""

    centre: str
    keep_within: timedelta
    holds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one point. `until` is when the reason ends, where that is known."""

    id: str
    data_time: datetime
    reason: Reason
    until: datetime | None = None
    centre: str | None = None

    @property
    def kept(self) -> bool:
        return self.reason in KEEPS


def decide(
    points: Iterable[Held], rule: Retention, now: datetime, *, in_use: Collection[str], farther: Sequence[Farther]
) -> tuple[Decision, ...]:
    """Return the decision on each point, the newest data first. The first reason that holds is given."""
    ordered = sorted(points, key=lambda each: (each.data_time, each.id), reverse=True)
    if not ordered:
        return ()
    newest = ordered[0]
    proved = next((each.id for each in ordered if each.proved), None)
    decisions = []
    for each in ordered:
        expires = each.data_time + rule.keep_within
        unlocked = each.landed_at + rule.lock
        absent = _absent_from(each, newest.data_time, farther)
        reason, until, centre = Reason.EXPIRED, None, None
        if each is newest:
            reason = Reason.NEWEST
        elif each.id == proved:
            reason = Reason.NEWEST_PROVED
        elif not has_expired(each.data_time, newest.data_time, rule):
            reason, until = Reason.YOUNG, expires
        elif unlocked > now:
            reason, until = Reason.LOCKED, unlocked
        elif each.id in in_use:
            reason = Reason.IN_USE
        elif absent:
            reason, centre = Reason.NOT_FARTHER, absent
        decisions.append(Decision(each.id, each.data_time, reason, until, centre))
    return tuple(decisions)


def has_expired(data_time: datetime, newest: datetime, rule: Retention) -> bool:
    """Return whether a point is older than the rule keeps, counted from the newest point's data time."""
    return newest - data_time > rule.keep_within


def _absent_from(point: Held, newest: datetime, farther: Sequence[Farther]) -> str | None:
    """Return a farther centre that would still keep this point, and does not hold it."""
    age = newest - point.data_time
    return next((each.centre for each in farther if age <= each.keep_within and point.id not in each.holds), None)


def is_leftover(made_at: datetime, now: datetime) -> bool:
    """Return whether snapshots of a backup that made no point may go: the last was made at `made_at`."""
    return now - made_at > LEFTOVERS_STAY


def suspicion(points: Sequence[Held], now: datetime) -> str | None:
    """Return why the data times of the points cannot be trusted, None when they can.

    Ages are counted from the newest point: one that claims the future would make all others expire.
    """
    if not points:
        return None
    newest = max(points, key=lambda each: each.data_time)
    if newest.data_time > now + CLOCKS_DIFFER:
        return f"the newest point {newest.id} is dated {newest.data_time:%Y-%m-%d %H:%M} UTC, which is in the future"
    last = max(points, key=lambda each: each.finished_at)
    if last.data_time < newest.data_time - CLOCKS_DIFFER:
        return (
            f"point {last.id} was made last and is dated {last.data_time:%Y-%m-%d %H:%M} UTC, before {newest.id} "
            f"({newest.data_time:%Y-%m-%d %H:%M} UTC)"
        )
    return None


def is_too_many(decisions: Sequence[Decision]) -> bool:
    """Return whether more than half of the points would go at once."""
    return 2 * sum(not each.kept for each in decisions) > len(decisions)


def counted(decisions: Iterable[Decision]) -> Mapping[Reason, int]:
    """Return how many decisions have each reason; only reasons that occur are there."""
    counts: dict[Reason, int] = {}
    for each in decisions:
        counts[each.reason] = counts.get(each.reason, 0) + 1
    return counts
