"""The calendar of drills that people hold: which day, which plan, which kind, as the tiers ask for it.

Each plan has a turn of its own in the interval of its tier. It follows from the SHA-256 of the plan's name, so the
drills of all bureaus spread over the weeks, and one that is added moves no other. Days on which nobody works, holidays
and blackouts are passed over. No clock: every moment is handed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from policies.plan import Kind, Plan
from policies.plan_state import last_that_counts, plan_cadence
from policies.site import Blackout, Site, SystemRef
from policies.tiers import CentreName
from policies.windows import moment_of, zone
from policies.work import NOTHING, Facts, next_turn, plan_centres, plan_systems, share

DAY = timedelta(days=1)
#: A drill that cannot wait for its turn is planned within this before it is due, or a quarter of a shorter interval.
AHEAD = timedelta(weeks=4)
#: What is overdue is spread over so many days from tomorrow on.
CATCH_UP = timedelta(days=14)
#: A day that is open is looked for at most so far away.
FURTHEST = timedelta(days=120)
SATURDAY = 5

#: Kinds that take servers, and so a cloud at the centre.
WITH_SERVERS = ("sandbox", "switchover", "failover", "failback")


@dataclass(frozen=True, slots=True)
class PlannedDrill:
    """One drill. `last` is the last that counted, and `overdue` that the next should have been held by now.

    `late`: no day was open until it is due.
    """

    day: date
    plan: Plan
    centre: CentreName
    kind: Kind
    systems: tuple[SystemRef, ...]
    last: datetime | None
    due_at: datetime
    overdue: bool
    late: bool

    @property
    def id(self) -> str:
        """The same for the same drill whenever the calendar is made."""
        return f"{self.plan.plan}@{self.centre}/{self.kind}/{self.due_at:%Y%m%dT%H%M}"


def plan_drills(site: Site, facts: Facts, now: datetime, until: datetime) -> list[PlannedDrill]:
    """Return the drills by people from `now` until then, in the order of their days. Pure, and stable."""
    found = []
    for _, plan in sorted(site.plans.items()):
        for centre in plan_centres(site, plan):
            for kind, every in wanted_kinds(site, plan, centre).items():
                found += list(_series(site, facts, plan, centre, kind, every, now, until))
    return sorted(found, key=lambda each: (each.day, each.plan.plan, each.centre, each.kind))


def wanted_kinds(site: Site, plan: Plan, centre: CentreName) -> dict[Kind, timedelta]:
    """Return how often each kind must be held there. What needs a cloud is not asked of a centre without one.

    A talk at a table is held once for all centres, at the nearest.
    """
    cadence = plan_cadence(site, plan)
    wanted: dict[Kind, timedelta] = {cadence.kind: cadence.every}
    for ref in plan_systems(site, plan):
        for kind, every in ref.tier.drill.also.items():
            wanted[kind] = min(every, wanted.get(kind, every))
    if any(ref.system.servers for ref in plan_systems(site, plan)) and centre not in site.clouds():
        wanted = {kind: every for kind, every in wanted.items() if kind not in WITH_SERVERS}
    if centre != plan_centres(site, plan)[0]:
        wanted.pop("tabletop", None)
    return wanted


def _series(
    site: Site,
    facts: Facts,
    plan: Plan,
    centre: CentreName,
    kind: Kind,
    every: timedelta,
    now: datetime,
    until: datetime,
) -> Iterator[PlannedDrill]:
    systems = tuple(plan_systems(site, plan))
    last = _last(systems, centre, kind, facts)
    known = max((facts.known_since.get((ref.tenant.tenant, ref.name), now) for ref in systems), default=now)
    days = _Days(site, centre, systems)
    key, due = f"{plan.plan}@{centre}/{kind}", (last or known) + every
    if due < now:
        day = days.open_after(now + DAY + CATCH_UP * share(key))
        yield PlannedDrill(day, plan, centre, kind, systems, last, due, overdue=True, late=True)
        due = days.begin_of(day) + every
        wanted = _turn(key, every, days.begin_of(day), held=True)
    else:
        wanted = _turn(key, every, last or known, held=last is not None)
    while wanted <= until:
        day, late = days.open_before(max(wanted, now + DAY), now + DAY, due)
        yield PlannedDrill(day, plan, centre, kind, systems, last, due, overdue=False, late=late)
        wanted, due = wanted + every, wanted + every


def _turn(key: str, every: timedelta, last: datetime, *, held: bool) -> datetime:
    """Return when a drill is wanted that is due an interval after `last`: at its turn, and never after it is due.

    What was held a little before its turn is not held again at it.
    """
    wanted, due = next_turn(key, every, last + every / 4 if held else last), last + every
    return wanted if wanted <= due else due - min(AHEAD, every / 4) * share(key)


def _last(systems: Sequence[SystemRef], centre: str, kind: Kind, facts: Facts) -> datetime | None:
    """Return when the plan was last held: when the system of it that is longest not drilled was."""
    ends = []
    for ref in systems:
        held = facts.at.get((ref.tenant.tenant, ref.name, centre), NOTHING).held
        end = held.get(kind) if kind == "tabletop" else last_that_counts(held, kind)
        if end is None:
            return None
        ends.append(end)
    return min(ends, default=None)


class _Days:
    """The days on which a plan can be drilled at a centre, in the site's own time."""

    def __init__(self, site: Site, centre: str, systems: Sequence[SystemRef]) -> None:
        self._zone = zone(site.timezone)
        self._closed = [
            *((date.fromisoformat(each.begin), date.fromisoformat(each.end or each.begin)) for each in site.holidays),
            *(_span(each, self._zone) for each in site.blackouts if _touches(each, centre, systems)),
        ]

    def begin_of(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=self._zone)

    def open_after(self, moment: datetime) -> date:
        """Return the first open day from a moment on."""
        day = moment.astimezone(self._zone).date()
        last = day + FURTHEST
        while day < last and not self.is_open(day):
            day += DAY
        return day

    def open_before(self, moment: datetime, earliest: datetime, due: datetime) -> tuple[date, bool]:
        """Return the last open day until a moment, and not late; or else the next one, and whether that is too late."""
        day, first = moment.astimezone(self._zone).date(), earliest.astimezone(self._zone).date()
        found = day
        while found >= first and not self.is_open(found):
            found -= DAY
        if found >= first:
            return found, False
        after = self.open_after(max(moment, earliest))
        return after, after > due.astimezone(self._zone).date()

    def is_open(self, day: date) -> bool:
        return day.weekday() < SATURDAY and not any(begin <= day <= end for begin, end in self._closed)


def _span(blackout: Blackout, local: tzinfo) -> tuple[date, date]:
    begin = moment_of(blackout.begin, local).astimezone(local)
    end = moment_of(blackout.end, local, ends=True).astimezone(local) - timedelta(microseconds=1)
    return begin.date(), end.date()


def _touches(blackout: Blackout, centre: str, systems: Sequence[SystemRef]) -> bool:
    """Whether a drill would be what the blackout forbids: it restores, as a restore test does."""
    if "restore-test" not in blackout.forbids or (blackout.centres and centre not in blackout.centres):
        return False
    everything = not blackout.tenants and not blackout.systems
    return everything or any(ref.tenant.tenant in blackout.tenants or str(ref) in blackout.systems for ref in systems)


def by_month(drills: Sequence[PlannedDrill]) -> Mapping[str, list[PlannedDrill]]:
    """Return the drills by month, 2026-11, in their order."""
    found: dict[str, list[PlannedDrill]] = {}
    for each in drills:
        found.setdefault(f"{each.day:%Y-%m}", []).append(each)
    return found
