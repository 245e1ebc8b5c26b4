"""What work a site asks for, and from when each piece is wanted: derived from the tiers and from the facts.

Whether it may start then is `policies.schedule`'s to say. No clock: every moment is handed in.

**Turns.** Work that comes back has turns: one each interval, at a phase that follows from the SHA-256 of the system's
name and the action, so that thousands of systems spread evenly over the interval, the same after every restart. Work
is wanted from its first turn after it was last done. However many turns went by, it is wanted once.

**Deadlines.** The moment at which an objective would be missed: for backup and replicate the data time of the newest
point there and that centre's RPO; for the rest the last time and the interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from policies.plan import Plan
from policies.site import ActionName, Site, SystemRef
from policies.tiers import CentreName

#: The centres that may hold copies, the nearest first: a backup goes to the first of a tier's, a copy to the others.
COPY_CENTRES: tuple[CentreName, ...] = ("same-city", "provincial")

#: How far back failures need to be known: far enough that the waits of a long outage stay at their longest.
FAILURES_WITHIN = timedelta(days=1)
#: How far back runs that were done need to be known: whether they gave what was wanted shows in the facts by then.
DONE_WITHIN = timedelta(minutes=10)

#: A system that never was backed up is not left waiting for its turn.
FIRST_BACKUP_WITHIN = timedelta(minutes=15)
#: A rolling read takes a part each day, or of a short round a quarter at a time.
READ_EVERY = timedelta(days=1)
READS_AT_LEAST = 4

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WHOLE = 1 << 64


@dataclass(frozen=True, slots=True)
class AtCentre:
    """What is known of a system at one centre. What never happened is None."""

    #: The newest data there, and since when the nearest centre has had a point that is newer.
    data_time: datetime | None = None
    lacking_since: datetime | None = None
    checked_at: datetime | None = None
    read_at: datetime | None = None
    retained_at: datetime | None = None
    #: Ends of the last drill, and of the last that did recover the system.
    drilled_at: datetime | None = None
    recovered_at: datetime | None = None
    #: By kind, the end of the last that a person held and that did recover the system.
    held: Mapping[str, datetime] = field(default_factory=dict)


class Failures(NamedTuple):
    """Runs of one (flow, subject) that failed within FAILURES_WITHIN: the first, the last, and the last aborted."""

    first: datetime
    last: datetime
    aborted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the catalogue knows at one moment. A key that is not there: nothing of that kind ever happened."""

    #: (tenant, system) -> since when it is known.
    known_since: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    #: (tenant, system, centre) -> what is known there.
    at: Mapping[tuple[str, str, str], AtCentre] = field(default_factory=dict)
    #: Centre -> the last look for drift that was done.
    drift_at: Mapping[str, datetime] = field(default_factory=dict)
    #: (plan, centre) -> the last look at whether it is ready.
    plan_checked: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    #: (flow, subject) -> failures, and the start of the last run that was done within DONE_WITHIN.
    failures: Mapping[tuple[str, str], Failures] = field(default_factory=dict)
    done: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    #: (flow, subject) of every run that has not ended -> its state.
    open: Mapping[tuple[str, str], str] = field(default_factory=dict)


class Work(NamedTuple):
    """One piece of work, `wanted` from a moment on: the one that is past, or the next."""

    action: ActionName
    flow: str
    subject: str
    arguments: Mapping[str, str]
    wanted: datetime
    interval: timedelta
    deadline: datetime
    #: The last try since it is wanted that ended well and did not give what is wanted.
    tried: datetime | None = None


NOTHING = AtCentre()


def copy_centres(ref: SystemRef) -> list[CentreName]:
    """Return the centres that keep a system's recovery points, the nearest first."""
    return [centre for centre in COPY_CENTRES if centre in ref.copies]


def plan_centres(site: Site, plan: Plan) -> list[CentreName]:
    """Return the centres where all systems of a plan keep copies, the nearest first: where it can be recovered."""
    return [centre for centre in COPY_CENTRES if all(centre in ref.copies for ref in plan_systems(site, plan))]


def plan_systems(site: Site, plan: Plan) -> Iterator[SystemRef]:
    """Yield the systems of a plan in its order."""
    for name in plan.systems:
        tenant, _, system = name.partition("/")
        if ref := site.system(tenant, system):
            yield ref


@lru_cache(maxsize=1 << 18)
def phase(key: str) -> int:
    """Return where in its interval a turn lies, 0 to 2**64: as even as SHA-256, and always the same."""
    return int.from_bytes(sha256(key.encode()).digest()[:8])


def share(key: str) -> float:
    """Return the same as a share of the whole, 0 to 1."""
    return phase(key) / _WHOLE


def next_turn(key: str, interval: timedelta, after: datetime) -> datetime:
    """Return the first turn later than `after`; it is no later than an interval after it."""
    length = interval // _MICROSECOND
    offset = (phase(key) * length) >> 64
    behind = ((after - _EPOCH) // _MICROSECOND - offset) % length
    return after + (length - behind) * _MICROSECOND


def work_of(
    ref: SystemRef, facts: Facts, now: datetime, plans: Mapping[CentreName, tuple[Plan, ...]]
) -> Iterator[Work]:
    """Yield all work of a system, each (flow, subject) once; nothing is to be checked where no point is.

    `plans` are those that can recover it, by centre.
    """
    tenant, name = key = ref.tenant.tenant, ref.name
    known, near = facts.known_since.get(key, now), NOTHING
    for number, centre in enumerate(centres := copy_centres(ref)):
        here = facts.at.get((tenant, name, centre), NOTHING)
        if number == 0:
            near = here
            yield _backup(ref, centre, here, facts, known)
        elif near.data_time and (here.data_time is None or here.data_time < near.data_time):
            subject = f"{ref} {centres[0]}>{centre}"
            wanted = here.lacking_since or near.data_time
            tried = facts.done.get(("replicate", subject))
            yield _replicate(ref, subject, wanted, (here.data_time or known) + ref.copies[centre].rpo, tried)
        if here.data_time:
            yield from _upkeep(ref, centre, here, known)
            if plans.get(centre):
                yield _restore_test(ref, centre, here, known, plans[centre])


def drift_of(site: Site, centre: CentreName, facts: Facts, now: datetime) -> Work:
    """Return the look for drift at a cloud."""
    interval, last = site.tenant_drift_every, facts.drift_at.get(centre)
    # Nothing tells since when a cloud is known: one that was never looked at has had its turn.
    wanted = next_turn(f"{centre}/tenant-drift", interval, last or now - interval)
    return Work("tenant-drift", "tenant-drift", centre, {"centre": centre}, wanted, interval, wanted + interval)


def plan_check_of(site: Site, plan: Plan, centre: CentreName, facts: Facts, now: datetime) -> Work:
    """Return the look at whether a plan is ready at a centre."""
    interval, last = site.plan_check_every, facts.plan_checked.get((plan.plan, centre))
    subject = f"{plan.plan}@{centre}"
    last = last or max((facts.known_since.get(_key(each), now) for each in plan.systems), default=now)
    wanted = next_turn(f"{subject}/plan-check", interval, last)
    arguments = {"plan": plan.plan, "centre": centre}
    return Work("plan-check", "plan-check", subject, arguments, wanted, interval, last + interval)


def _key(system: str) -> tuple[str, str]:
    tenant, _, name = system.partition("/")
    return tenant, name


def _backup(ref: SystemRef, centre: CentreName, here: AtCentre, facts: Facts, known: datetime) -> Work:
    every, system = ref.tier.backup_every, str(ref)
    newest, done = here.data_time or known, facts.done.get(("backup", system))
    if here.data_time is None and done is None:
        wanted = known + min(every, FIRST_BACKUP_WITHIN) * share(f"{system}/backup")
    else:
        # A host whose clock is behind gives its points a data time before their turn.
        wanted = next_turn(f"{system}/backup", every, max(newest, done or newest))
    return Work("backup", "backup", system, {"system": system}, wanted, every, newest + ref.copies[centre].rpo)


def _replicate(ref: SystemRef, subject: str, wanted: datetime, deadline: datetime, tried: datetime | None) -> Work:
    system, within = str(ref), ref.tier.schedule.replicate_within
    source, _, target = subject.removeprefix(f"{system} ").partition(">")
    arguments = {"system": system, "source": source, "target": target}
    wanted += within * share(f"{system}/replicate")
    return Work("replicate", "replicate", subject, arguments, wanted, ref.tier.backup_every, deadline, tried)


def _upkeep(ref: SystemRef, centre: CentreName, here: AtCentre, known: datetime) -> Iterator[Work]:
    rule, system = ref.tier.schedule, str(ref)
    at = f"{system}@{centre}"
    where = {"system": system, "centre": centre}
    reading = min(READ_EVERY, rule.read_all_within / READS_AT_LEAST)
    parts: tuple[tuple[ActionName, str, str, dict[str, str], timedelta, datetime | None], ...] = (
        ("check", "verify", f"{at} structure", {"depth": "structure"}, rule.check_every, here.checked_at),
        ("read", "verify", f"{at} data", {"depth": "data"}, reading, here.read_at),
        ("retention", "retention", at, {}, rule.retention_every, here.retained_at),
    )
    for action, flow, subject, more, interval, done in parts:
        last = done or known
        wanted = next_turn(f"{at}/{action}", interval, last)
        yield Work(action, flow, subject, where | more, wanted, interval, last + interval)


def _restore_test(ref: SystemRef, centre: CentreName, here: AtCentre, known: datetime, plans: tuple[Plan, ...]) -> Work:
    """A restore test is a drill, and any drill that recovered the system counts as one. Plans take turns.

    So do the points: the newest, which is what would be used, and one at random, for old ones must be good as well.
    """
    rule, last = ref.tier.schedule, here.recovered_at or known
    interval, within = rule.restore_test_every, rule.restore_test_within
    wanted = next_turn(f"{ref}@{centre}/restore-test", interval, last)
    turn, place = divmod((wanted - _EPOCH) // interval, len(plans))
    plan = plans[place].plan
    arguments = {"plan": plan, "centre": centre}
    if within and turn % 2:
        arguments["point"] = f"random:{within // timedelta(seconds=1)}s"
    subject = f"{plan}@{centre}"
    return Work("restore-test", "drill", subject, arguments, wanted, interval, last + interval, here.drilled_at)
