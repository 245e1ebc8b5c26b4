"""The place of a folder tree: restored beside it, on the same file system, and swapped by two renames.

What a run restores lies in `.NAME.tricenter-RUN/data`, in a folder of ours that carries a record. Where a run is with
a place is read from the record and from which names exist, so that it can be killed between any two renames.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.backups.access import Access
from orchestrator.backups.document import SourceProof
from orchestrator.backups.places.common import Back, Placed, Swapped
from orchestrator.backups.restore import SPARE_BYTES, restore_source
from orchestrator.errors import CheckFailed, NoSpace, Refused
from orchestrator.scratch.folder import remove_tree
from orchestrator.secrets import write_private
from orchestrator.vault.restic import OnProgress, Repository

RECORD = ".tricenter-place"
DATA = "data"


@dataclass(frozen=True, slots=True)
class Record:
    """What a run knows of a place: whether something stood there (None before the swap), and whether it is over."""

    existed: bool | None = None
    committed: bool = False


@dataclass(frozen=True, slots=True)
class PathPlace:
    """A folder on this machine."""

    path: str

    def __str__(self) -> str:
        return self.path

    @property
    def here(self) -> bool:
        return True

    @property
    def _target(self) -> Path:
        return Path(self.path)

    def _home(self, run: str) -> Path:
        return self._target.with_name(f".{self._target.name}.tricenter-{run}")

    def _before(self, run: str) -> Path:
        return self._target.with_name(f"{self._target.name}.before-{run}")

    def as_argument(self) -> str:
        return json.dumps({"kind": "path", **asdict(self)}, ensure_ascii=False)

    def check(self, access: Access, need_bytes: int) -> None:
        del access
        parent = self._target.parent
        if not parent.is_dir():
            raise Refused(f"{self.path}: the folder {parent} is not there", hint=f"mkdir {parent}, or mount what it is")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise Refused(f"{self.path}: may not rename in {parent}", hint="run as a user who may write there")
        if self._target.is_symlink() or self._target.is_mount():
            what = "a symbolic link" if self._target.is_symlink() else "a mount point"
            raise Refused(
                f"{self.path} is {what} and cannot be renamed",
                hint="name a folder below it as the source's place, in the system's standby",
            )
        free = shutil.disk_usage(parent).free
        if free < need_bytes + SPARE_BYTES:
            raise NoSpace(
                f"{parent}: {need_bytes >> 20} MiB are needed beside what stands there, {free >> 20} MiB are free",
                hint="free some space there",
            )

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
        home, data = self._home(run), self._home(run) / DATA
        if self._swapped(run):
            return Placed(self.path, self.path, proof.copy.bytes)
        self.check(access, proof.copy.bytes)
        with _in_words(self.path):
            home.mkdir(mode=0o700, exist_ok=True)
            if not (home / RECORD).exists():
                self._write(run, Record())
            remove_tree(data)  # half of a restore, left by a killed attempt, is worth nothing
            data.mkdir(mode=0o700)
            restore_source(repository, proof.copy, data, on_progress=on_progress)
        return Placed(self.path, str(data), proof.copy.bytes)

    def data(self, access: Access, run: str, scratch: Path) -> Path:
        del access, scratch
        return self._target if self._swapped(run) else self._home(run) / DATA

    def swap(self, access: Access, run: str) -> Swapped:
        del access
        data, before = self._home(run) / DATA, self._before(run)
        record = self._read(run)
        if record is None or (record.existed is None and not data.exists()):
            raise CheckFailed(f"{self.path}: nothing was restored there by run {run}", hint="restore it first")
        if record.existed is None:
            record = Record(existed=self._target.exists())
            self._write(run, record)
        if data.exists():
            if self._target.exists() and before.exists():
                raise CheckFailed(
                    f"{self.path} came back while it was being replaced: somebody made it anew",
                    hint=f"stop the application that uses {self.path}, look at what it wrote, move it away, try again",
                )
            with _in_words(self.path):
                _as_it_was(data, like=self._target if self._target.exists() else before)
                if self._target.exists():
                    _rename(self._target, before)
                _rename(data, self._target)
        return Swapped(self.path, str(before) if record.existed else None)

    def undo(self, access: Access, run: str) -> Back:
        del access
        data, before = self._home(run) / DATA, self._before(run)
        record = self._read(run)
        if record is None:
            with _in_words(self.path):
                self._forget(run)
            return Back.NOTHING
        if record.committed:
            return Back.COMMITTED
        swapped = record.existed is not None and not data.exists()
        with _in_words(self.path):
            if swapped and self._target.exists() and (before.exists() or not record.existed):
                _rename(self._target, data)
            if before.exists() and not self._target.exists():
                _rename(before, self._target)
            if before.exists():
                raise CheckFailed(
                    f"{self.path} cannot be put back: somebody made it anew, and {before} is what was there",
                    hint=f"move {self.path} away, then try again",
                )
            remove_tree(data)
            self._forget(run)
        return Back.BACK if record.existed is not None else Back.DROPPED

    def commit(self, access: Access, run: str) -> None:
        del access
        record = self._read(run)
        if record is None:  # committed before
            with _in_words(self.path):
                self._forget(run)
            return
        if not self._swapped(run) and not record.committed:
            raise CheckFailed(f"{self.path}: nothing was swapped by run {run}", hint="swap it first, or undo it")
        self._write(run, Record(record.existed, committed=True))
        with _in_words(self.path):
            remove_tree(self._before(run))
            self._forget(run)

    def drop(self, access: Access, run: str) -> None:
        record = self._read(run)
        if record is not None and record.existed is None:
            self.undo(access, run)

    def _swapped(self, run: str) -> bool:
        record = self._read(run)
        gone = not (self._home(run) / DATA).exists()
        return record is not None and record.existed is not None and gone and self._target.exists()

    def _read(self, run: str) -> Record | None:
        try:
            return Record(**json.loads((self._home(run) / RECORD).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def _write(self, run: str, record: Record) -> None:
        write_private(self._home(run) / RECORD, json.dumps(asdict(record)))

    def _forget(self, run: str) -> None:
        """Remove our folder, its record last: killed half-way, what is left can still be told to be ours."""
        home = self._home(run)
        if not home.exists():
            return
        for draft in home.glob(f".{RECORD}.*"):  # of a record that was being written when we were killed
            draft.unlink()
        (home / RECORD).unlink(missing_ok=True)
        home.rmdir()


def _as_it_was(data: Path, *, like: Path) -> None:
    """Give a restored folder the owner and mode of the one whose place it takes: restic keeps what is in it only."""
    model = like if like.exists() else data.parent.parent
    status = model.stat()
    if os.geteuid() == 0:
        os.chown(data, status.st_uid, status.st_gid)
    data.chmod(status.st_mode & 0o7777)


def _rename(source: Path, target: Path) -> None:
    source.rename(target)
    for folder in {source.parent, target.parent}:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # a power cut must not leave the first of two renames undone
        finally:
            os.close(descriptor)


@contextmanager
def _in_words(path: str) -> Iterator[None]:
    """Say what the file system refuses in our own words."""
    try:
        yield
    except OSError as error:
        said = f"{path}: {error.strerror} ({error.filename})"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(said, hint="free some space there") from error
        hint = "it is a mount point; name a folder below it" if error.errno == errno.EBUSY else "who may write there?"
        raise Refused(said, hint=hint) from error
