"""What is due when: derived anew from the site and the facts at every look, never remembered.

**Failures.** A run that failed is repeated after a minute, then after as long as it has been failing, so the waits
double; never later than the work's interval or six hours. An aborted run is left for one interval, a day at most.

**Priorities.** 0 asked for by a person (never given here), 1 backup, replicate and heal, 2 verify, locks, spot check
and restore test, 3 the rest. Within one the earliest deadline goes first, and of equal deadlines the shorter RPO. That
is the order of the list that `due` returns; the number needs no rank in it, since a shorter RPO makes an earlier
deadline wherever the newest points are of one time.

**Holds.** Windows and blackouts hold work back; what was held spreads over the time that opens.

No clock: every moment is handed in. Everything is linear in the number of systems.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from policies.plan import Plan
from policies.plan_state import last_that_counts
from policies.site import ActionName, Blackout, Site, SystemRef
from policies.tiers import ScheduleRule
from policies.values import Text, format_duration
from policies.windows import Calendar, Closed, Hold, moment_of, zone
from policies.work import (
    FAILURES_WITHIN,
    NOTHING,
    Facts,
    Failures,
    Work,
    bundle_of,
    copy_centres,
    drift_of,
    plan_centres,
    plan_check_of,
    share,
    work_of,
)

RETRY_FIRST = timedelta(minutes=1)
RETRY_MOST = timedelta(hours=6)
#: What a window or a blackout held back starts within this from when it opens.
SPREAD = timedelta(days=1)
#: How far back a calendar reaches, to know what was held until now.
BEHIND = timedelta(days=9)

_HEAVY: frozenset[ActionName] = frozenset(("read", "restore-test", "retention", "spot-check", "archive-backup"))
_CLASS: Mapping[ActionName, int] = {
    "backup": 1, "replicate": 1, "heal": 1, "archive-observe": 1, "archive-backup": 1,
    "check": 2, "read": 2, "restore-test": 2, "lock": 2, "spot-check": 2,
    "retention": 3, "tenant-drift": 3, "plan-check": 3, "escrow-bundle": 3,
}  # fmt: skip
_TITLE: Mapping[ActionName, Text] = {
    "backup": Text(zh="备份", en="backup"),
    "check": Text(zh="结构校验", en="structural check"),
    "read": Text(zh="滚动读取校验", en="rolling read"),
    "heal": Text(zh="修复", en="healing"),
    "restore-test": Text(zh="恢复测试", en="restore test"),
    "retention": Text(zh="过期清理", en="retention"),
    "lock": Text(zh="延长对象锁", en="object locks lengthened"),
    "tenant-drift": Text(zh="租户漂移检查", en="look for drift"),
    "plan-check": Text(zh="预案就绪检查", en="is the plan ready"),
    "spot-check": Text(zh="现行数据抽查", en="spot check against the live sources"),
    "escrow-bundle": Text(zh="救援包", en="rescue bundle"),
    "archive-backup": Text(zh="归档的基础备份", en="base backup of an archive"),
    "archive-observe": Text(zh="查看归档到达何时", en="until when is the archive"),
}


@dataclass(frozen=True, slots=True)
class Due:
    """One run that should start at `at`. `hold` says until when it is held and why; `open` is its run's state."""

    flow: str
    subject: str
    arguments: Mapping[str, str]
    at: datetime
    deadline: datetime
    priority: int
    reason_zh: str
    reason_en: str
    #: The system, and the shortest RPO of its tier; none for what is about a whole centre.
    system: str | None
    rpo: timedelta
    hold: Hold | None = None
    open: str | None = None

    @property
    def held_until(self) -> datetime | None:
        return self.hold.until if self.hold else None

    @property
    def order(self) -> tuple[int, datetime, timedelta, str, str]:
        return self.priority, self.deadline, self.rpo, self.flow, self.subject


@dataclass(frozen=True, slots=True)
class Reminder:
    """A drill that people must hold: no run is made for it. `last` is the last that they held with success."""

    system: str
    centre: str
    plans: tuple[str, ...]
    last: datetime | None
    due_at: datetime


def due(site: Site, facts: Facts, now: datetime) -> list[Due]:
    """Return what should start now, the most urgent first: at most one of each (flow, subject), none that is open."""
    return sorted(_until(site, facts, now, now, with_open=False), key=lambda each: each.order)


def upcoming(site: Site, facts: Facts, now: datetime, hours: float) -> list[Due]:
    """Return the next of each (flow, subject) that falls within `hours` from `now`, in the order of their times.

    What is held (`hold`) stands at the time at which it is let go; what was asked for already (`open`) stands at
    `now`, as does what is due.
    """
    found = _until(site, facts, now, now + timedelta(hours=hours), with_open=True)
    return sorted(found, key=lambda each: (max(each.at, now), each.order))


def reminders(site: Site, facts: Facts, now: datetime, within: timedelta) -> list[Reminder]:
    """Return the drills by people that are overdue, or will be `within` from `now`; the longest overdue first."""
    plans = _plans(site)
    found = []
    for ref in site.systems():
        key = (ref.tenant.tenant, ref.name)
        for centre in copy_centres(ref):
            last = last_that_counts(facts.at.get((*key, centre), NOTHING).held, ref.tier.drill.kind)
            due_at = (last or facts.known_since.get(key, now)) + ref.tier.drill.every
            if due_at <= now + within:
                names = tuple(each.plan for each in plans.get(str(ref), ()))
                found.append(Reminder(str(ref), centre, names, last, due_at))
    return sorted(found, key=lambda each: (each.due_at, each.system, each.centre))


def _until(site: Site, facts: Facts, now: datetime, end: datetime, *, with_open: bool) -> Collection[Due]:
    look = _Look(site, facts, now, end)
    first: dict[tuple[str, str], Due] = {}
    for work, ref in _all_work(site, facts, now):
        if (found := look.judge(work, ref)) and (with_open or found.open is None):
            key = found.flow, found.subject
            # A plan of several systems is wanted by each of them, and drilled once.
            if key not in first or (found.at, found.order) < (first[key].at, first[key].order):
                first[key] = found
    return first.values()


def _all_work(site: Site, facts: Facts, now: datetime) -> Iterator[tuple[Work, SystemRef | None]]:
    centres = {name: plan_centres(site, plan) for name, plan in site.plans.items()}
    plans = _plans(site)
    for ref in site.systems():
        fitting = {
            centre: tuple(each for each in plans.get(str(ref), ()) if centre in centres[each.plan])
            for centre in copy_centres(ref)
        }
        yield from ((work, ref) for work in work_of(ref, facts, now, fitting))
    for cloud in site.clouds():
        yield drift_of(site, cloud, facts, now), None
    for vault in site.vaults():
        if bundle := bundle_of(site, vault, facts):
            yield bundle, None
    for name, plan in site.plans.items():
        for centre in centres[name]:
            yield plan_check_of(site, plan, centre, facts, now), None


def _plans(site: Site) -> dict[str, tuple[Plan, ...]]:
    found: dict[str, list[Plan]] = {}
    for plan in sorted(site.plans.values(), key=lambda each: each.plan):
        for system in plan.systems:
            found.setdefault(system, []).append(plan)
    return {system: tuple(plans) for system, plans in found.items()}


class _Look:
    """One look at what is due by `end`. Calendars are made once: most systems of a tier share theirs."""

    def __init__(self, site: Site, facts: Facts, now: datetime, end: datetime) -> None:
        self._facts, self._now, self._end = facts, now, end
        self._zone = zone(site.timezone)
        self._blackouts = [(each, self._closed(each)) for each in site.blackouts]
        self._calendars: dict[tuple[tuple[str, ...], tuple[Closed, ...]], Calendar] = {}

    def judge(self, work: Work, ref: SystemRef | None) -> Due | None:
        """Return the work as what is due by the end, or None when its time comes later."""
        state = self._facts.open.get((work.flow, work.subject))
        if state is not None:
            return _due(work, ref, self._now, None, state)
        wanted = _wanted_again(work, self._facts.failures.get((work.flow, work.subject)))
        if wanted > self._end:
            return None
        at, hold = self._let_go(work, ref, wanted)
        return _due(work, ref, at, hold, None) if at <= self._end else None

    def _let_go(self, work: Work, ref: SystemRef | None, wanted: datetime) -> tuple[datetime, Hold | None]:
        """Return when work that is wanted from a moment on may start, and what holds it until then."""
        calendar = self._calendar(work, ref)
        if calendar.always:
            return wanted, None
        part, spread = share(work.subject), min(work.interval, SPREAD)
        at = calendar.settle(wanted, part, spread)
        if at <= self._now and not calendar.is_open(self._now):  # it was let go, and did not start while it could
            wanted, at = self._now, calendar.settle(self._now, part, spread)
        held_from = max(wanted, self._now)
        if at <= held_from:
            return at, None
        # Within an open stretch what holds it is its place in the spread, after the hold that has just ended.
        return at, calendar.hold(wanted if calendar.is_open(held_from) else held_from, at)

    def _calendar(self, work: Work, ref: SystemRef | None) -> Calendar:
        windows = _windows(work.action, ref.tier.schedule) if ref else ()
        closed = tuple(shut for each, shut in self._blackouts if _forbids(each, work, ref))
        key = windows, closed
        if key not in self._calendars:
            self._calendars[key] = Calendar(windows, closed, self._zone, self._now - BEHIND)
        return self._calendars[key]

    def _closed(self, blackout: Blackout) -> Closed:
        begin = moment_of(blackout.begin, self._zone)
        end = moment_of(blackout.end, self._zone, ends=True)
        return Closed(begin, end, f"重保期 {blackout.reason.zh}", f"blackout: {blackout.reason.en}")


def _wanted_again(work: Work, failures: Failures | None) -> datetime:
    """Return from when the work is wanted, after it was tried in vain."""
    at, wait_most = work.wanted, min(work.interval, RETRY_MOST)
    if failures and failures.last >= work.wanted:
        began = max(work.wanted, failures.first)
        at = failures.last + min(max(failures.last - began, RETRY_FIRST), wait_most)
    if work.tried and work.tried >= work.wanted:
        at = max(at, work.tried + min(max(work.tried - work.wanted, RETRY_FIRST), wait_most))
    if failures and failures.aborted_at:
        at = max(at, failures.aborted_at + min(work.interval, FAILURES_WITHIN))
    return at


def _due(work: Work, ref: SystemRef | None, at: datetime, hold: Hold | None, state: str | None) -> Due:
    rpo = min((copy.rpo for copy in ref.copies.values()), default=timedelta.max) if ref else timedelta.max
    zh, en = _reason(work)
    return Due(
        flow=work.flow,
        subject=work.subject,
        arguments=work.arguments,
        at=at,
        deadline=work.deadline,
        priority=_CLASS[work.action],
        reason_zh=zh,
        reason_en=en,
        system=str(ref) if ref else None,
        rpo=rpo,
        hold=hold,
        open=state,
    )


def _reason(work: Work) -> tuple[str, str]:
    if work.action == "replicate":
        source, target = work.arguments["source"], work.arguments["target"]
        return f"{target} 缺少 {source} 已有的恢复点", f"{target} lacks a point that {source} has"
    if work.action == "heal":
        return (
            f"{work.arguments['centre']} 有损坏或缺失的对象",
            f"{work.arguments['centre']} has corrupt or lost objects",
        )
    every, title = format_duration(work.interval.total_seconds()), _TITLE[work.action]
    return f"{title.zh}，每 {every} 一次", f"{title.en} every {every}"


def _windows(action: ActionName, rule: ScheduleRule) -> tuple[str, ...]:
    if action == "backup":
        return rule.windows.backup
    return rule.windows.heavy if action in _HEAVY else ()


def _forbids(blackout: Blackout, work: Work, ref: SystemRef | None) -> bool:
    if work.action not in blackout.forbids:
        return False
    if blackout.centres and not _touched(work, ref) & set(blackout.centres):
        return False
    if not blackout.tenants and not blackout.systems:
        return True
    return ref is not None and (ref.tenant.tenant in blackout.tenants or str(ref) in blackout.systems)


def _touched(work: Work, ref: SystemRef | None) -> set[str]:
    """Return the centres that the work reads from or writes to."""
    if work.action == "backup" and ref:
        return {"production", *copy_centres(ref)[:1]}
    named: Iterable[str] = (work.arguments[key] for key in ("centre", "source", "target") if key in work.arguments)
    return set(named)
