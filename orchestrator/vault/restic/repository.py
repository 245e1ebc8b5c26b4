"""One restic repository at one centre: every command that the program needs of it."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.errors import CheckFailed, InvalidInput, ProcessFailed, TricenterError, Unreachable
from orchestrator.process import Child, find_program
from orchestrator.secrets import Secret
from orchestrator.vault.restic import argv
from orchestrator.vault.restic.failures import Damaged, Incomplete
from orchestrator.vault.restic.messages import (
    Progress,
    Snapshot,
    Stored,
    parse_snapshots,
    parse_total_bytes,
)
from orchestrator.vault.restic.running import Invocation, Limits, Running, reading, run
from orchestrator.vault.restic.stream import Stream, streaming
from orchestrator.vault.s3 import Bucket, Credential

OnProgress = Callable[[Progress], None]
RESTORE_LOOK_SECONDS = 1.0
FORGET_AT_ONCE = 500
PRUNE_REFUSES = r"missing from the repository|packs from index missing|does not match calculated size|incomplete"


class Repository:
    """A repository at `prefix` of a tenant's bucket at one centre.

    Commands that only read take no lock: a stale one must never stand in the way of a recovery. Prune and forget
    are kept away by the lease of the repository, which their caller holds.
    """

    def __init__(
        self,
        centre: str,
        endpoint: str,
        region: str,
        bucket: str,
        prefix: str,
        credential: Credential,
        password: Secret,
        *,
        cache: Path,
        deadline_seconds: float = 6 * 3600,
        stall_seconds: float = 300,
    ) -> None:
        self.name = f"{centre}:{bucket}/{prefix}"
        self.prefix = prefix
        self.bucket = Bucket(centre, endpoint, region, bucket, credential)
        self._at = argv.Location(endpoint, region, bucket, prefix, cache)
        self._env = argv.environment(credential, password)
        self._limits = Limits(deadline_seconds, stall_seconds)

    def __str__(self) -> str:
        return self.name

    def environment(self) -> dict[str, str]:
        """Return the variables by which plain restic works on this repository. They hold its secrets."""
        return {**self._env, "RESTIC_REPOSITORY": self._at.url, "RESTIC_CACHE_DIR": str(self._at.cache)}

    def exists(self) -> bool:
        """Return whether there is a repository that opens with our password; False only when there is none.

        Raises CheckFailed when its `config` is gone and its data is not: initialising there would orphan the data.
        """
        if self.bucket.head(f"{self.prefix}/config") is None:
            # An interrupted init leaves a key and nothing else; that counts as none.
            for part in ("snapshots", "index", "data"):
                if next(self.bucket.list(f"{self.prefix}/{part}/"), None) is not None:
                    raise CheckFailed(
                        f"the repository {self.name} has lost its config and still holds {part}/",
                        hint="bring config back from another centre, or from an older version of the object",
                    )
            return False
        run(self._invoke("cat", "config", "--no-lock"))
        return True

    def init(self) -> None:
        """Make the repository. May be repeated: one that exists and opens is left as it is."""
        if self.exists():
            return
        # restic writes a key first and `config` last. A key that an interrupted init left holds another master key,
        # and whichever restic tries first decides whether the repository opens.
        for orphan in self.bucket.list(f"{self.prefix}/keys/"):
            self.bucket.delete(orphan.key)
        try:
            run(self._invoke("init"))
        except ProcessFailed as error:
            if "already" not in error.stderr or not self.exists():
                raise

    def backup_folder(
        self,
        folder: Path,
        *,
        host: str,
        tags: Sequence[str],
        exclude: Sequence[str] = (),
        on_progress: OnProgress | None = None,
    ) -> Stored:
        """Back up the content of `folder`, so that it can be restored anywhere. Return what was stored.

        Raises InvalidInput when there is no such folder or it is empty, and Incomplete (which holds what was
        stored) when files could not be read. May be repeated; a run that was stopped is continued cheaply.
        """
        if not folder.is_dir():
            raise InvalidInput(f"{folder} is no folder that can be backed up", hint="check the path of the source")
        if next(folder.iterdir(), None) is None:
            raise InvalidInput(f"the folder {folder} is empty", hint="is it mounted? restic stores no empty snapshot")
        words = argv.backup_here(host=host, tags=tags, exclude=exclude)
        what = replace(self._invoke(*words), cwd=folder, progresses=True)
        stored: Stored | None = None
        with Running(what) as running:
            for message in running.messages():
                if isinstance(message, Stored):
                    stored = message
                elif isinstance(message, Progress) and on_progress:
                    on_progress(message)
            code = running.finish(accept=(0, 3))
        if stored is None:
            raise ProcessFailed("restic", code, f"repository {self.name}: it reported no snapshot")
        stored = self._resolved(stored)
        if code == 3:
            raise Incomplete(self.name, stored, running.unread)
        return stored

    @contextlib.contextmanager
    def backup_stream(
        self, filename: str, *, host: str, tags: Sequence[str], on_progress: OnProgress | None = None
    ) -> Iterator[Stream]:
        """Yield a stream whose data becomes the file `/filename` of a snapshot when it is committed.

        Leaving the block without `commit`, or by an exception, leaves no snapshot and no lock. `on_progress` is
        called from another thread.
        """
        words = argv.backup_stdin(filename, host=host, tags=tags)
        what = replace(self._invoke(*words), progresses=True)
        with streaming(what, on_progress, self._resolved) as stream:
            yield stream

    def snapshots(self, *, tags: Sequence[str] = ()) -> list[Snapshot]:
        """Return the snapshots that carry all of `tags`, oldest first."""
        return parse_snapshots(run(self._invoke(*argv.snapshots(tags))))

    def restore(self, snapshot_id: str, target: Path, *, on_progress: OnProgress | None = None) -> None:
        """Restore a snapshot into `target`, made when missing. May be repeated into the same folder.

        Progress counts bytes as restic writes them. Raises NoSpace, CheckFailed (files could not be restored).
        """
        target.mkdir(parents=True, exist_ok=True)
        total = 0
        if on_progress:
            stats = ("stats", "--no-lock", "--mode", "restore-size", snapshot_id)
            total = parse_total_bytes(run(self._invoke(*stats)))
        with Running(self._invoke("restore", "--no-lock", snapshot_id, "--target", str(target))) as running:
            over = threading.Event()
            if on_progress:
                told = (running.child, total, over, on_progress)
                threading.Thread(target=_tell_of_restore, args=told, daemon=True).start()
            try:
                for _ in running.child.lines():
                    pass
                running.finish()
            except ProcessFailed as error:
                if error.code < 0:  # stopped from outside: that says nothing of the repository
                    raise
                raise CheckFailed(
                    f"{self.name}: snapshot {snapshot_id[:8]} was not restored whole: {_tail(error.stderr)}",
                    hint="another centre may hold a good copy; every byte is read by: "
                    "tricenter backup verify --depth data --all",
                ) from error
            finally:
                over.set()

    def read_file(self, snapshot_id: str, path: str) -> bytes:
        """Return the content of one file of a snapshot. For small documents: it is held in memory."""
        with self.open_file(snapshot_id, path) as child:
            return child.read()

    @contextlib.contextmanager
    def open_file(self, snapshot_id: str, path: str, *, stdout: int | None = None) -> Iterator[Child]:
        """Yield a child whose stdout is one file of a snapshot, or which writes it to the descriptor `stdout`.

        The block reads to the end. Raises on leaving when the file did not come whole.
        """
        what = self._invoke("dump", "--no-lock", snapshot_id, path)
        with reading(replace(what, stdout=stdout)) as child:
            yield child

    def check(self, *, read_data: bool = False, lock: bool = True) -> None:
        """Check the structure of the repository, and every byte with `read_data`. Raises Damaged.

        Without `lock`, a snapshot that is added meanwhile may look damaged although it is not.
        """
        try:
            run(self._invoke(*argv.check(read_data=read_data, lock=lock)))
        except ProcessFailed as error:
            if error.code < 0:  # stopped from outside: that says nothing of the repository
                raise
            raise Damaged(self.name, error.stderr) from error

    def forget(self, snapshot_ids: Sequence[str]) -> None:
        """Forget these snapshots, by their full ids. May be repeated: those that are gone are passed over.

        Their data stays until a prune. Only under the exclusive lease of the repository.
        """
        start = f"{self.prefix}/snapshots/"
        there = {each.key.removeprefix(start) for each in self.bucket.list(start)}
        present = [each for each in snapshot_ids if each in there]
        for first in range(0, len(present), FORGET_AT_ONCE):
            run(self._invoke(*argv.forget(present[first : first + FORGET_AT_ONCE])))

    def prune(self, *, repack: bool) -> None:
        """Remove the data that no snapshot refers to. May be repeated, also after it was killed.

        With `repack` packs of which only a part is in use are written anew. Only under the exclusive lease of the
        repository. Raises CheckFailed when data is missing; then nothing was removed.
        """
        try:
            run(self._invoke(*argv.prune(repack=repack)))
        except ProcessFailed as error:
            if not re.search(PRUNE_REFUSES, error.stderr):
                raise
            raise CheckFailed(
                f"restic does not prune {self.name}: {_tail(error.stderr)}",
                hint="tricenter backup verify shows what is wrong there; nothing was removed",
            ) from error

    def locks(self) -> int:
        """Return how many locks the repository holds, dead ones included."""
        return sum(1 for _ in self.bucket.list(f"{self.prefix}/locks/"))

    def unlock(self) -> None:
        """Remove the locks that are provably dead: of a process on this host that has ended, or of old age."""
        run(self._invoke("unlock"))

    def clear_dead_locks(self) -> None:
        """Unlock, if there is any lock: a restic that was killed has left its own. Cheap, and may be repeated."""
        if self.locks():
            self.unlock()

    def _invoke(self, *words: str) -> Invocation:
        program = find_program("restic", package="restic")
        self._at.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Asked first: the vault's own answer comes in seconds, and tells a refused key from a missing bucket.
        self.bucket.head(f"{self.prefix}/config")
        return Invocation(self.name, argv.command(program, self._at, *words), self._env, self._limits, self._answers)

    def _answers(self) -> bool:
        try:
            self.bucket.head(f"{self.prefix}/config")
        except Unreachable:
            return False
        except TricenterError:  # a refusal is an answer
            return True
        return True

    def _resolved(self, stored: Stored) -> Stored:
        """Return `stored` with the full id: restic 0.14 tells the first 8 digits."""
        if len(stored.snapshot_id) == 64:
            return stored
        start = f"{self.prefix}/snapshots/"
        found = [each.key.removeprefix(start) for each in self.bucket.list(start + stored.snapshot_id)]
        if len(found) != 1:
            raise CheckFailed(
                f"{self.name}: restic reported snapshot {stored.snapshot_id}, and {len(found)} have that name",
                hint="list the snapshots of the repository and back up again",
            )
        return replace(stored, snapshot_id=found[0])


def _tell_of_restore(child: Child, total: int, over: threading.Event, on_progress: OnProgress) -> None:
    """Tell how many bytes a restoring restic has written: 0.14 says nothing itself, and the kernel counts them."""
    counters = Path(f"/proc/{child.pid}/io")
    while not over.wait(RESTORE_LOOK_SECONDS):
        try:
            written = dict(line.split(": ") for line in counters.read_text().splitlines())["wchar"]
        except OSError:
            return
        on_progress(Progress(min(int(written), total), total, 0, 0))


def _tail(stderr: str) -> str:
    return " / ".join(stderr.strip().splitlines()[-3:]) or "restic said nothing"
