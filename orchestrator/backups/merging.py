"""A restored tree moved into a folder that may hold something: nothing is overwritten without being told to.

What is moved is looked at first, whole: when one file must not be overwritten, none is moved. New folders are moved by
one rename, files one by one, so that a move that was killed is gone on with by doing it again.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Overwrite(StrEnum):
    """What to do with a file that is there already, with another content."""

    REFUSE = "refuse"  # nothing is moved at all
    NEVER = "never"  # it stays as it is
    IF_OLDER = "if-older"  # it is overwritten when it was changed before the restored one
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Moved:
    """How many files and links came into place: new ones, over others, not because they are kept, or are the same."""

    new: int = 0
    overwritten: int = 0
    kept: int = 0
    same: int = 0

    def __add__(self, other: Moved) -> Moved:
        return Moved(
            self.new + other.new, self.overwritten + other.overwritten, self.kept + other.kept, self.same + other.same
        )


def clashes(staged: Path, target: Path, rule: Overwrite) -> Iterator[str]:
    """Yield why `staged` must not be moved to `target`: a file that is there, or something of another kind."""
    for source, place in _pairs(staged, target):
        if _is_folder(source) or _is_folder(place):
            if _is_folder(source) != _is_folder(place):
                yield f"{place} is {'a folder' if _is_folder(place) else 'no folder'} here, and not in the point"
            elif place.lstat().st_dev != staged.lstat().st_dev:
                yield f"{place} is on another file system"
        elif rule is Overwrite.REFUSE and not is_same(source, place):
            yield f"{place} exists"


def move(staged: Path, target: Path, rule: Overwrite) -> Moved:
    """Move what is `staged` to `target` by the rule. May be repeated, killed at any moment, until all is moved.

    Raises OSError, and FileExistsError for a file that has come there meanwhile.
    """
    if not _is_folder(staged):
        return _move_file(staged, target, rule)
    if not os.path.lexists(target):
        return _rename_folder(staged, target)
    moved = Moved()
    _make_writable(staged)
    for name in sorted(os.listdir(staged)):  # noqa: PTH208 - names of bytes that are no UTF-8 stay what they are
        moved += move(staged / name, target / name, rule)
    staged.rmdir()
    return moved


def is_same(one: Path, other: Path) -> bool:
    """Return whether two files have the same content, or two links the same target."""
    first, second = one.lstat(), other.lstat()
    if stat.S_IFMT(first.st_mode) != stat.S_IFMT(second.st_mode):
        return False
    if stat.S_ISLNK(first.st_mode):
        return one.readlink() == other.readlink()
    if (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino):
        return True
    return stat.S_ISREG(first.st_mode) and first.st_size == second.st_size and sha256_of(one) == sha256_of(other)


def sha256_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _move_file(staged: Path, target: Path, rule: Overwrite) -> Moved:
    if not os.path.lexists(target):
        # A rename would overwrite what came there in this moment; a link does not.
        os.link(staged, target, follow_symlinks=False)
        staged.unlink()
        return Moved(new=1)
    if is_same(staged, target):
        staged.unlink()
        return Moved(same=1)
    if rule is Overwrite.REFUSE:
        raise FileExistsError(errno.EEXIST, "it has come there since it was looked at", str(target))
    if rule is Overwrite.ALWAYS or (rule is Overwrite.IF_OLDER and _is_older(target, staged)):
        staged.replace(target)
        return Moved(overwritten=1)
    staged.unlink()
    return Moved(kept=1)


def _is_older(one: Path, other: Path) -> bool:
    return one.lstat().st_mtime_ns < other.lstat().st_mtime_ns


def _pairs(staged: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """Yield everything that is staged together with what stands in its place already."""
    if not os.path.lexists(target):
        return
    yield staged, target
    if _is_folder(staged) and _is_folder(target):
        for name in sorted(os.listdir(staged)):  # noqa: PTH208 - names of bytes that are no UTF-8 stay what they are
            yield from _pairs(staged / name, target / name)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _rename_folder(staged: Path, target: Path) -> Moved:
    files = sum(not _is_folder(each) for each in staged.rglob("*"))
    mode = _make_writable(staged)  # else only root may give it another parent
    staged.rename(target)
    if mode is not None:
        target.chmod(mode)
    return Moved(new=files)


def _make_writable(folder: Path) -> int | None:
    """Let us change what is in a folder, and return the mode that it had when it was another."""
    if os.access(folder, os.W_OK | os.X_OK):
        return None
    mode = stat.S_IMODE(folder.stat().st_mode)
    folder.chmod(mode | 0o700)
    return mode
