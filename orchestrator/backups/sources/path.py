"""The source kind `path`: a folder tree, with a manifest of its content taken independently of restic.

The manifest is what a restore is proved against. It is made by us, from the source, before restic reads it: a proof
that restic wrote for itself would prove only that restic agrees with restic.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from orchestrator.backups.document import SourceProof
from orchestrator.catalogue.records import SourceCopy
from orchestrator.engine.port import Run
from orchestrator.errors import CheckFailed, InvalidInput, PartlyDone
from orchestrator.vault.restic import Progress, Repository
from policies.tenant import PathSource

HASHING_THREADS = 4


@dataclass(frozen=True, slots=True)
class FileState:
    """One file of a tree. `sha256` is None for one that is not settled: it changed, came or went during the backup."""

    size: int
    sha256: str | None

    @property
    def settled(self) -> bool:
        return self.sha256 is not None


Manifest = dict[str, FileState]


@dataclass(frozen=True, slots=True)
class Seen:
    """A file at one look: one that differs from an earlier look was changed meanwhile."""

    path: Path
    size: int
    mtime_ns: int
    ctime_ns: int


def check_path(source: PathSource) -> None:
    """Raise InvalidInput unless the folder is there, can be read and holds something.

    restic 0.14 ends with 0 for a folder that is missing, so we look ourselves, before and after.
    """
    check_path_is_there(Path(source.path))


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
    run: Run, name: str, source: PathSource, repository: Repository, host: str, tags: Sequence[str]
) -> SourceProof:
    """Back up a folder tree and return the proof of it. May be repeated; unchanged content is not stored again."""
    folder = Path(source.path)
    # One step: the proof holds for this reading of the tree, and half of it is worth nothing after a crash.
    return run.step(f"back-up:{name}", _back_up, run, name, folder, source.exclude, repository, host, tags)


def _back_up(
    run: Run, name: str, folder: Path, exclude: Sequence[str], repository: Repository, host: str, tags: Sequence[str]
) -> SourceProof:
    def report(progress: Progress) -> None:
        run.progress(name, progress.done_bytes, progress.total_bytes)

    check_path_is_there(folder)
    seen = _hash_all(folder, exclude)
    run.progress(name, 0, sum(each.size for each in seen))
    data_time = datetime.now(UTC)
    stored = repository.backup_folder(folder, host=host, tags=tags, exclude=exclude, on_progress=report)
    check_path_is_there(folder)
    manifest = _settle(folder, seen, walk_tree(folder, exclude))
    settled = sum(state.settled for state in manifest.values())
    if stored.files < settled:
        raise CheckFailed(f"{name}: {settled} files stood in {folder}, and restic read {stored.files}")
    copy = SourceCopy(name, "path", stored.snapshot_id, data_time, stored.bytes, stored.files)
    return SourceProof(
        copy, {"manifest": {path: asdict(state) for path, state in sorted(manifest.items())}}, stored.added_bytes
    )


def hash_tree(folder: Path, exclude: Sequence[str] = ()) -> Manifest:
    """Return every regular file under `folder` with its size and SHA-256. Links and special files are left out."""
    return {
        _key(folder, each.path): FileState(each.size, digest) for each, digest in _hash_all(folder, exclude).items()
    }


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


def _hash_all(folder: Path, exclude: Sequence[str]) -> dict[Seen, str | None]:
    found = list(walk_tree(folder, exclude))
    with ThreadPoolExecutor(HASHING_THREADS) as pool:
        return dict(zip(found, pool.map(_hash, found, chunksize=64), strict=True))


def walk_tree(folder: Path, exclude: Sequence[str]) -> list[Seen]:
    """Return every regular file under `folder` as it is now, without reading it."""
    found = []
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [each for each in folders if not _is_excluded(each, exclude)]
        for each in files:
            if _is_excluded(each, exclude):
                continue
            path = Path(parent, each)
            try:
                state = path.lstat()
            except FileNotFoundError:
                continue  # gone between listing and look: a living tree
            if stat.S_ISREG(state.st_mode):
                found.append(Seen(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
    return found


def _refuse(error: OSError) -> None:
    raise PartlyDone(f"{error.filename} cannot be read: {error.strerror}", hint="run as a user who may read it")


def _is_excluded(name: str, exclude: Sequence[str]) -> bool:
    """restic's rule for a pattern without a slash: it is matched against each single name of the path."""
    return any(fnmatchcase(name, pattern) for pattern in exclude)


def _hash(seen: Seen) -> str | None:
    try:
        with seen.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _settle(folder: Path, before: Mapping[Seen, str | None], after: Sequence[Seen]) -> Manifest:
    """Return the manifest of a backup that ran between two looks at the tree."""
    still = set(after)  # equal when path, size and both times are
    manifest = {_key(folder, each.path): FileState(each.size, None) for each in after}
    for each, digest in before.items():
        manifest[_key(folder, each.path)] = FileState(each.size, digest if each in still else None)
    return manifest


def _key(folder: Path, path: Path) -> str:
    # Names on disk are bytes; what is not UTF-8 must survive JSON and come back the same.
    return os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")
