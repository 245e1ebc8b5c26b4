"""What work a site asks for, and from when each piece is wanted: derived from the tiers and from the facts.

Whether it may start then is `policies.schedule`'s to say. No clock: every moment is handed in.

**Turns.** Work that comes back has turns: one each interval, at a phase that follows from the SHA-256 of the system's
name and the action, so that thousands of systems spread evenly over the interval, the same after every restart. Work
is wanted from its first turn after it was last done. However many turns went by, it is wanted once.

**Copies.** A copy goes from the nearest centre to each farther one, when that lacks the newest. It goes back as well,
when backups went past a nearest centre that was away: a farther one then has what the nearest lacks and still keeps.

**Deadlines.** The moment at which an objective would be missed: for backup and replicate the data time of the newest
point there and that centre's RPO; for the rest the last time and the interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from policies.archive import ArchiveRule
from policies.locks import extend_every
from policies.plan import Plan
from policies.site import ActionName, Site, SystemRef
from policies.tenant import archives_of
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
    locked_at: datetime | None = None
    #: Ends of the last drill, and of the last that did recover the system.
    drilled_at: datetime | None = None
    recovered_at: datetime | None = None
    #: By kind, the end of the last that a person held and that did recover the system.
    held: Mapping[str, datetime] = field(default_factory=dict)
    #: Since when something there is known to be corrupt or missing.
    damaged_since: datetime | None = None
    #: The newest data here that was written past the nearest centre and has not come to it.
    owed: datetime | None = None


class Archived(NamedTuple):
    """What is known of an archived source at one centre: its last full and its last base backup, and the last look."""

    full_at: datetime | None = None
    backup_at: datetime | None = None
    observed_at: datetime | None = None


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
    #: (tenant, system) -> the last comparison with the live sources.
    spotted: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    #: (tenant, system, source, centre) -> what is known of the archive there.
    archived: Mapping[tuple[str, str, str, str], Archived] = field(default_factory=dict)
    #: Centre -> the newest rescue bundle in its vault; and when the configuration last changed.
    escrow: Mapping[str, datetime] = field(default_factory=dict)
    configured_at: datetime | None = None
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
            newest = max((each.data_time for each in _everywhere(ref, facts) if each.data_time), default=None)
            yield _backup(ref, centre, newest, here, facts, known)
        elif near.data_time and (here.data_time is None or here.data_time < near.data_time):
            wanted = here.lacking_since or near.data_time
            yield _replicate(ref, centres[0], centre, wanted, here, facts, known)
        if number and (lacked := _lacked(ref, centres[0], near, here, now)):
            yield _replicate(ref, centre, centres[0], lacked, near, facts, known)
        if number == 0 and here.data_time:
            yield _spot_check(ref, facts.spotted.get(key) or known)
        if here.damaged_since and len(centres) > 1:
            yield _heal(ref, centre, here.damaged_since)
        if here.data_time:
            yield from _upkeep(ref, centre, here, known)
            if plans.get(centre):
                yield _restore_test(ref, centre, here, known, plans[centre])
    yield from _archiving(ref, facts, known)


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


def bundle_of(site: Site, centre: CentreName, facts: Facts) -> Work | None:
    """Return the next rescue bundle for a vault; none before the first was made anywhere, as there is no key yet."""
    if site.escrow is None or not facts.escrow:
        return None
    interval, last = site.escrow.bundle_every, facts.escrow.get(centre)
    since = last or min(facts.escrow.values())
    changed = last is None or (facts.configured_at is not None and facts.configured_at > last)
    wanted = since if changed else next_turn(f"{centre}/escrow-bundle", interval, since)
    arguments = {"centre": centre}
    return Work("escrow-bundle", "escrow-bundle", centre, arguments, wanted, interval, since + interval)


def _key(system: str) -> tuple[str, str]:
    tenant, _, name = system.partition("/")
    return tenant, name


def _everywhere(ref: SystemRef, facts: Facts) -> Iterator[AtCentre]:
    for centre in copy_centres(ref):
        yield facts.at.get((ref.tenant.tenant, ref.name, centre), NOTHING)


def _backup(
    ref: SystemRef, centre: CentreName, newest: datetime | None, here: AtCentre, facts: Facts, known: datetime
) -> Work:
    """`newest` is the newest data anywhere: a backup that went past a centre that was away was made all the same."""
    every, system = ref.tier.backup_every, str(ref)
    last, done = newest or known, facts.done.get(("backup", system))
    if newest is None and done is None:
        wanted = known + min(every, FIRST_BACKUP_WITHIN) * share(f"{system}/backup")
    else:
        # A host whose clock is behind gives its points a data time before their turn.
        wanted = next_turn(f"{system}/backup", every, max(last, done or last))
    deadline = (here.data_time or known) + ref.copies[centre].rpo
    return Work("backup", "backup", system, {"system": system}, wanted, every, deadline)


def _lacked(ref: SystemRef, nearest: CentreName, near: AtCentre, far: AtCentre, now: datetime) -> datetime | None:
    """Return the newest data that the nearest centre lacks, a farther one has, and the nearest would still keep."""
    newer = far.data_time if far.data_time and (near.data_time is None or near.data_time < far.data_time) else None
    newest = max((each for each in (newer, far.owed) if each), default=None)
    return newest if newest and newest > now - ref.copies[nearest].retention.keep_within else None


def _replicate(
    ref: SystemRef, source: CentreName, target: CentreName, wanted: datetime, there: AtCentre, facts: Facts,
    known: datetime,
) -> Work:  # fmt: skip
    """`there` is what is known of the target."""
    system, within = str(ref), ref.tier.schedule.replicate_within
    subject = f"{system} {source}>{target}"
    arguments = {"system": system, "source": source, "target": target}
    wanted += within * share(f"{system}/replicate")
    deadline, tried = (there.data_time or known) + ref.copies[target].rpo, facts.done.get(("replicate", subject))
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
    if lock := ref.copies[centre].retention.lock:
        parts += (("lock", "lock", at, {}, extend_every(lock), here.locked_at),)
    for action, flow, subject, more, interval, done in parts:
        last = done or known
        wanted = next_turn(f"{at}/{action}", interval, last)
        yield Work(action, flow, subject, where | more, wanted, interval, last + interval)


def _archiving(ref: SystemRef, facts: Facts, known: datetime) -> Iterator[Work]:
    """Yield the base backups of archived sources, and one look at all archives of the system."""
    system, looks = str(ref), []
    for source, rule in archives_of(ref.system):
        key = ref.tenant.tenant, ref.name, source
        there = [facts.archived.get((*key, str(centre)), Archived()) for centre in copy_centres(ref)]
        looks += [(rule.observe_every, each.observed_at or known) for each in there]
        yield _base_backup(f"{system} {source}", {"system": system, "source": source}, rule, there, known)
    if looks:
        every, last = min(every for every, _ in looks), min(last for _, last in looks)
        wanted = next_turn(f"{system}/archive-observe", every, last)
        yield Work("archive-observe", "archive-observe", system, {"system": system}, wanted, every, last + every)


def _base_backup(
    subject: str, arguments: dict[str, str], rule: ArchiveRule, there: Sequence[Archived], known: datetime
) -> Work:
    """One run for all centres: a database is read for one base backup at a time. `since` says which are done."""
    fulls = [each.full_at for each in there if each.full_at]
    if len(fulls) < len(there):  # a centre without one can give nothing back
        wanted = known + min(rule.incremental_every, FIRST_BACKUP_WITHIN) * share(f"{subject}/archive")
        every = rule.incremental_every
    else:
        last = min(max(each.full_at or known, each.backup_at or known) for each in there)
        full = next_turn(f"{subject}/archive-full", rule.full_every, min(fulls))
        part = next_turn(f"{subject}/archive-part", rule.incremental_every, last)
        wanted, every = (full, rule.full_every) if full <= part else (part, rule.incremental_every)
        if full <= part:
            arguments = {**arguments, "full": "yes"}
    arguments = {**arguments, "since": wanted.isoformat()}
    return Work("archive-backup", "archive-backup", subject, arguments, wanted, every, wanted + every)


def _spot_check(ref: SystemRef, last: datetime) -> Work:
    every, system = ref.tier.schedule.spot_check_every, str(ref)
    wanted = next_turn(f"{system}/spot-check", every, last)
    return Work("spot-check", "spot-check", system, {"system": system}, wanted, every, last + every)


def _heal(ref: SystemRef, centre: CentreName, since: datetime) -> Work:
    """Healing only adds what is proved, so nobody is asked. It is tried until nothing is wrong there."""
    arguments, every = {"system": str(ref), "centre": centre}, ref.tier.schedule.check_every
    return Work("heal", "heal", f"{ref}@{centre}", arguments, since, every, since + every)


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
