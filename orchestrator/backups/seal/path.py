"""The seal of a folder tree: nobody can be kept from writing to it, so it is proved that nobody does.

Two looks with a pause between must be equal, and no process may have a file of the tree open for writing. Who stops
the application is a script or a prompt of the plan, before.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.backups.document import SourceProof
from orchestrator.backups.proof import Proof
from orchestrator.backups.seal.common import Sealed
from orchestrator.backups.sources.path import (
    check_path_is_there,
    compare_manifests,
    hash_tree,
    manifest_from_facts,
)
from orchestrator.backups.sources.tree import Seen, walk_tree
from orchestrator.errors import CheckFailed
from orchestrator.process import current_leash

QUIET_SECONDS = 3.0
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Writer:
    """A process that has a file open for writing."""

    pid: int
    program: str
    path: str

    def __str__(self) -> str:
        return f"{self.program} (pid {self.pid}) has {self.path} open for writing"


def seal_folder(
    folder: Path,
    source: str,
    exclude: Sequence[str] = (),
    *,
    one_file_system: bool = False,
    quiet_seconds: float = QUIET_SECONDS,
) -> Sealed:
    """Prove that nobody writes to a folder tree. Raises CheckFailed naming the files that changed, and who has them."""
    check_path_is_there(folder)
    first = _files(folder, exclude, one_file_system)
    time.sleep(quiet_seconds)
    if leash := current_leash():
        leash.check()
    second = _files(folder, exclude, one_file_system)
    writers = list(writers_below(folder))
    changed = sorted({str(each.path.relative_to(folder)) for each in first ^ second})
    if changed or writers:
        said = [*(f"{each} changed" for each in changed[:SHOWN]), *map(str, writers[:SHOWN])]
        more = len(changed) + len(writers) - len(said)
        raise CheckFailed(
            f"{folder} is still written to: {'; '.join(said)}" + (f"; and {more} more" if more else ""),
            hint="stop the application, by hand or by a script step of the plan, then try again",
        )
    detail = f"{len(second)} files, none changed in {quiet_seconds:g} s, none open for writing"
    return Sealed(
        source, "path", str(folder), str(folder), datetime.now(UTC), detail, {"digest": _digest(folder, second)}
    )


def prove_folder_sealed(
    folder: Path,
    sealed: Sealed,
    exclude: Sequence[str],
    proof: SourceProof | None,
    *,
    one_file_system: bool = False,
) -> Proof:
    """Look whether anybody wrote since the seal; with the proof of the last copy, whether every byte is in that."""
    seen = _files(folder, exclude, one_file_system)
    faults = [str(each) for each in writers_below(folder)]
    if _digest(folder, seen) != sealed.facts["digest"]:
        since = sealed.at.timestamp() * 1e9
        names = [f"{each.path.relative_to(folder)} changed" for each in seen if each.ctime_ns > since]
        faults += sorted(names)[:SHOWN] or ["files are gone that were there"]
    if proof is not None:
        here = hash_tree(folder, exclude, one_file_system=one_file_system)
        faults += compare_manifests(manifest_from_facts(proof.facts), here)[:SHOWN]
    return Proof(
        not faults, f"{len(seen)} files as they were" if not faults else f"{len(faults)} faults", tuple(faults)
    )


def writers_below(folder: Path) -> Iterator[Writer]:
    """Yield who has a file below `folder` open for writing, as far as we may see: root sees every process."""
    start = os.path.realpath(folder) + os.sep
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError, ValueError):
                    path = os.readlink(descriptor)  # noqa: PTH115 - a deleted file has no path
                    if path.startswith(start) and _writes(process / "fdinfo" / descriptor.name):
                        program = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                        yield Writer(int(process.name), program, path.removeprefix(start))


def _writes(info: Path) -> bool:
    flags = next(line for line in info.read_text(encoding="ascii").splitlines() if line.startswith("flags:"))
    return int(flags.split()[1], 8) & os.O_ACCMODE in (os.O_WRONLY, os.O_RDWR)


def _files(folder: Path, exclude: Sequence[str], one_file_system: bool) -> frozenset[Seen]:
    return frozenset(each for each in walk_tree(folder, exclude, one_file_system=one_file_system) if each.is_file)


def _digest(folder: Path, seen: frozenset[Seen]) -> str:
    lines = sorted(
        b"%s\0%d\0%d\0%d\n" % (os.fsencode(each.path.relative_to(folder)), each.size, each.mtime_ns, each.ctime_ns)
        for each in seen
    )
    return hashlib.sha256(b"".join(lines)).hexdigest()
