"""The lock flow: everything in use at a centre stays locked, and until when is measured object by object.

What a recovery point needs is taken to be every live object of its repository, which is never less than the truth.
The floor of a point is the earliest end of a lock among these, as the store told it after the lengthening.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from orchestrator.backups.access import Access, repository_lease
from orchestrator.backups.landings import observe_landings
from orchestrator.backups.looked import place_of
from orchestrator.catalogue import leases
from orchestrator.catalogue.locks import Locks, record_locks
from orchestrator.catalogue.records import PointAt
from orchestrator.engine.port import Run
from orchestrator.errors import CheckFailed, InvalidInput
from orchestrator.vault.locks import Lock, OnLooked
from policies.archive import archive_prefix
from policies.locks import is_short, lengthened, promised
from policies.site import SystemRef
from policies.tenant import archives_of
from policies.values import format_duration

NAMED_KEYS = 5


@dataclass(frozen=True, slots=True)
class SystemLocked:
    """What a look at the locks of a system at a centre came to, and the keys that were overwritten."""

    locks: Locks
    overwritten: tuple[str, ...]


def lock_system(run: Run, access: Access, ref: SystemRef, centre: str) -> SystemLocked:
    """Lock what is in use at `centre` for as long as the tier says, and remember until when it is. May be repeated.

    Raises CheckFailed, after it was remembered, when anything there is locked for less than promised or was
    overwritten; Busy while the repository is being rewritten; InvalidInput where the tier asks for no lock.
    """
    lock_of(ref, centre)
    with leases.hold(access.catalogue, repository_lease(centre, ref), run.id, exclusive=False):

        def report(looked: int) -> None:
            run.progress(centre, looked, 0)

        found = run.step("extend", _extend, access, ref, centre, report)
    check_locked(ref, centre, found, datetime.now(UTC))
    return found


def foresee_locks(access: Access, ref: SystemRef, centre: str) -> SystemLocked:
    """Return what `lock_system` would do now, by asking the store for every object. Changes nothing in the vault."""
    return _look(access, ref, centre, dry_run=True)[0]


def _look(
    access: Access, ref: SystemRef, centre: str, *, dry_run: bool, on_looked: OnLooked | None = None
) -> tuple[SystemLocked, dict[str, datetime | None]]:
    """Return the locks of all that is in use, lengthened unless it is a `dry_run`, and the floor of each point.

    Archives of the system count as well: what pgBackRest has not let go is within their retention. No point needs them.
    """
    tenant, lock, now = ref.tenant.tenant, lock_of(ref, centre), datetime.now(UTC)
    landed = observe_landings(access.catalogue, access.bucket(centre, tenant), ref, centre)
    keeper, seen, archived = access.lock_keeper(centre, tenant), _Seen(f"{ref.name}/snapshots/"), _Seen(None)

    def judge(until: datetime | None) -> datetime | None:
        return lengthened(until, now, lock)

    for each in keeper.keep(ref.name, judge, dry_run=dry_run, on_looked=on_looked):
        seen.add(each)
    for source, _ in archives_of(ref.system):
        before = seen.objects + archived.objects
        told = partial(_further, on_looked, before) if on_looked else None
        prefix = archive_prefix(ref.name, source)
        for each in keeper.keep(prefix, judge, dry_run=dry_run, archive=True, on_looked=told):
            archived.add(each)
    locks = Locks(
        place=place_of(ref, centre),
        ran_at=now,
        floor=_floor_of(seen, archived),
        objects=seen.objects + archived.objects,
        extended=seen.extended + archived.extended,
        unlocked=seen.unlocked + archived.unlocked,
        overwritten=len(seen.overwritten),
    )
    return SystemLocked(locks, tuple(seen.overwritten)), dict(seen.floors(landed))


def _further(on_looked: OnLooked, before: int, looked: int) -> None:
    on_looked(before + looked)


def _floor_of(*all_seen: _Seen) -> datetime | None:
    """Return the earliest end of a lock; None when anything is not locked, or there is nothing."""
    if any(each.unlocked for each in all_seen):
        return None
    return min((floor for each in all_seen if (floor := each.floor)), default=None)


def lock_of(ref: SystemRef, centre: str) -> timedelta:
    """Return the tier's lock at a centre. Raises InvalidInput when it has none there."""
    copies = {str(name): copy for name, copy in ref.copies.items()}
    if centre not in copies or not copies[centre].retention.lock:
        raise InvalidInput(
            f"the tier of {ref} asks for no lock at {centre}", hint=f"set lock in the tier {ref.tier.tier}"
        )
    return copies[centre].retention.lock


def check_locked(ref: SystemRef, centre: str, found: SystemLocked, now: datetime) -> None:
    """Raise CheckFailed when what was found breaks the tier's promise."""
    locks, lock = found.locks, lock_of(ref, centre)
    where = f"{ref} at {centre}"
    if found.overwritten:
        shown = ", ".join(found.overwritten[:NAMED_KEYS])
        more = f" and {len(found.overwritten) - NAMED_KEYS} more" if len(found.overwritten) > NAMED_KEYS else ""
        raise CheckFailed(
            f"objects of {where} were overwritten with another content: {shown}{more}",
            hint="nothing here does that: change the vault's keys, then tricenter vault undelete; "
            "the first versions are still there, and locked",
        )
    if locks.objects and is_short(locks.floor, now, lock):
        least = format_duration(promised(lock).total_seconds())
        until = f"until {locks.floor:%Y-%m-%d %H:%M} UTC" if locks.floor else f"but for {locks.unlocked} objects"
        raise CheckFailed(
            f"{where} is locked {until}, and the tier promises {least} at any moment",
            hint=f"tricenter vault probe --centre {centre} says what this vault and its keys can do",
        )


@dataclass(slots=True)
class _Seen:
    """Adds up locks as they are told. What has `snapshots` has them below that prefix."""

    snapshots: str | None
    objects: int = 0
    extended: int = 0
    unlocked: int = 0
    shared: datetime | None = None
    own: dict[str, datetime | None] = field(default_factory=dict)
    overwritten: list[str] = field(default_factory=list)

    def add(self, lock: Lock) -> None:
        if lock.gone:
            return
        self.objects += 1
        self.extended += lock.until != lock.was
        self.unlocked += lock.until is None
        if lock.held.overwritten:
            self.overwritten.append(lock.held.key)
        if self.snapshots and lock.held.key.startswith(self.snapshots):
            name = lock.held.key.removeprefix(self.snapshots)
            self.own[name] = _earlier(self.own.get(name, lock.until), lock.until)
        elif lock.until is not None:
            self.shared = min(self.shared or lock.until, lock.until)

    @property
    def floor(self) -> datetime | None:
        known = [each for each in (self.shared, *self.own.values()) if each is not None]
        return None if self.unlocked else min(known, default=None)

    def floors(self, landed: Sequence[PointAt]) -> Iterator[tuple[str, datetime | None]]:
        """Yield the floor of each point: that of its own snapshots and of all that points share."""
        own_unlocked = sum(each is None for each in self.own.values())
        shared = None if self.unlocked > own_unlocked else self.shared
        for each in landed:
            mine = [self.own[name] for name in each.point.snapshot_ids if name in self.own]
            if len(mine) == len(each.point.snapshot_ids):  # others landed after the look began
                floor = shared
                for until in mine:
                    floor = _earlier(floor, until)
                yield each.point.id, floor


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the earlier end of two locks; None, which is no lock, is the earliest."""
    return None if one is None or other is None else min(one, other)


def _extend(access: Access, ref: SystemRef, centre: str, report: OnLooked) -> SystemLocked:
    found, points = _look(access, ref, centre, dry_run=False, on_looked=report)
    record_locks(access.catalogue, found.locks, points)
    return found
