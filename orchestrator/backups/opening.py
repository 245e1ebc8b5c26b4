"""What opens a repository at a centre: its `config`, which is named by no hash, and its keys.

`config` is the same at all centres of a system, and is never written again. So it is known by the hash that it had
when the repository last opened with its password; and before that is known, by being the same at another centre.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from orchestrator.backups.access import Access
from orchestrator.backups.looked import OTHER_CONFIG
from orchestrator.catalogue import verifications as memory
from orchestrator.catalogue.verifications import Fault, Kind
from orchestrator.errors import TricenterError
from orchestrator.vault.s3 import Bucket, NoSuchObject
from orchestrator.vault.scrub import State, examine
from orchestrator.vault.wire import sha256_of
from policies.site import SystemRef
from policies.work import copy_centres

NO_KEY = "the repository has no key there, and does not open without one"


def remember_config(access: Access, ref: SystemRef, centre: str) -> None:
    """Remember the `config` at a centre, where the repository has just opened. May be repeated."""
    tenant, sha256 = ref.tenant.tenant, sha256_of(access.bucket(centre, ref.tenant.tenant).get(config_key(ref)))
    if sha256 != memory.config_hash(access.catalogue, tenant, ref.name):
        memory.record_config(access.catalogue, tenant, ref.name, sha256, datetime.now(UTC))


def opening_faults(access: Access, ref: SystemRef, centre: str, *, try_it: bool = False) -> tuple[Fault, ...]:
    """Return what is wrong with what opens the repository at a centre. Needs no password, unless it may `try_it`.

    The content of keys is not looked at: they are named by their hash, as everything else.
    """
    return (*_config_faults(access, ref, centre, try_it=try_it), *_no_key(access, ref, centre))


def examine_at(access: Access, ref: SystemRef, centre: str, key: str) -> State:
    """Read one object and return how it is; of `config` that is what is known of its hash."""
    known = memory.config_hash(access.catalogue, ref.tenant.tenant, ref.name) if key == config_key(ref) else None
    return examine(access.bucket(centre, ref.tenant.tenant), key, known)


def config_key(ref: SystemRef) -> str:
    return f"{ref.name}/config"


def others(access: Access, ref: SystemRef, centre: str) -> Iterator[Bucket]:
    """Yield the buckets of the other centres that keep copies, the nearest first."""
    return (access.bucket(each, ref.tenant.tenant) for each in copy_centres(ref) if each != centre)


def _config_faults(access: Access, ref: SystemRef, centre: str, *, try_it: bool) -> Iterator[Fault]:
    here, key = _config_at(access.bucket(centre, ref.tenant.tenant), ref), config_key(ref)
    if here is None:
        yield Fault(key, Kind.MISSING, "without it the repository does not open")
        return
    known = memory.config_hash(access.catalogue, ref.tenant.tenant, ref.name)
    if here == known:
        return
    other = None if known else _another(access, ref, centre, here)
    # A repository that was made anew opens with another one than is known.
    if (known or other) and not (try_it and _opens(access, ref, centre)):
        detail = (
            OTHER_CONFIG
            if known
            else f"it differs from that of {other}, and which of the two opens the repository is not known yet"
        )
        yield Fault(key, Kind.CORRUPT if known else Kind.DAMAGED, detail)


def _config_at(bucket: Bucket, ref: SystemRef) -> str | None:
    try:
        return sha256_of(bucket.get(config_key(ref)))
    except NoSuchObject:
        return None


def _another(access: Access, ref: SystemRef, centre: str, here: str) -> str | None:
    """Return a centre whose `config` is another one, unless there is one with the same."""
    differs = None
    for bucket in others(access, ref, centre):
        try:
            there = _config_at(bucket, ref)
        except TricenterError:  # one that cannot be asked says nothing of this one
            continue
        if there == here:
            return None
        differs = bucket.centre if there else differs
    return differs


def _opens(access: Access, ref: SystemRef, centre: str) -> bool:
    """Return whether restic opens the repository with its password; if so, its `config` is remembered."""
    try:
        access.repository(centre, ref).exists()
    except TricenterError:
        return False
    remember_config(access, ref, centre)
    return True


def _no_key(access: Access, ref: SystemRef, centre: str) -> Iterator[Fault]:
    start = f"{ref.name}/keys/"
    if next(access.bucket(centre, ref.tenant.tenant).list(start), None) is not None:
        return
    known: set[str] = set()
    for bucket in others(access, ref, centre):
        try:
            known.update(each.key for each in bucket.list(start))
        except TricenterError:
            continue
    for key in sorted(known) or [start]:
        yield Fault(key, Kind.MISSING, NO_KEY)
