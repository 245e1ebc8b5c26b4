"""A look at a folder tree: every entry that restic would store of it, without reading content.

What is left out here is what restic leaves out: the same patterns, the same mount points, and sockets.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import PartlyDone
from policies.excludes import Excludes


@dataclass(frozen=True, slots=True)
class Seen:
    """An entry of a tree at one look: one that differs from an earlier look was changed meanwhile."""

    #: Where it is, for whoever reads it; `key` says the same below the folder, as a manifest has it.
    where: str = field(compare=False)
    key: str
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int
    uid: int
    gid: int
    device: int
    inode: int
    links: int
    special: int
    """What device a device file stands for."""

    @property
    def path(self) -> Path:
        return Path(self.where)  # made when it is asked for: of most entries it never is, and it costs more than a look

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)


def walk_tree(folder: Path, exclude: Sequence[str] = (), *, one_file_system: bool = False) -> list[Seen]:
    """Return every entry below `folder` as it is now: files, folders, links and special files but sockets.

    With `one_file_system` a mount point is an empty folder, and a file that is mounted over another is not there.
    Raises PartlyDone for a folder that cannot be listed.
    """
    excludes = Excludes(exclude, os.path.realpath(folder))
    home = folder.stat().st_dev if one_file_system else None
    return list(_below(folder, (), excludes, home))


def key_of(path: str | Path) -> str:
    """Return a path below a folder as a manifest has it: names on disk are bytes, and what is no UTF-8 is escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _below(folder: Path, names: tuple[str, ...], excludes: Excludes, home: int | None) -> Iterator[Seen]:
    waiting = [(str(folder), names)]
    while waiting:
        parent, above = waiting.pop()
        try:
            entries = list(os.scandir(parent))
        except FileNotFoundError:
            continue  # gone between listing and look: a living tree
        except OSError as error:
            raise PartlyDone(
                f"{parent} cannot be read: {error.strerror}", hint="run as a user who may read it"
            ) from error
        for entry in entries:
            here = (*above, entry.name)
            seen = None if excludes.leave_out(here) else _look(entry.path, "/".join(here))
            if seen is None or stat.S_ISSOCK(seen.mode):
                continue
            elsewhere = home is not None and seen.device != home
            if stat.S_ISDIR(seen.mode):
                yield seen
                if not elsewhere:
                    waiting.append((seen.where, here))
            elif not elsewhere:
                yield seen


def _look(path: str, name: str) -> Seen | None:
    try:
        state = os.lstat(path)
    except FileNotFoundError:
        return None
    return Seen(
        path,
        key_of(name),
        0 if stat.S_ISDIR(state.st_mode) else state.st_size,
        state.st_mtime_ns,
        state.st_ctime_ns,
        state.st_mode,
        state.st_uid,
        state.st_gid,
        state.st_dev,
        state.st_ino,
        state.st_nlink,
        state.st_rdev,
    )
