"""Replication of a restic repository between two centres: byte for byte, every byte hashed on its way.

Each object but `config` is named by the SHA-256 of its content. An object streams from the source to the target
through a small buffer while it is hashed, and its last piece is held back until the hash matches the name; a body
that ends early is never stored. So corruption does not travel, nothing is read or hashed twice, no scratch file is
needed, and no password. The hash is signed and sent as checksum too, so that the target checks what arrived.

Objects are immutable and writes are atomic: a run killed at any moment is finished by the next one.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.errors import CorruptObject, InvalidInput, PartlyDone, Refused
from orchestrator.vault.parallel import parallel
from orchestrator.vault.plan import LISTING_ORDER, CopyPlan, Part, Phase, plan_copy
from orchestrator.vault.s3 import Bucket, Entry, NoSuchObject
from orchestrator.vault.wire import patiently, sha256_of

__all__ = ["CopyPlan", "CorruptSource", "IncompleteSource", "Replicated", "copy_object", "plan_copy", "replicate"]

CHUNK_BYTES = 1 << 20
NAMED_OBJECTS = 5

#: Called with bytes done and bytes to do, by the thread that called `replicate`.
OnProgress = Callable[[int, int], None]
Outcome = Literal["copied", "corrupt", "missing"]


@dataclass(frozen=True)
class Replicated:
    """What a replication did. `snapshots` were published by it; `joined` tells that the target was new."""

    copied: int
    copied_bytes: int
    present: int
    hashed_bytes: int
    snapshots: int
    seconds: float
    corrupt: tuple[str, ...]
    missing: tuple[str, ...]
    joined: bool


class CorruptSource(CorruptObject):
    """Objects at the source do not match their names, or `config` its hash. `replicated` is what was copied besides."""

    def __init__(self, source: str, target: str, replicated: Replicated) -> None:
        self.replicated = replicated
        super().__init__(
            f"{source} holds {_counted(replicated.corrupt)} whose content is not what its name says; "
            f"{target} was given neither these nor any snapshot",
            hint="heal the source from a centre that holds a good copy (tricenter backup heal), then replicate again",
        )


class IncompleteSource(PartlyDone):
    """Objects vanished from the source between listing and copying. What was copied besides is in `replicated`."""

    def __init__(self, source: str, target: str, replicated: Replicated) -> None:
        self.replicated = replicated
        super().__init__(
            f"{_counted(replicated.missing)} vanished from {source} while it was copied; "
            f"{target} was given no snapshot",
            hint="run it again when the prune at the source has ended",
        )


def replicate(
    source: Bucket,
    target: Bucket,
    prefix: str,
    *,
    threads: int = 8,
    on_progress: OnProgress | None = None,
    dry_run: bool = False,
    config_sha256: str | None = None,
) -> Replicated:
    """Copy to `target` what it lacks of the repository at `prefix` of `source`, verified. Deletes never travel.

    May be repeated and resumes. With `dry_run` only counts. When an object is corrupt at the source (CorruptSource)
    or gone (IncompleteSource), all good packs are copied and nothing that refers to packs is published. Raises
    Refused when the target holds another repository, and InvalidInput when the source holds none. Where the hash of
    its `config` is known, a source that has another one is corrupt.
    """
    begin = time.monotonic()
    joining = _is_joining(source, target, prefix, config_sha256)
    listed = _list(source, prefix, LISTING_ORDER)
    plan = plan_copy(listed, _list(target, prefix, LISTING_ORDER), joining=joining)
    done = Replicated(0, 0, plan.present, 0, 0, 0.0, (), (), joining)
    if dry_run:
        return replace(done, copied=plan.objects, copied_bytes=plan.size_bytes, seconds=time.monotonic() - begin)
    for phase in plan.phases:
        done = _run(phase, functools.partial(_attempt, source, target, prefix), threads, done, plan, on_progress)
        # After `data` this keeps index and snapshots back, after `index` the snapshots.
        if done.corrupt or done.missing:
            break
    done = replace(done, seconds=time.monotonic() - begin)
    names = (f"{source}/{prefix}", f"{target}/{prefix}")
    if done.corrupt:
        raise CorruptSource(*names, done)
    if done.missing:
        raise IncompleteSource(*names, done)
    return done


def _is_joining(source: Bucket, target: Bucket, prefix: str, config_sha256: str | None) -> bool:
    """Return whether the target has no repository yet. Raises Refused when it has another one."""
    key = f"{prefix}/config"
    try:
        ours = source.get(key)
    except NoSuchObject:
        raise InvalidInput(
            f"there is no repository at {source}/{prefix}", hint="back up there first, or replicate from another centre"
        ) from None
    if config_sha256 not in (None, sha256_of(ours)):
        nothing = Replicated(0, 0, 0, 0, 0, 0.0, ("config",), (), joined=False)
        raise CorruptSource(f"{source}/{prefix}", f"{target}/{prefix}", nothing)
    try:
        theirs = target.get(key)
    except NoSuchObject:
        return True
    if ours != theirs:
        raise Refused(
            f"{target}/{prefix} holds another repository than {source}/{prefix}: their `config` differs",
            hint="one of the two was damaged, overwritten, or initialised on its own; "
            "tricenter backup verify --depth structure says which",
        )
    return False


def _list(bucket: Bucket, prefix: str, parts: Sequence[Part]) -> list[Entry]:
    """Return the objects of the repository with keys relative to its prefix, part by part in the order given."""
    start = f"{prefix}/"
    return [
        Entry(entry.key.removeprefix(start), entry.size_bytes, entry.modified_at)
        for part in parts
        for entry in bucket.list(start + part)
    ]


def _run(
    phase: Phase,
    attempt: Callable[[Part, Entry], Outcome],
    threads: int,
    done: Replicated,
    plan: CopyPlan,
    on_progress: OnProgress | None,
) -> Replicated:
    """Copy all of a phase, or as much as can be; return `done` with it added."""
    for entry, outcome in parallel(phase.entries, functools.partial(attempt, phase.part), threads):
        if outcome == "corrupt":
            done = replace(done, corrupt=(*done.corrupt, entry.key), hashed_bytes=done.hashed_bytes + entry.size_bytes)
        elif outcome == "missing":
            done = replace(done, missing=(*done.missing, entry.key))
        else:
            done = replace(
                done,
                copied=done.copied + 1,
                copied_bytes=done.copied_bytes + entry.size_bytes,
                hashed_bytes=done.hashed_bytes + entry.size_bytes,
                snapshots=done.snapshots + (phase.part == "snapshots"),
            )
            if on_progress:
                on_progress(done.copied_bytes, plan.size_bytes)
    return done


def _attempt(source: Bucket, target: Bucket, prefix: str, part: Part, entry: Entry) -> Outcome:
    key = f"{prefix}/{entry.key}"
    try:
        if part == "config":  # the one object that is not named by its hash
            target.put(key, source.get(key))
        else:
            copy_object(source, target, key, entry.size_bytes)
    except CorruptObject:
        return "corrupt"
    except NoSuchObject:
        return "missing"
    return "copied"


@patiently
def copy_object(source: Bucket, target: Bucket, key: str, size_bytes: int, sha256: str | None = None) -> None:
    """Copy one object whose content hashes to its name, or to `sha256`. Nothing is stored of one that does not.

    May be repeated. Raises CorruptObject, NoSuchObject, Unreachable (of either).
    """
    sha256 = sha256 or key.rpartition("/")[2]
    with source.receive(key, chunk_bytes=CHUNK_BYTES) as pieces:
        target.send(key, proved(pieces, key, size_bytes, sha256), size_bytes=size_bytes, sha256=sha256)


def proved(pieces: Iterable[bytes], key: str, size_bytes: int, sha256: str) -> Iterator[bytes]:
    """Yield `pieces`, the last one only after all of them were found to be `size_bytes` long and to hash to `sha256`.

    Raises CorruptObject else, and then less than `size_bytes` was yielded: no store keeps what it got.
    """
    digest, seen, held = hashlib.sha256(), 0, b""
    for piece in pieces:
        seen += len(piece)
        if seen > size_bytes:
            break
        if held:
            yield held
        digest.update(piece)
        held = piece
    if seen != size_bytes or digest.hexdigest() != sha256:
        raise CorruptObject(f"{key} is {seen} bytes that do not match its name", hint="heal it from another centre")
    yield held


def _counted(keys: Sequence[str]) -> str:
    shown = ", ".join(keys[:NAMED_OBJECTS])
    more = f" and {len(keys) - NAMED_OBJECTS} more" if len(keys) > NAMED_OBJECTS else ""
    return f"{len(keys)} object{'s' if len(keys) != 1 else ''} ({shown}{more})"
