"""The place of a bucket: restored beside what is there, below a prefix of ours, and swapped by copies within the store.

Nothing in S3 can be renamed. So the run's objects lie below `.tricenter-RUN/new/`, what stood there is first copied to
`.tricenter-RUN/before/` whole, and only then anything is overwritten. A record beside them says how far the run is,
so that it can be killed between any two requests. A backup passes over all of that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from orchestrator.backups.access import Access
from orchestrator.backups.document import ARCHIVE, SourceProof
from orchestrator.backups.objects.archive import Member, read_archive
from orchestrator.backups.objects.manifest import Objects, ObjectState, hash_pieces, objects_from_facts
from orchestrator.backups.places.common import Back, Placed, Swapped
from orchestrator.backups.proof import Proof, prove_objects
from orchestrator.backups.restore import Counted
from orchestrator.backups.sources.bucket import OURS, SMALL_BYTES, list_objects
from orchestrator.errors import CheckFailed, Refused
from orchestrator.process import current_leash
from orchestrator.vault.objects import LARGEST_BYTES, Listed, ObjectStore
from orchestrator.vault.restic import OnProgress, Repository
from orchestrator.vault.s3 import parse_credential
from orchestrator.vault.wire import NoSuchObject

THREADS = 8
KEY_BYTES = 1024

T = TypeVar("T")
R = TypeVar("R")


class State(StrEnum):
    """How far a run is with a place. Without a record it has not restored everything yet."""

    RESTORED = "restored"  # all of it is beside; what stands in the place is as it was
    KEPT = "kept"  # and all that stood there is kept; the place itself may be half of each
    SWAPPED = "swapped"
    COMMITTED = "committed"  # what stood there is going


@dataclass(frozen=True, slots=True)
class Record:
    state: State
    kept: int = 0


@dataclass(frozen=True, slots=True)
class ObjectsAt:
    """Objects in a store, below a prefix. Satisfies `orchestrator.backups.proof.Provable`."""

    store: ObjectStore
    prefix: str

    def prove(self, proof: SourceProof) -> Proof:
        """Read every object, and compare it with the manifest."""
        return prove_objects(proof, hash_objects(self.store, list_objects(self.store, self.prefix)))


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """A bucket of an application, or what is below a prefix of it. `credential` names a key that may write."""

    centre: str
    endpoint: str
    region: str
    bucket: str
    prefix: str
    credential: str

    def __str__(self) -> str:
        return f"{self.centre}:{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")

    @property
    def here(self) -> bool:
        return False

    def as_argument(self) -> str:
        return json.dumps({"kind": "bucket", **asdict(self)}, ensure_ascii=False)

    def check(self, access: Access, need_bytes: int) -> None:
        """Whether it may write is not known before it does: S3 has no way to ask."""
        del need_bytes  # a store does not tell how much room it has
        next(iter(self._store(access).look(self.prefix)), None)

    def put(
        self,
        access: Access,
        run: str,
        repository: Repository,
        proof: SourceProof,
        scratch: Path,
        *,
        on_progress: OnProgress | None = None,
    ) -> Placed:
        del scratch
        store, new = self._store(access), self._new(run)
        record = self._read(store, run)
        if record and record.state is not State.RESTORED:
            return Placed(str(self), str(self), proof.copy.bytes)
        wanted = objects_from_facts(proof.facts)
        self._check_fits(run, {key: state.size for key, state in wanted.items()})
        # Half of a restore, left by a killed attempt, is worth nothing.
        store_delete(store, store.look(self._home(run)))
        with repository.open_file(proof.copy.snapshot_id, ARCHIVE) as dump, _Uploads(store) as uploads:
            for member, pieces in read_archive(Counted(dump, proof.copy.bytes, on_progress)):
                state = wanted.get(member.key)
                if state is None or state.sha256 is None:
                    raise CheckFailed(f"{member.key} is in the archive, and not in the proof of {proof.copy.source}")
                uploads.add(new + member.key, member, pieces, state.sha256)
        self._write(store, run, Record(State.RESTORED))
        return Placed(str(self), f"{store}/{new}", proof.copy.bytes)

    def data(self, access: Access, run: str, scratch: Path) -> ObjectsAt:
        del scratch
        store = self._store(access)
        record = self._read(store, run)
        swapped = record is not None and record.state in (State.SWAPPED, State.COMMITTED)
        return ObjectsAt(store, self.prefix if swapped else self._new(run))

    def swap(self, access: Access, run: str) -> Swapped:
        store, record = self._store(access), self._read(self._store(access), run)
        if record is None:
            raise CheckFailed(f"{self}: nothing was restored there by run {run}", hint="restore it first")
        new, before = self._new(run), self._before(run)
        if record.state is State.RESTORED:
            standing = list_objects(store, self.prefix)
            self._check_fits(run, {key: each.size_bytes for key, each in standing.items()})
            store_copy(store, ((each.key, before + key) for key, each in standing.items()))
            record = Record(State.KEPT, len(standing))
            self._write(store, run, record)
        if record.state is State.KEPT:
            self._let_stand(store, new)
            record = Record(State.SWAPPED, record.kept)
            self._write(store, run, record)
        store_delete(store, store.look(new))
        return Swapped(str(self), f"{store}/{before}" if record.kept else None)

    def undo(self, access: Access, run: str) -> Back:
        store = self._store(access)
        record = self._read(store, run)
        if record and record.state is State.COMMITTED:
            return Back.COMMITTED
        back = Back.NOTHING if record is None else Back.DROPPED
        if record and record.state in (State.KEPT, State.SWAPPED):
            self._let_stand(store, self._before(run))
            store.delete(self._record(run))  # first: what is kept is half gone soon, and must not be put back again
            back = Back.BACK
        self._forget(store, run)
        return back

    def commit(self, access: Access, run: str) -> None:
        store = self._store(access)
        record = self._read(store, run)
        if record is None:  # committed before
            self._forget(store, run)
            return
        if record.state not in (State.SWAPPED, State.COMMITTED):
            raise CheckFailed(f"{self}: nothing was swapped by run {run}", hint="swap it first, or undo it")
        self._write(store, run, Record(State.COMMITTED))
        self._forget(store, run)

    def drop(self, access: Access, run: str) -> None:
        store = self._store(access)
        record = self._read(store, run)
        if record is None or record.state is State.RESTORED:
            self._forget(store, run)

    def _let_stand(self, store: ObjectStore, beside: str) -> None:
        """Let the place hold what lies below `beside`, and nothing else. May be repeated."""
        wanted = list_objects(store, beside)
        store_copy(store, ((each.key, self.prefix + key) for key, each in wanted.items()))
        surplus = [each for key, each in list_objects(store, self.prefix).items() if key not in wanted]
        store_delete(store, surplus)

    def _check_fits(self, run: str, sizes: dict[str, int]) -> None:
        """Raise Refused for what S3 does not take beside the place, before anything is written."""
        room = KEY_BYTES - len(self._before(run).encode())
        for key, size in sizes.items():
            if size > LARGEST_BYTES:
                raise Refused(
                    f"{self}: {key} has {size >> 30} GiB, and S3 takes and copies {LARGEST_BYTES >> 30} GiB at once",
                    hint="restore it into a folder (tricenter backup restore), and upload it in parts by any S3 client",
                )
            if len(key.encode()) > room:
                raise Refused(
                    f"{self}: the key {key[:60]}… is too long to be kept beside the place",
                    hint="restore it into a folder (tricenter backup restore), and upload it by any S3 client",
                )

    def _read(self, store: ObjectStore, run: str) -> Record | None:
        content = store.find(self._record(run))
        if content is None:
            return None
        value = json.loads(content)
        return Record(State(value["state"]), value["kept"])

    def _write(self, store: ObjectStore, run: str, record: Record) -> None:
        store.write(self._record(run), json.dumps(asdict(record)).encode(), {"content-type": "application/json"})

    def _forget(self, store: ObjectStore, run: str) -> None:
        """Delete all that is ours, the record last: killed half-way, it can be done again."""
        record = self._record(run)
        store_delete(store, (each for each in store.look(self._home(run)) if each.key != record))
        store.delete(record)

    def _home(self, run: str) -> str:
        return f"{self.prefix}{OURS}{run}/"

    def _new(self, run: str) -> str:
        return f"{self._home(run)}new/"

    def _before(self, run: str) -> str:
        return f"{self._home(run)}before/"

    def _record(self, run: str) -> str:
        return f"{self._home(run)}record.json"

    def _store(self, access: Access) -> ObjectStore:
        return store_at(access, self)


def store_at(access: Access, place: BucketPlace) -> ObjectStore:
    """Return the way to the bucket of a place."""
    credential = parse_credential(access.secret(place.credential), place.credential)
    return ObjectStore(place.centre, place.endpoint, place.region, place.bucket, credential)


class _Uploads:
    """Writes the objects of an archive as they come: small ones by threads, others in pieces."""

    def __init__(self, store: ObjectStore) -> None:
        self._store, self._pool = store, ThreadPoolExecutor(THREADS)
        self._going: set[Future[None]] = set()

    def add(self, key: str, member: Member, pieces: Iterator[bytes], sha256: str) -> None:
        if member.size_bytes > SMALL_BYTES:
            size = member.size_bytes
            self._store.send(key, pieces, size_bytes=size, sha256=sha256, headers=member.headers)
            return
        self._collect(THREADS)
        body = b"".join(pieces)
        self._going.add(self._pool.submit(self._store.write, key, body, member.headers))

    def _collect(self, most: int) -> None:
        while len(self._going) > most:
            done, self._going = wait(self._going, return_when="FIRST_COMPLETED")
            for each in done:
                each.result()

    def __enter__(self) -> _Uploads:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._collect(0)
        finally:
            self._pool.shutdown(cancel_futures=True)


def hash_objects(store: ObjectStore, listed: dict[str, Listed]) -> Objects:
    """Read every object of a listing and return what it is. One that is gone meanwhile is missing."""

    def look(entry: tuple[str, Listed]) -> tuple[str, ObjectState | None]:
        key, each = entry
        try:
            with store.open(each.key) as found:
                return key, ObjectState(found.size_bytes, hash_pieces(found.pieces), found.headers)
        except NoSuchObject:
            return key, None

    return {key: state for key, state in side_by_side(look, listed.items()) if state}


def store_copy(store: ObjectStore, pairs: Iterable[tuple[str, str]]) -> None:
    """Copy objects within a store, each from one key to another."""
    for _ in side_by_side(lambda pair: store.copy(*pair), pairs):
        pass


def store_delete(store: ObjectStore, gone: Iterable[Listed]) -> None:
    for _ in side_by_side(lambda each: store.delete(each.key), gone):
        pass


def side_by_side(act: Callable[[T], R], each: Iterable[T]) -> Iterator[R]:
    """Yield what `act` returns for each, done by several threads, in order. Ends early when the run is stopped."""
    leash = current_leash()
    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(act, one) for one in each]
        try:
            for future in futures:
                yield future.result()
                if leash:
                    leash.check()
        finally:
            for future in futures:
                future.cancel()
