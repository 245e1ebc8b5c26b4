"""Which recovery points stay at a centre and which may go, each with all its reasons. Pure.

Age is counted from the newest good point and not from the clock: a system that is no longer backed up loses nothing.
Points that are suspect or bad count for nothing here, so that however many an attacker makes, no good one goes for
their sake.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

from policies.suspicion import CLOCKS_DIFFER, Dated, Signal, Standing, dated_wrongly
from policies.tiers import Retention

#: A backup that made no point leaves snapshots. They are kept this long, in case it still runs somewhere.
LEFTOVERS_STAY = timedelta(days=1)

#: A point that was settled as bad stays this long, so that a wrong word can be taken back.
BAD_STAYS = timedelta(days=7)


class Reason(StrEnum):
    """Why a point, or what is left of one, is kept or forgotten."""

    NEWEST = "newest"
    NEWEST_PROVED = "newest-proved"
    YOUNG = "young"
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"
    SUSPECT = "suspect"
    JUST_SETTLED = "just-settled"  # as bad, a moment ago
    NONE_GOOD = "none-good"  # no point here is good, so all there is stays
    HELD_BY_SUSPECT = "held-by-suspect"  # it would go, and a suspect point of the system is not settled
    LOCKED = "locked"
    IN_USE = "in-use"
    NOT_FARTHER = "not-farther"  # not yet at a farther centre that shall have it
    INCOMPLETE = "incomplete"  # replication has not brought all of it yet
    UNKNOWN = "unknown"  # complete, and not in the catalogue
    EXPIRED = "expired"
    BAD = "bad"  # settled as bad
    LEFTOVER = "leftover"  # of a backup that ended without a point


KEEPS = frozenset(Reason) - {Reason.EXPIRED, Reason.BAD, Reason.LEFTOVER}

#: How the hour, day, … of a point is named, in the site's time. The offset tells the two hours of a night in autumn.
BUCKETS = {"hourly": "%Y-%m-%dT%H%z", "daily": "%Y-%m-%d", "weekly": "%G-W%V", "monthly": "%Y-%m", "yearly": "%Y"}


@dataclass(frozen=True, slots=True)
class Held:
    """A recovery point that is whole at the centre. `settled_at` is when a person said what it is."""

    id: str
    data_time: datetime
    finished_at: datetime
    landed_at: datetime
    proved: bool
    standing: Standing = Standing.GOOD
    settled_at: datetime | None = None

    @property
    def good(self) -> bool:
        return self.standing is Standing.GOOD


@dataclass(frozen=True, slots=True)
class Farther:
    """A centre behind this one: what it keeps, and the data times of the points that it holds, by id."""

    centre: str
    rule: Retention
    holds: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class Ground:
    """One reason that holds. `until` is when it ends, where a clock tells; `centre` and `bucket` where they matter."""

    reason: Reason
    until: datetime | None = None
    centre: str | None = None
    bucket: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one point, and every reason for it, the strongest first."""

    id: str
    data_time: datetime
    grounds: tuple[Ground, ...]
    standing: Standing = Standing.GOOD

    @property
    def reason(self) -> Reason:
        return self.grounds[0].reason

    @property
    def kept(self) -> bool:
        return self.reason in KEEPS


def decide(
    points: Iterable[Held],
    rule: Retention,
    now: datetime,
    zone: tzinfo,
    *,
    in_use: Collection[str],
    farther: Sequence[Farther],
    held: bool = False,
) -> tuple[Decision, ...]:
    """Return the decision on each point, the newest data first, with every reason that holds.

    `held` says that a suspect point of the system waits at another centre: then nothing good goes here either.
    """
    ordered, _ = look_at_dates(points, now)
    held = held or any(each.standing is Standing.SUSPECT for each in ordered)
    good = [each for each in ordered if each.good]
    kept = kept_by_rule(good, rule, now, zone)
    absent = _absent(good, now, zone, farther)
    decisions = []
    for each in ordered:
        grounds = [*_standing_grounds(each, now, none_good=not good), *kept.get(each.id, ())]
        if each.good and held and not grounds:
            grounds.append(Ground(Reason.HELD_BY_SUSPECT))
        if (unlocked := each.landed_at + rule.lock) > now:
            grounds.append(Ground(Reason.LOCKED, until=unlocked))
        if each.id in in_use:
            grounds.append(Ground(Reason.IN_USE))
        grounds += [Ground(Reason.NOT_FARTHER, centre=centre) for centre in absent.get(each.id, ())]
        if not grounds:
            grounds.append(Ground(Reason.BAD if each.standing is Standing.BAD else Reason.EXPIRED))
        decisions.append(Decision(each.id, each.data_time, tuple(grounds), each.standing))
    return tuple(decisions)


def kept_by_rule(good: Iterable[Held], rule: Retention, now: datetime, zone: tzinfo) -> dict[str, list[Ground]]:
    """Return which of these good points the rule keeps, and why: it says nothing of locks, uses and other centres.

    Of two rules, one that keeps each number as high and as long keeps all that the other does, whatever the points.
    """
    ordered = sorted(good, key=_newest_first, reverse=True)
    # What was settled as good and claims the future is young, and the measure of nothing.
    present = [each for each in ordered if each.data_time <= now + CLOCKS_DIFFER] or ordered[-1:]
    if not present:
        return {}
    grounds: dict[str, list[Ground]] = {each.id: [] for each in ordered}
    grounds[present[0].id].append(Ground(Reason.NEWEST))
    proved = next((each for each in present if each.proved), None)
    if proved:
        grounds[proved.id].append(Ground(Reason.NEWEST_PROVED))
    for each in ordered:
        if not has_expired(each.data_time, present[0].data_time, rule):
            grounds[each.id].append(Ground(Reason.YOUNG, until=each.data_time + rule.keep_within))
    for unit, count in rule.keep.counts().items():
        for point, bucket in _newest_of_each(present, unit, count, zone):
            grounds[point].append(Ground(Reason(unit), bucket=bucket))
    return {point: found for point, found in grounds.items() if found}


def has_expired(data_time: datetime, newest: datetime, rule: Retention) -> bool:
    """Return whether a point is older than `keep_within`, counted from the newest good point's data time."""
    return newest - data_time > rule.keep_within


def look_at_dates(points: Iterable[Held], now: datetime) -> tuple[list[Held], dict[str, Signal]]:
    """Return the points, the newest data first, those with wrong dates made suspect; and what is wrong with these.

    Who settled a point has seen its date.
    """
    known = list(points)
    trusted = [Dated(each.id, each.data_time, each.finished_at) for each in known if each.good]
    settled = {each.id for each in known if each.settled_at}
    wrong = {point: found for point, found in dated_wrongly(trusted, now).items() if point not in settled}
    marked = [replace(each, standing=Standing.SUSPECT) if each.id in wrong else each for each in known]
    return sorted(marked, key=_newest_first, reverse=True), wrong


def _standing_grounds(point: Held, now: datetime, *, none_good: bool) -> Iterator[Ground]:
    """Yield why a point stays for what it is taken for, and not for its age."""
    if point.standing is Standing.SUSPECT:
        yield Ground(Reason.SUSPECT)
    elif point.standing is Standing.BAD:
        until = point.settled_at + BAD_STAYS if point.settled_at else now
        if until > now:
            yield Ground(Reason.JUST_SETTLED, until=until)
        if none_good:
            yield Ground(Reason.NONE_GOOD)


def _newest_of_each(ordered: Sequence[Held], unit: str, count: int, zone: tzinfo) -> Iterator[tuple[str, str]]:
    """Yield the newest point of each of the last `count` hours, days, … that have one, and how that is named."""
    last = None
    for each in ordered:
        if not count:
            return
        bucket = each.data_time.astimezone(zone).strftime(BUCKETS[unit])
        if bucket != last:
            yield each.id, bucket
            last, count = bucket, count - 1


def _absent(good: Sequence[Held], now: datetime, zone: tzinfo, farther: Sequence[Farther]) -> dict[str, list[str]]:
    """Return which points a farther centre would keep if it had them, and does not hold: the centres, by point."""
    absent: dict[str, list[str]] = {}
    here = {each.id: each for each in good}
    for other in farther:
        there = [Held(point, at, at, at, proved=False) for point, at in other.holds.items() if point not in here]
        unproved = [replace(each, proved=False) for each in good]  # a proof holds for the centre that it was made at
        for point in kept_by_rule([*unproved, *there], other.rule, now, zone):
            if point in here and point not in other.holds:
                absent.setdefault(point, []).append(other.centre)
    return absent


def _newest_first(each: Held) -> tuple[datetime, str]:
    return each.data_time, each.id


def is_leftover(made_at: datetime, now: datetime) -> bool:
    """Return whether snapshots of a backup that made no point may go: the last was made at `made_at`."""
    return now - made_at > LEFTOVERS_STAY


def is_too_many(decisions: Sequence[Decision]) -> bool:
    """Return whether more than half of the points would go at once."""
    return 2 * sum(not each.kept for each in decisions) > len(decisions)


def counted(decisions: Iterable[Decision]) -> Mapping[Reason, int]:
    """Return how many decisions have each reason first; only reasons that occur are there."""
    counts: dict[Reason, int] = {}
    for each in decisions:
        counts[each.reason] = counts.get(each.reason, 0) + 1
    return counts
