"""A restore into a folder: fetched beside, proved there, and only then moved into its place.

All of it happens in `.tricenter-restore-XXXXXXXX` inside the target, whose name follows from what was asked for. So
half a restore can be told from a whole one, and the same command given again goes on: what was not proved is fetched
anew, and what was proved is moved to the end, without asking a vault.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestrator.backups.document import GLOBALS
from orchestrator.backups.merging import Moved, Overwrite, clashes, move, sha256_of
from orchestrator.backups.parts import Part, is_tree
from orchestrator.backups.restore import restore_files, restore_source
from orchestrator.errors import Busy, CheckFailed, NoSpace, Refused
from orchestrator.scratch.folder import remove_tree
from orchestrator.secrets import write_private
from orchestrator.vault.restic import Progress, Repository

PREFIX = ".tricenter-restore-"
RECORD = "record.json"
LOCK = "lock"
NAMED = 5

#: Told of a source, how many bytes of how many are there.
OnBytes = Callable[[str, float, float], None]


@dataclass(frozen=True, slots=True)
class Present:
    """A file of the parts that is at the target already; whether its content is the one that would come."""

    path: str
    same: bool


@dataclass(frozen=True, slots=True)
class Restored:
    """One source that came back: where it is, how it was proved, and how its files came into place."""

    source: str
    kind: str
    path: str
    bytes: int
    proved: bool
    detail: str
    moved: Moved | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def key_of_request(*words: object) -> str:
    """Return eight digits that are the same for the same request. Pure."""
    return hashlib.sha256(json.dumps(words, default=str).encode("utf-8", "surrogateescape")).hexdigest()[:8]


def find_present(parts: Sequence[Part], target: Path) -> list[Present]:
    """Return which files of the parts are at the target already. Reads those of the same size."""
    found = []
    for part in parts:
        for key, state in part.files.items():
            place = target / part.source / key
            if os.path.lexists(place):
                regular = place.is_file() and not place.is_symlink() and place.stat().st_size == state.size
                found.append(Present(str(place), regular and state.sha256 == sha256_of(place)))
    return found


def check_present(present: Sequence[Present], rule: Overwrite) -> None:
    """Raise Refused when something would be overwritten and nobody has said that it may."""
    if rule is Overwrite.REFUSE and (other := [each.path for each in present if not each.same]):
        raise _in_the_way(other)


def _in_the_way(said: Sequence[str]) -> Refused:
    more = f" and {len(said) - NAMED} more" if len(said) > NAMED else ""
    return Refused(
        f"nothing was restored: {len(said)} files are there already: {', '.join(said[:NAMED])}{more}",
        hint="give an empty folder, or say what becomes of them: --overwrite never, if-older or always",
    )


class Staging:
    """The folder beside the target's content in which a restore is made ready."""

    def __init__(self, target: Path, key: str) -> None:
        self._target, self.folder = target, target / f"{PREFIX}{key}"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only one that works on this restore. Raises Busy; the kernel lets go when a process ends."""
        with _in_words(self._target):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with (self.folder / LOCK).open("a", encoding="ascii") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise Busy(f"another process does this restore into {self._target}", hint="wait for it") from None
                yield

    def proved(self) -> Mapping[str, Any] | None:
        """Return what an earlier, killed attempt had proved and was moving; None when there is nothing of that."""
        try:
            record: Mapping[str, Any] = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return record

    def fetch(self, repository: Repository, parts: Sequence[Part], on_bytes: OnBytes) -> list[Restored]:
        """Restore the parts here and prove them. What was here before is worth nothing. Raises CheckFailed."""
        done = []
        for part in parts:
            remove_tree(self._staged(part.source))
            with _in_words(self._target):
                proof = part.prove(place := _restore(repository, part, self._staged(part.source), on_bytes))
            if proof.faults:
                said = "; ".join(proof.faults[:NAMED])
                raise CheckFailed(f"{part.source}: the restored data differs from what was backed up: {said}")
            path = self._target / place.relative_to(self.folder / "data")
            copy = part.proof.copy
            done.append(Restored(part.source, copy.kind, str(path), part.bytes, proof.proved, proof.detail))
        return done

    def check(self, sources: Sequence[str], rule: Overwrite) -> None:
        """Raise Refused unless what is here may be moved into its place by the rule."""
        if said := [each for name in sources for each in clashes(self._staged(name), self._target / name, rule)]:
            raise _in_the_way(said)

    def settle(self, told: Mapping[str, Any]) -> None:
        """Write down that all is proved, and what there is to tell of it: from now on it is only moved."""
        with _in_words(self._target):
            write_private(self.folder / RECORD, json.dumps(told, ensure_ascii=True))

    def move(self, sources: Sequence[str], rule: Overwrite) -> dict[str, Moved]:
        """Move what is proved into its place. To be called again after a crash; then it tells of the rest only."""
        moved = {}
        with _in_words(self._target):
            for name in sources:
                staged = self._staged(name)
                moved[name] = move(staged, self._target / name, rule) if os.path.lexists(staged) else Moved()
        return moved

    def forget(self) -> None:
        """Take the folder away, its record first: killed half-way, what is left is an attempt that proved nothing."""
        with _in_words(self._target):
            (self.folder / RECORD).unlink(missing_ok=True)
            remove_tree(self.folder)

    def _staged(self, source: str) -> Path:
        return self.folder / "data" / source


def _restore(repository: Repository, part: Part, target: Path, on_bytes: OnBytes) -> Path:
    def report(progress: Progress) -> None:
        on_bytes(part.source, progress.done_bytes, progress.total_bytes)

    copy = part.proof.copy
    if is_tree(part.proof):
        place = restore_files(repository, copy, target, part.paths, total_bytes=part.bytes, on_progress=report)
    else:
        place = restore_source(repository, copy, target, on_progress=report)
        if told := part.proof.facts.get("globals"):
            (target / GLOBALS).write_text(told, encoding="utf-8")
    on_bytes(part.source, part.bytes, part.bytes)
    return place


@contextmanager
def _in_words(target: Path) -> Iterator[None]:
    """Say what the file system refuses in our own words."""
    try:
        yield
    except OSError as error:
        said = f"{target}: {error.strerror} ({error.filename})"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(said, hint="free some space there, then give the same command again") from error
        raise Refused(said, hint="who may write there? then give the same command again") from error
