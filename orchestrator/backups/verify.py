"""The verification flow: is what a centre holds still what was stored there?

`structure` asks restic whether everything refers to something that is there, hashes the objects that refer, and reads
the documents of recovery points. `data` reads packs and all other objects, some each time and all within a promised
time, and compares each with its name; it needs no password. Neither changes anything in the vault.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from orchestrator.backups.access import Access, repository_lease
from orchestrator.backups.looked import Looked, as_faults, place_of
from orchestrator.backups.opening import config_key, examine_at, opening_faults
from orchestrator.backups.structure import REFERRERS, choose_documents, find_lost_points, verify_structure
from orchestrator.catalogue import leases
from orchestrator.catalogue import verifications as memory
from orchestrator.catalogue.verifications import Fault, Kind
from orchestrator.engine.port import Run
from orchestrator.errors import CheckFailed, CorruptObject, InvalidInput, TricenterError
from orchestrator.vault.scrub import scrub, slice_starts, take_census
from policies.site import SystemRef
from policies.verification import Slice, choose_slices, digits_for, regroup
from policies.work import copy_centres

Depth = Literal["structure", "data"]
DEPTHS: tuple[Depth, ...] = ("structure", "data")

NAMED_FAULTS = 5


@dataclass(frozen=True, slots=True)
class SystemVerified:
    """How a verification ended that found nothing wrong. Of `total_bytes` it read `looked.size_bytes`.

    `unread_since` is the moment since which no byte there has gone unread for longer; None when there is nothing.
    """

    system: str
    centre: str
    depth: str
    looked: Looked
    total_bytes: int
    unread_since: datetime | None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a verification would read: bytes, of how many there are, and documents of recovery points."""

    size_bytes: int
    total_bytes: int
    documents: int


@dataclass(frozen=True, slots=True)
class _ReadingPlan:
    """Which slices are read now, and how much that is of how much."""

    prefixes: tuple[str, ...]
    size_bytes: int
    total_bytes: int


def verify_system(
    run: Run, access: Access, ref: SystemRef, centre: str, depth: Depth, *, everything: bool = False
) -> SystemVerified:
    """Verify what `centre` holds of a system. May be repeated; what was read is remembered, also by a killed run.

    With `everything` a data read leaves out nothing. Every fault is recorded before CorruptObject or CheckFailed is
    raised; it stays known, and is raised again, until a later verification finds it healed. Raises Busy while the
    repository is being rewritten, and InvalidInput when there is none.
    """
    with leases.hold(access.catalogue, repository_lease(centre, ref), run.id, exclusive=False):
        began = run.step("begin", _begin, access, ref, centre)
        if depth == "structure":
            looked = verify_structure(run, access, ref, centre)
            total = looked.size_bytes
        else:
            looked, total = _verify_data(run, access, ref, centre, everything=everything)
        return run.step("conclude", _conclude, access, ref, centre, depth, began, looked, total, run.id)


def foresee(access: Access, ref: SystemRef, centre: str, depth: Depth, *, everything: bool = False) -> Foreseen:
    """Return what `verify_system` would read now. Changes nothing but what the catalogue knows of the listing."""
    _begin(access, ref, centre)
    plan = _plan_reading(access, ref, centre, everything=everything)
    if depth == "data":
        return Foreseen(plan.size_bytes, plan.total_bytes, 0)
    listed = [
        each for part in REFERRERS for each in access.bucket(centre, ref.tenant.tenant).list(f"{ref.name}/{part}")
    ]
    documents = len(choose_documents(access, ref, centre))
    return Foreseen(sum(each.size_bytes for each in listed), plan.total_bytes, documents)


def _begin(access: Access, ref: SystemRef, centre: str) -> datetime:
    if next(access.bucket(centre, ref.tenant.tenant).list(f"{ref.name}/"), None) is None:
        raise InvalidInput(
            f"there is no repository of {ref} at {centre}",
            hint=f"tricenter backup run {ref}"
            + ("" if copy_centres(ref)[0] == centre else f", then tricenter replicate {ref} --to {centre}"),
        )
    return datetime.now(UTC)


# --- data


def _verify_data(run: Run, access: Access, ref: SystemRef, centre: str, *, everything: bool) -> tuple[Looked, int]:
    plan = run.step("plan", _plan_reading, access, ref, centre, everything=everything)
    looked = run.step("look-again", _look_again, access, ref, centre)
    done = 0
    for prefix in plan.prefixes:
        read = run.step(f"read:{prefix}", _read_slice, run, access, ref, centre, prefix, done, plan.size_bytes)
        done += read.size_bytes
        looked += read
    return looked, plan.total_bytes


def _plan_reading(access: Access, ref: SystemRef, centre: str, *, everything: bool) -> _ReadingPlan:
    place, now = place_of(ref, centre), datetime.now(UTC)
    finest = take_census(access.bucket(centre, ref.tenant.tenant), ref.name, 2)
    total = sum(each.size_bytes for each in finest)
    digits = digits_for(total)
    read_at = regroup(memory.read_times(access.catalogue, place), digits)
    slices = tuple(replace(each, read_at=read_at.get(each.prefix)) for each in _coarsened(finest, digits))
    memory.keep_slices(access.catalogue, place, slices)
    last = memory.last_verification(access.catalogue, place, "data")
    within, last_run = ref.tier.schedule.read_all_within, last.began_at if last else None
    chosen = slices if everything else choose_slices(slices, now, within, last_run)
    return _ReadingPlan(tuple(each.prefix for each in chosen), sum(each.size_bytes for each in chosen), total)


def _coarsened(slices: Iterable[Slice], digits: int) -> tuple[Slice, ...]:
    """Return the slices put together to so many digits, as if none was read."""
    wider: dict[str, Slice] = {}
    for each in slices:
        name = each.prefix[:digits]
        was = wider.get(name) or Slice(name, 0, 0, each.oldest, None)
        oldest = min(was.oldest, each.oldest)
        wider[name] = Slice(name, was.objects + each.objects, was.size_bytes + each.size_bytes, oldest, None)
    return tuple(wider[name] for name in sorted(wider))


def _read_slice(run: Run, access: Access, ref: SystemRef, centre: str, prefix: str, done: int, total: int) -> Looked:
    """Read all objects of a slice and remember that. Killed, it is read again from its start."""
    place = place_of(ref, centre)
    read = scrub(
        access.bucket(centre, ref.tenant.tenant),
        ref.name,
        slice_starts(prefix),
        on_read=lambda size: run.progress(f"{centre} {prefix}…", done + size, total),
    )
    faults = as_faults(read.corrupt, read.missing)
    # The faults first: a slice that counts as read has its faults on record.
    memory.record_faults(access.catalogue, place, faults, read.began_at, by=run.id)
    oldest = read.oldest or read.began_at
    memory.mark_read(access.catalogue, place, Slice(prefix, read.objects, read.size_bytes, oldest, read.began_at))
    return Looked(read.objects, read.size_bytes, faults)


def _look_again(access: Access, ref: SystemRef, centre: str) -> Looked:
    """Look at what is named by no hash, and read again what is known to be wrong: it may have been healed.

    That is `config`, the snapshots of points, and whether there is any key. Whether another object that is gone was
    needed is what the check of the structure finds out.
    """
    known = memory.open_faults(access.catalogue, place_of(ref, centre))
    faults = (*find_lost_points(access, ref, centre).faults, *opening_faults(access, ref, centre))
    wrong = {each.key for each in faults}
    healed = [
        each.key
        for each in known
        if each.key not in wrong
        and (each.kind is not Kind.DAMAGED or each.key == config_key(ref))
        and examine_at(access, ref, centre, each.key) == "good"
    ]
    return Looked(len(known), 0, faults, tuple(healed))


# --- what came of it


def _conclude(
    access: Access, ref: SystemRef, centre: str, depth: str, began: datetime, looked: Looked, total: int, run_id: str
) -> SystemVerified:
    """Record what was found, and raise when anything there is known to be wrong."""
    place, now, catalogue = place_of(ref, centre), datetime.now(UTC), access.catalogue
    memory.heal(catalogue, place, looked.healed, now, by=run_id)
    memory.record_faults(catalogue, place, looked.faults, now, by=run_id)
    memory.record_verification(catalogue, memory.Verified(place, depth, began, now), looked.size_bytes)
    if faults := memory.open_faults(catalogue, place):
        raise _found_wrong(access, ref, centre, faults)
    unread = memory.read_upkeep(catalogue).unread_since.get(place)
    return SystemVerified(str(ref), centre, depth, looked, total, unread)


def _found_wrong(access: Access, ref: SystemRef, centre: str, faults: Sequence[Fault]) -> CheckFailed:
    shown = "; ".join(f"{each.key} ({each.kind})" for each in faults[:NAMED_FAULTS])
    more = f" and {len(faults) - NAMED_FAULTS} more" if len(faults) > NAMED_FAULTS else ""
    kind = CorruptObject if any(each.kind is Kind.CORRUPT for each in faults) else CheckFailed
    bucket = access.bucket(centre, ref.tenant.tenant)
    return kind(f"{bucket}: of {ref} is wrong: {shown}{more}", hint=_advice(access, ref, centre, faults))


def _advice(access: Access, ref: SystemRef, centre: str, faults: Sequence[Fault]) -> str:
    """Return what a person can do now: where good copies are, and how they come back."""
    keys = [each.key for each in faults if not each.key.endswith("/")][:NAMED_FAULTS]
    good = next((other for other in copy_centres(ref) if other != centre and _has_good(access, ref, other, keys)), None)
    if not keys or good is None:
        return (
            f"no other centre is known to hold a good copy; do not prune at {centre}, "
            f"and make a new recovery point: tricenter backup run {ref}"
        )
    return f"{good} holds good copies: tricenter backup heal {ref} --centre {centre}"


def _has_good(access: Access, ref: SystemRef, centre: str, keys: Sequence[str]) -> bool:
    try:
        return any(examine_at(access, ref, centre, key) == "good" for key in keys)
    except TricenterError:  # one that cannot be asked is no help now
        return False
