"""The source kind `path`: a folder tree, with a manifest of its content taken independently of restic.

The manifest is what a restore is proved against. It is made by us, from the source, while restic reads it: a proof
that restic wrote for itself would prove only that restic agrees with restic. What did not change from the look before
both to the look after both was read by both in the same state. What did not change since the last backup is read again
by neither.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.backups.document import SourceProof
from orchestrator.backups.known import KnownContent
from orchestrator.backups.sources.metadata import read_metadata, settled_metadata
from orchestrator.backups.sources.tree import Seen, walk_tree
from orchestrator.catalogue.records import SourceCopy
from orchestrator.engine.port import Run
from orchestrator.errors import CheckFailed, InvalidInput
from orchestrator.process import current_leash
from orchestrator.vault.restic import Progress, Repository
from policies.excludes import place_fault
from policies.tenant import PathSource

HASHING_THREADS = 4
READ_BYTES = 256 << 10
#: A thread is handed so many files, or bytes, at once: to hand over a small file costs more than to hash it.
BATCH_FILES, BATCH_BYTES = 128, 4 << 20


@dataclass(frozen=True, slots=True)
class FileState:
    """One file of a tree. `sha256` is None for one that is not settled: it changed, came or went during the backup."""

    size: int
    sha256: str | None

    @property
    def settled(self) -> bool:
        return self.sha256 is not None

    def as_json(self) -> dict[str, Any]:
        """The state as a manifest has it: of each of millions of files."""
        return {"size": self.size, "sha256": self.sha256}


Manifest = dict[str, FileState]


def check_path(source: PathSource) -> None:
    """Raise InvalidInput unless the folder is there, can be read and is not left out by its own patterns.

    restic 0.14 ends with 0 for a folder that is missing, so we look ourselves, before and after.
    """
    check_path_is_there(Path(source.path))
    # Where a symbolic link leads is known here only: restic compares its patterns with the path behind it.
    real = os.path.realpath(source.path)
    for pattern in source.exclude:
        if fault := place_fault(pattern, real):
            raise InvalidInput(f"exclude {pattern!r} of {source.path}: {fault}", hint="change the pattern")


def check_path_is_there(folder: Path) -> None:
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
    except OSError as error:
        raise InvalidInput(
            f"the source folder {folder} cannot be read: {error.strerror}",
            hint="is it mounted? an empty mount point would otherwise be backed up as if everything had been deleted",
        ) from error


def back_up_path(
    run: Run,
    name: str,
    source: PathSource,
    repository: Repository,
    host: str,
    tags: Sequence[str],
    known: KnownContent,
) -> SourceProof:
    """Back up a folder tree and return the proof of it. May be repeated; unchanged content is not stored again.

    `known` is what was read of it before: a file that did not change since is neither read nor hashed again.
    """
    # One step: the proof holds for this reading of the tree, and half of it is worth nothing after a crash.
    return run.step(f"back-up:{name}", _back_up, run, name, source, repository, host, tags, known)


def _back_up(
    run: Run,
    name: str,
    source: PathSource,
    repository: Repository,
    host: str,
    tags: Sequence[str],
    known: KnownContent,
) -> SourceProof:
    def report(progress: Progress) -> None:
        run.progress(name, progress.done_bytes, progress.total_bytes)

    def look() -> list[Seen]:
        return walk_tree(folder, source.exclude, one_file_system=source.one_file_system)

    folder = Path(source.path)
    check_path(source)
    data_time, looked_ns, seen = datetime.now(UTC), time.time_ns(), look()
    metadata, files = read_metadata(seen), [each for each in seen if each.is_file]
    digests: dict[Seen, str | None] = {**known.of(files)}
    changed = [each for each in files if each not in digests]
    run.progress(name, 0, sum(each.size for each in files))
    with _hashing(changed) as hashes:  # beside restic, so that what one has read the other finds in memory
        stored = repository.backup_folder(
            folder,
            host=host,
            tags=tags,
            exclude=source.exclude,
            one_file_system=source.one_file_system,
            on_progress=report,
        )
        digests |= hashes()
    check_path_is_there(folder)
    after = look()
    manifest = _settle(digests, after)
    settled = sum(state.settled for state in manifest.values())
    if stored.files < settled:
        raise CheckFailed(f"{name}: {settled} files stood in {folder}, and restic read {stored.files}")
    known.keep({each: digest for each, digest in digests.items() if digest and manifest[each.key].settled}, looked_ns)
    copy = SourceCopy(name, "path", stored.snapshot_id, data_time, stored.bytes, stored.files)
    facts = {
        "manifest": {path: state.as_json() for path, state in sorted(manifest.items())},
        "metadata": settled_metadata(metadata, seen, after),
    }
    return SourceProof(copy, facts, stored.added_bytes)


def hash_tree(folder: Path, exclude: Sequence[str] = (), *, one_file_system: bool = False) -> Manifest:
    """Return every regular file under `folder` with its size and SHA-256. Links and special files are left out."""
    digests = _hash_all(walk_tree(folder, exclude, one_file_system=one_file_system))
    return {each.key: FileState(each.size, digest) for each, digest in digests.items()}


def manifest_from_facts(facts: Mapping[str, Any]) -> Manifest:
    """Return the manifest that a point's document carries."""
    return {path: FileState(**state) for path, state in facts["manifest"].items()}


def compare_manifests(want: Manifest, got: Manifest) -> list[str]:
    """Return every difference as a line: missing, surplus, other size, other content. Empty means proved.

    Of a file that was not settled nothing can be asked, not even that it is there.
    """
    lines = [f"missing {path}" for path in sorted(want.keys() - got.keys()) if want[path].settled]
    lines += [f"surplus {path}" for path in sorted(got.keys() - want.keys())]
    for path in sorted(want.keys() & got.keys()):
        expected, actual = want[path], got[path]
        if not expected.settled:
            continue
        if expected.size != actual.size:
            lines.append(f"size of {path}: {actual.size}, want {expected.size}")
        elif expected.sha256 != actual.sha256:
            lines.append(f"content of {path} differs")
    return lines


def _hash_all(seen: Sequence[Seen]) -> dict[Seen, str | None]:
    with _hashing([each for each in seen if each.is_file]) as hashes:
        return hashes()


@contextmanager
def _hashing(files: Sequence[Seen]) -> Iterator[Callable[[], dict[Seen, str | None]]]:
    """Hash files for as long as the block runs; what is yielded waits for all of them."""
    pool, leash = ThreadPoolExecutor(HASHING_THREADS), current_leash()
    try:
        digests = pool.map(_hash_batch, _batches(files))

        def wait() -> dict[Seen, str | None]:
            found: dict[Seen, str | None] = {}
            for batch in digests:
                found.update(batch)
                if leash:
                    leash.check()
            return found

        yield wait
    finally:
        pool.shutdown(cancel_futures=True)


def _batches(files: Sequence[Seen]) -> Iterator[list[Seen]]:
    batch: list[Seen] = []
    size = 0
    for each in files:
        batch.append(each)
        size += each.size
        if len(batch) == BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    yield batch


def _hash_batch(files: Sequence[Seen]) -> list[tuple[Seen, str | None]]:
    return [(each, _hash(each)) for each in files]


def _hash(seen: Seen) -> str | None:
    try:
        with seen.path.open("rb", buffering=0) as file:
            digest = hashlib.sha256()
            while piece := file.read(READ_BYTES):
                digest.update(piece)
            return digest.hexdigest()
    except FileNotFoundError:
        return None


def _settle(before: Mapping[Seen, str | None], after: Sequence[Seen]) -> Manifest:
    """Return the manifest of a backup that ran between two looks at the tree."""
    still = set(after)  # equal when path, size, times and all else are
    manifest = {each.key: FileState(each.size, None) for each in after if each.is_file}
    for each, digest in before.items():
        manifest[each.key] = FileState(each.size, digest if each in still else None)
    return manifest
