"""The source kind `bucket`: the objects of an application's bucket, as one tar that no disk has to hold.

Objects are read in the order of their keys and hashed as they pass. A store answers a request for an object with one
version of it, whole, so every object is consistent in itself; between objects there is no common moment, as with
files. Older versions are not taken.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime

from orchestrator.backups.document import ARCHIVE, SourceProof
from orchestrator.backups.objects.archive import Member, Writer
from orchestrator.backups.objects.manifest import Objects, ObjectState, objects_as_facts
from orchestrator.backups.objects.names import paths_of
from orchestrator.catalogue.records import SourceCopy
from orchestrator.engine.port import Run
from orchestrator.errors import InvalidInput
from orchestrator.secrets import Secret
from orchestrator.vault.objects import Listed, ObjectStore, Opened
from orchestrator.vault.restic import Repository
from orchestrator.vault.s3 import parse_credential
from orchestrator.vault.wire import NoSuchObject
from policies.tenant import BucketSource

#: Objects up to this size are read ahead, so many at once: the answers of a store take longer than small objects.
SMALL_BYTES = 1 << 20
READ_AHEAD = 32
THREADS = 8
REPORT_EVERY_SECONDS = 0.5

#: What begins a key below which a restore keeps what is ours until it is committed: no object of the application.
OURS = ".tricenter-"


def store_of(source: BucketSource, centre: str, secret: Secret) -> ObjectStore:
    """Return the way to a source's bucket with the key that `secret` holds."""
    credential = parse_credential(secret, source.credential)
    return ObjectStore(centre, source.endpoint, source.region, source.bucket, credential)


def list_objects(store: ObjectStore, prefix: str) -> dict[str, Listed]:
    """Return what the application has in a bucket, by key without the prefix, in the order of the keys."""
    found = {each.key.removeprefix(prefix): each for each in store.look(prefix)}
    # Sorted here: some stores list a folder before what precedes it.
    return {key: found[key] for key in sorted(found) if key and not key.startswith(OURS)}


def check_bucket(source: BucketSource, store: ObjectStore) -> None:
    """Raise unless the bucket is there, can be listed and read, and holds something (or may be empty)."""
    first = next((each for each in store.look(source.prefix) if _is_theirs(each, source.prefix)), None)
    if first is None:
        _must_hold_something(source, store)
        return
    try:
        with store.open(first.key):
            pass
    except NoSuchObject:
        return  # deleted in this moment; it was the right to read that was asked for


def _is_theirs(each: Listed, prefix: str) -> bool:
    return not each.key.removeprefix(prefix).startswith(OURS)


def _must_hold_something(source: BucketSource, store: ObjectStore) -> None:
    if not source.may_be_empty:
        where = f"{store}/{source.prefix}".rstrip("/")
        raise InvalidInput(
            f"the bucket {where} is empty",
            hint="is it the right one? else say `may_be_empty: true` of the source: all would look deleted otherwise",
        )


def back_up_bucket(
    run: Run,
    name: str,
    source: BucketSource,
    store: ObjectStore,
    repository: Repository,
    host: str,
    tags: Sequence[str],
) -> SourceProof:
    """Back up the objects of a bucket and return the proof of them. May be repeated; what is there is not stored again.

    Raises InvalidInput for an empty bucket, and what the store says. Half a bucket leaves no snapshot.
    """
    # One step: the proof holds for this reading of the bucket, and half of it is worth nothing after a crash.
    return run.step(f"back-up:{name}", _back_up, run, name, source, store, repository, host, tags)


def _back_up(
    run: Run,
    name: str,
    source: BucketSource,
    store: ObjectStore,
    repository: Repository,
    host: str,
    tags: Sequence[str],
) -> SourceProof:
    data_time = datetime.now(UTC)  # before the listing: what was written by now is in it
    listed = list_objects(store, source.prefix)
    if not listed:
        _must_hold_something(source, store)
    report = _Reporter(run, name, sum(each.size_bytes for each in listed.values()))
    with repository.backup_stream(ARCHIVE, host=host, tags=tags) as stream:
        objects = write_objects(store, listed, stream.write, report.add)
        stored = stream.commit()
    settled = [each for each in objects.values() if each.settled]
    copy = SourceCopy(name, "bucket", stored.snapshot_id, data_time, sum(each.size for each in settled), len(settled))
    return SourceProof(copy, objects_as_facts(objects), stored.added_bytes)


class _Reporter:
    """Tells how many bytes were read, now and then."""

    def __init__(self, run: Run, name: str, total: int) -> None:
        self._run, self._name, self._total = run, name, total
        self._done, self._told_at = 0, 0.0
        run.progress(name, 0, total)

    def add(self, size: int) -> None:
        self._done += size
        if time.monotonic() > self._told_at + REPORT_EVERY_SECONDS:
            self._told_at = time.monotonic()
            self._run.progress(self._name, min(self._done, self._total), self._total)


def write_objects(
    store: ObjectStore,
    listed: dict[str, Listed],
    write: Callable[[bytes], None],
    on_read: Callable[[int], None],
) -> Objects:
    """Write the objects as an archive, and return the manifest of what was written.

    An object that changed since it was listed goes in as it is now; one that is gone is not settled.
    """
    paths, archive, objects = paths_of(listed), Writer(write), Objects()
    for key, each, found, pieces in _read_all(store, listed):
        if found is None:
            objects[key] = ObjectState(each.size_bytes, None, {})
            continue
        archive.begin(Member(key, paths[key], found.size_bytes, found.modified_at, found.headers))
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(piece)
            archive.add(piece)
            on_read(len(piece))
        objects[key] = ObjectState(found.size_bytes, digest.hexdigest(), found.headers)
    archive.end()
    return objects


def _read_all(
    store: ObjectStore, listed: dict[str, Listed]
) -> Iterator[tuple[str, Listed, Opened | None, Iterable[bytes]]]:
    """Yield the objects in order, the small ones read ahead by threads, the others as they come."""
    ahead: deque[tuple[str, Listed, Future[tuple[Opened, bytes]] | None]] = deque()
    rest = iter(listed.items())
    with ThreadPoolExecutor(THREADS) as pool, ExitStack() as stack:
        stack.callback(lambda: [future.cancel() for _, _, future in ahead if future])
        while True:
            while len(ahead) < READ_AHEAD and (entry := next(rest, None)):
                key, each = entry
                small = each.size_bytes <= SMALL_BYTES
                ahead.append((key, each, pool.submit(store.read, each.key) if small else None))
            if not ahead:
                return
            key, each, future = ahead.popleft()
            try:
                if future:
                    found, content = future.result()
                    yield key, each, found, (content,)
                    continue
                with store.open(each.key) as found:
                    yield key, each, found, found.pieces
            except NoSuchObject:
                yield key, each, None, ()
