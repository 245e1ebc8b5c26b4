"""One restic repository at one centre: every command that the program needs of it."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Collection, Iterator, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

from orchestrator.errors import CheckFailed, CredentialRefused, InvalidInput, ProcessFailed, TricenterError, Unreachable
from orchestrator.process import Child, find_program, started_at
from orchestrator.secrets import Secret, is_made, read_secret
from orchestrator.vault.pace import Bandwidth
from orchestrator.vault.restic import argv
from orchestrator.vault.restic.failures import Damaged, Incomplete, tail
from orchestrator.vault.restic.messages import (
    Key,
    Node,
    Progress,
    Snapshot,
    Stored,
    parse_found,
    parse_index,
    parse_keys,
    parse_lock,
    parse_nodes,
    parse_snapshots,
)
from orchestrator.vault.restic.running import Invocation, Limits, Running, reading, run, run_telling
from orchestrator.vault.restic.stream import Stream, streaming
from orchestrator.vault.restic.written import OnProgress, telling_written
from orchestrator.vault.s3 import Bucket, Credential

FORGET_AT_ONCE = 500
#: So many blobs are looked for at once: their ids are words of a command.
FIND_AT_ONCE = 5000
#: Each folder that is lost is asked for again for most of a minute.
FIND_SECONDS = 300.0
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
        remover: Credential | None = None,
        cache: Path,
        deadline_seconds: float = 6 * 3600,
        stall_seconds: float = 300,
        gone_seconds: float = 20,
        bandwidth: Bandwidth | None = None,
    ) -> None:
        self.name = f"{centre}:{bucket}/{prefix}"
        self.prefix = prefix
        self.bucket = Bucket(centre, endpoint, region, bucket, credential, bandwidth=bandwidth)
        # What writes may not delete. Restic is never given the other credential.
        self._removing = Bucket(centre, endpoint, region, bucket, remover or credential)
        self._at = argv.Location(endpoint, region, bucket, prefix, cache)
        self._env = argv.environment(credential, password)
        self._limits, self._bandwidth = Limits(deadline_seconds, stall_seconds, gone_seconds), bandwidth

    def __str__(self) -> str:
        return self.name

    def environment(self) -> dict[str, str]:
        """Return the variables by which plain restic works on this repository. They hold its secrets."""
        return {**self._env, "RESTIC_REPOSITORY": self._at.url, "RESTIC_CACHE_DIR": str(self._at.cache)}

    def exists(self) -> bool:
        """Return whether there is a repository that opens with our password; False only when there is none.

        Raises as `is_there`, and CredentialRefused when the password does not open it.
        """
        if not self.is_there():
            return False
        run(self._invoke("cat", "config", "--no-lock"))
        return True

    def is_there(self) -> bool:
        """Return whether there is a repository, without opening it: that costs a second, and a backup does it anyway.

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
        return True

    def init(self) -> None:
        """Make the repository. May be repeated: one that exists and opens is left as it is.

        Where the password is one that this program made, its key is cheap to derive, which costs no safety.
        """
        from orchestrator.vault.restic import creation  # only where it is needed: it loads cryptography

        if self.exists():
            creation.clear(self.bucket, self._removing, self.prefix)
            return
        if is_made(self._password()):
            creation.create(self.bucket, self._removing, self.prefix, self._password())
            self.exists()  # by restic itself
            return
        # restic writes a key first and `config` last. A key that an interrupted init left holds another master key,
        # and whichever restic tries first decides whether the repository opens.
        for orphan in self.bucket.list(f"{self.prefix}/keys/"):
            self._removing.delete(orphan.key)
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
        one_file_system: bool = False,
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
        words = argv.backup_here(host=host, tags=tags, exclude=exclude, one_file_system=one_file_system)
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
        if on_progress:  # restic may have been done before it said anything
            on_progress(Progress(stored.bytes, stored.bytes, stored.files, stored.files))
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

    def restore(
        self,
        snapshot_id: str,
        target: Path,
        *,
        only: Sequence[str] = (),
        total_bytes: int = 0,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Restore a snapshot into `target`, made when missing, or `only` these files and folders of it.

        May be repeated into the same folder. Progress counts bytes as restic writes them, of the `total_bytes` that
        the caller expects. Raises NoSpace, CheckFailed (files could not be restored).
        """
        target.mkdir(parents=True, exist_ok=True)
        with Running(self._invoke(*argv.restore(snapshot_id, target, only))) as running:
            try:
                with telling_written(running.child, total_bytes, on_progress):
                    for _ in running.child.lines():
                        pass
                    running.finish()
            except ProcessFailed as error:
                if error.code < 0:  # stopped from outside: that says nothing of the repository
                    raise
                raise CheckFailed(
                    f"{self.name}: snapshot {snapshot_id[:8]} was not restored whole: {tail(error.stderr)}",
                    hint="another centre may hold a good copy; every byte is read by: "
                    "tricenter backup verify --depth data --all",
                ) from error

    def list_folder(self, snapshot_id: str, folder: str) -> list[Node]:
        """Return what lies directly in a folder of a snapshot (`/` or `/a/b`), by name. Empty when it is not there."""
        return parse_nodes(run(self._invoke("ls", "--no-lock", snapshot_id, folder)), folder)

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

    def index_packs(self, index_id: str) -> frozenset[str]:
        """Return the ids of the packs that an index names."""
        return frozenset(self._index(index_id))

    def snapshots_with(self, packs: Collection[str]) -> frozenset[str]:
        """Return the snapshots that need anything of these packs, which may be lost. Reads every snapshot's folders."""
        kinds: dict[str, list[str]] = {"data": [], "tree": []}
        for index in list(self.bucket.list(f"{self.prefix}/index/")):
            for pack, blobs in self._index(index.key.rpartition("/")[2]).items():
                if pack in packs:
                    for blob, kind in blobs:
                        kinds[kind].append(blob)
        found: set[str] = set()
        for kind, ids in kinds.items():
            for first in range(0, len(ids), FIND_AT_ONCE):
                found |= self._needing(kind, ids[first : first + FIND_AT_ONCE])
        return frozenset(found)

    def _index(self, index_id: str) -> dict[str, list[tuple[str, str]]]:
        return parse_index(run(self._invoke("cat", "index", index_id, "--no-lock")))

    def _needing(self, kind: str, blobs: Sequence[str]) -> set[str]:
        """Return the snapshots in which restic finds one of these blobs, and those whose folders it cannot read."""
        limits = replace(self._limits, deadline_seconds=FIND_SECONDS)
        found, said = run_telling(replace(self._invoke(*argv.find(kind, blobs)), limits=limits))
        return {*parse_found(found), *re.findall(r"belongs to snapshot ([0-9a-f]{64})", said)}

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
                f"restic does not prune {self.name}: {tail(error.stderr)}",
                hint="tricenter backup verify shows what is wrong there; nothing was removed",
            ) from error

    def with_password(self, password: Secret) -> Repository:
        """Return the same repository as another password opens it."""
        other = copy(self)
        other._env = {**self._env, "RESTIC_PASSWORD": password.reveal()}
        return other

    def _password(self) -> Secret:
        return Secret(self._env["RESTIC_PASSWORD"])

    def opens(self) -> bool:
        """Return whether the password opens the repository. Raises Unreachable, and InvalidInput for none."""
        try:
            run(self._invoke("cat", "config", "--no-lock"))
        except CredentialRefused:
            self.bucket.head(f"{self.prefix}/config")  # raises when it was the vault that refused us
            return False
        return True

    def list_keys(self) -> list[Key]:
        """Return the keys of the repository: each opens it with a password of its own. Raises CredentialRefused."""
        return parse_keys(run(self._invoke("key", "list", "--no-lock")))

    def add_key(self, password_file: Path) -> None:
        """Let the password in a file open the repository as well, cheaply when this program made it.

        Repeated, it adds another key.
        """
        new = read_secret(f"file:{password_file}")
        if is_made(new):
            from orchestrator.vault.restic import creation  # only here: it needs cryptography

            creation.add_cheap_key(self.bucket, self.prefix, self._password(), new)
            return
        run(self._invoke("key", "add", "--new-password-file", str(password_file)))

    def key_costs(self) -> dict[str, int]:
        """Return how many rounds (scrypt's N) deriving each key takes, by full id. Restic tries one after the other."""
        from orchestrator.vault.restic.creation import key_costs  # only here: it needs cryptography

        return key_costs(self.bucket, self.prefix)

    def remove_key(self, key: str) -> None:
        """Remove a key by the id that `list_keys` told, never the one that opened the repository.

        Its object stays as an old version where the vault keeps versions. Only under the exclusive lease.
        """
        from orchestrator.vault.restic import creation  # only where it is needed: it loads cryptography

        creation.clear(self.bucket, self._removing, self.prefix)
        run(self._invoke("key", "remove", key))

    def locks(self) -> int:
        """Return how many locks the repository holds, dead ones included."""
        return sum(1 for _ in self.bucket.list(f"{self.prefix}/locks/"))

    def unlock(self) -> None:
        """Remove the locks that are provably dead: of a process on this host that has ended, or of old age."""
        run(self._invoke("unlock"))

    def clear_dead_locks(self) -> None:
        """Unlock, if there is any lock: a restic that was killed has left its own. Cheap, and may be repeated."""
        if not self.locks():
            return
        self.unlock()
        for entry in list(self.bucket.list(f"{self.prefix}/locks/")):
            if self._is_of_the_dead(entry.key.rpartition("/")[2]):
                self.bucket.delete(entry.key)

    def _is_of_the_dead(self, lock: str) -> bool:
        """Return whether a lock is of a process of this host that has ended, and that init has not waited for yet.

        For restic that one is alive, as it answers to signals; init takes seconds for it on some machines.
        """
        try:
            holder = parse_lock(run(self._invoke("cat", "lock", lock, "--no-lock")))
        except (ProcessFailed, InvalidInput):  # gone meanwhile
            return False
        return holder.host == socket.gethostname() and started_at(holder.pid) is None

    def _invoke(self, *words: str) -> Invocation:
        program = find_program("restic", package="restic")
        self._at.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Asked first: the vault's own answer comes in seconds, and tells a refused key from a missing bucket.
        self.bucket.head(f"{self.prefix}/config")
        command = argv.command(program, self._at, *words, rates=self._bandwidth.rates() if self._bandwidth else None)
        return Invocation(self.name, command, self._env, self._limits, self._answers)

    def _answers(self) -> bool:
        try:
            self.bucket.head_within(f"{self.prefix}/config")
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
