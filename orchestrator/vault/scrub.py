"""Reading what a vault holds and comparing each object with its name. Keyless: no password is needed.

Every object of a repository but `config` is named by the SHA-256 of its content. A vault that returns other bytes
than it was given, or none, is found out by this, in whichever centre it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Literal

from orchestrator.errors import CorruptObject
from orchestrator.vault.parallel import parallel
from orchestrator.vault.plan import Part, part_of
from orchestrator.vault.replicate import CHUNK_BYTES, proved
from orchestrator.vault.s3 import Bucket, Entry, NoSuchObject
from orchestrator.vault.wire import patiently
from policies.verification import Slice

#: The parts whose objects are named by their hash. `data` has a folder for each pair of digits.
NAMED_PARTS: tuple[Part, ...] = ("snapshots", "index", "data", "keys")

HASH = re.compile("[0-9a-f]{64}")

#: Called with bytes read so far, by the thread that called `scrub`.
OnRead = Callable[[int], None]
State = Literal["good", "corrupt", "missing", "removed"]


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What a scrub read, and the keys of what was not as its name says, or is listed and cannot be read.

    What was removed while the scrub went on is neither: a retention may be at work, and one that was killed has sent
    requests that the vault still carries out. Whether something refers to it is for the check of the structure.
    """

    began_at: datetime
    objects: int
    size_bytes: int
    oldest: datetime | None
    corrupt: tuple[str, ...]
    missing: tuple[str, ...]


def take_census(bucket: Bucket, prefix: str, digits: int) -> tuple[Slice, ...]:
    """Return the slices of a repository, of so many digits (0: all in one), as its listing shows them: none read."""
    totals: dict[str, Slice] = {}
    for entry in _named(bucket, prefix, [f"{part}/" for part in NAMED_PARTS]):
        name = entry.key.rpartition("/")[2][:digits]
        was = totals.get(name) or Slice(name, 0, 0, entry.modified_at, None)
        totals[name] = Slice(
            name, was.objects + 1, was.size_bytes + entry.size_bytes, min(was.oldest, entry.modified_at), None
        )
    return tuple(totals[name] for name in sorted(totals))


def slice_starts(name: str) -> list[str]:
    """Return what the keys of a slice begin with, below the repository's prefix."""
    return [f"data/{name[:2]}/{name}" if part == "data" and len(name) > 1 else f"{part}/{name}" for part in NAMED_PARTS]


def scrub(
    bucket: Bucket, prefix: str, starts: Iterable[str], *, threads: int = 4, on_read: OnRead | None = None
) -> Scrubbed:
    """Read every object whose key, below `prefix`, begins with one of `starts`, and compare it with its name.

    What is found wrong is told and does not end it. May be repeated. Raises Unreachable.
    """
    began, objects, size, oldest = datetime.now(UTC), 0, 0, None
    wrong: dict[State, list[str]] = {"corrupt": [], "missing": []}
    listed = _named(bucket, prefix, starts)
    for entry, state in parallel(listed, lambda each: _state(bucket, each, each.key.rpartition("/")[2]), threads):
        objects, size = objects + 1, size + entry.size_bytes
        oldest = min(oldest or entry.modified_at, entry.modified_at)
        if state in wrong:
            wrong[state].append(entry.key)
        if on_read:
            on_read(size)
    return Scrubbed(began, objects, size, oldest, tuple(sorted(wrong["corrupt"])), tuple(sorted(wrong["missing"])))


def examine(bucket: Bucket, key: str, sha256: str | None = None) -> State:
    """Read one object, given by its whole key, and return how it is.

    `config`, named by no hash, need only be there, unless `sha256` says what it must be.
    """
    entry = bucket.head(key)
    if entry is None:
        return "missing"
    want = sha256 or key.rpartition("/")[2]
    state = _state(bucket, entry, want) if HASH.fullmatch(want) else "good"
    return "missing" if state == "removed" else state


def _named(bucket: Bucket, prefix: str, starts: Iterable[str]) -> Iterable[Entry]:
    """Yield the objects that are named by their hash; the keys are whole."""
    below = f"{prefix}/"
    listed = chain.from_iterable(bucket.list(below + start) for start in starts)
    return (each for each in listed if part_of(each.key.removeprefix(below)) in NAMED_PARTS)


def _state(bucket: Bucket, entry: Entry, sha256: str) -> State:
    try:
        _read(bucket, entry, sha256)
    except CorruptObject:
        return "corrupt"
    except NoSuchObject:
        return "missing" if any(each.key == entry.key for each in bucket.list(entry.key)) else "removed"
    return "good"


@patiently
def _read(bucket: Bucket, entry: Entry, sha256: str) -> None:
    with bucket.receive(entry.key, chunk_bytes=CHUNK_BYTES) as pieces:
        for _ in proved(pieces, entry.key, entry.size_bytes, sha256):
            pass
