"""Restore: what a recovery point holds, to a place of the caller's choice."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.backups.asking import AnyServer
from orchestrator.backups.document import ARCHIVE, DATABASES, DEFINITION, DUMP, IMAGE, SERVER
from orchestrator.backups.objects.archive import Input
from orchestrator.backups.objects.folder import unpack_archive
from orchestrator.backups.sources.mysql import MysqlServer, find_client
from orchestrator.catalogue.records import SourceCopy
from orchestrator.errors import NoSpace, ProcessFailed
from orchestrator.process import Child, find_program
from orchestrator.vault.restic import OnProgress, Progress, Repository, telling_written

RESTORE_SECONDS = 12 * 3600.0
CHUNK = 1 << 20

#: What the one file of a snapshot is called, for the kinds that have one and are restored by restic itself.
FILE_OF_KIND = {**dict.fromkeys(DATABASES, DUMP), "cloud": DEFINITION, "server": SERVER}
SPARE_BYTES = 64 << 20


def check_room(target: Path, needed_bytes: int) -> int:
    """Return how many bytes are free where `target` is or would be. Raises NoSpace unless `needed_bytes` fit there."""
    place = target
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed_bytes + SPARE_BYTES:
        raise NoSpace(
            f"{target}: {needed_bytes >> 20} MiB are needed and {free >> 20} MiB are free",
            hint="give a folder on a larger file system",
        )
    return free


def restore_source(
    repository: Repository, copy: SourceCopy, target: Path, *, on_progress: OnProgress | None = None
) -> Path:
    """Restore one source below `target` and return where it is: a folder tree, a dump file, a raw image, a cloud's
    definition, or a folder with the objects of a bucket.

    May be repeated. Raises NoSpace when the place becomes full.
    """
    target.mkdir(parents=True, exist_ok=True)
    if copy.kind == "volume":
        return _restore_image(repository, copy, target / IMAGE, on_progress)
    if copy.kind == "bucket":
        return _restore_objects(repository, copy, target, on_progress)
    repository.restore(copy.snapshot_id, target, total_bytes=copy.bytes, on_progress=on_progress)
    return target / FILE_OF_KIND[copy.kind] if copy.kind in FILE_OF_KIND else target


def _restore_objects(repository: Repository, copy: SourceCopy, target: Path, on_progress: OnProgress | None) -> Path:
    """Unpack the objects of a bucket as they come: the archive itself needs no room."""
    with _saying_full(target), repository.open_file(copy.snapshot_id, ARCHIVE) as dump:
        unpack_archive(Counted(dump, copy.bytes, on_progress), target)
    return target


class Counted:
    """A stream that tells how much of it was read, as restic would."""

    def __init__(self, stream: Input, total: int, on_progress: OnProgress | None) -> None:
        self._stream, self._total, self._on_progress, self._done = stream, total, on_progress, 0

    def read(self, size: int = -1, /) -> bytes:
        piece = self._stream.read(size)
        self._done += len(piece)
        if self._on_progress:
            self._on_progress(Progress(min(self._done, self._total), self._total, 0, 0))
        return piece


@contextmanager
def _saying_full(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise NoSpace(f"{place} is full", hint="give a folder on a larger file system") from error
        raise


def restore_files(
    repository: Repository,
    copy: SourceCopy,
    target: Path,
    paths: Sequence[str],
    *,
    total_bytes: int,
    on_progress: OnProgress | None = None,
) -> Path:
    """Restore these files and folders of a folder tree below `target`, or all of it when there are none given.

    May be repeated.
    """
    target.mkdir(parents=True, exist_ok=True)
    repository.restore(copy.snapshot_id, target, only=paths, total_bytes=total_bytes, on_progress=on_progress)
    return target


def _restore_image(repository: Repository, copy: SourceCopy, image: Path, on_progress: OnProgress | None) -> Path:
    """Write a disk image with holes where it is zero: restic 0.14 would write every zero."""
    zeros = bytes(CHUNK)
    with (
        _saying_full(image.parent),
        repository.open_file(copy.snapshot_id, IMAGE) as dump,
        image.open("wb") as file,
    ):
        counted = Counted(dump, copy.bytes, on_progress)
        while chunk := counted.read(CHUNK):
            if chunk == zeros[: len(chunk)]:
                file.seek(len(chunk), os.SEEK_CUR)
            else:
                file.write(chunk)
        file.truncate(file.tell())
    return image


def restore_into_database(
    repository: Repository, copy: SourceCopy, server: AnyServer, *, on_progress: OnProgress | None = None
) -> None:
    """Load a dump into an empty database: restic's output is the client's input, through one pipe of the kernel.

    Raises ProcessFailed when either side fails; the database then holds part of the dump and is of no use.
    """
    program, argv = _loader(server)
    with repository.open_file(copy.snapshot_id, DUMP) as dump:
        with Child(argv, env=server.environment(), stdin=dump.stdout) as load:
            dump.close_stdout()  # else psql's end would not reach restic
            with telling_written(dump, copy.bytes, on_progress):  # the client does not tell how far it is
                code = load.wait(RESTORE_SECONDS)
        if code != 0:
            raise ProcessFailed(program, code, load.stderr)


def _loader(server: AnyServer) -> tuple[str, list[str]]:
    """Return the name and the command line of the client that loads a dump into a database."""
    if isinstance(server, MysqlServer):
        client = find_client("shell")
        return Path(client).name, [client, *server.words(), "--batch", server.database]
    psql = [
        find_program("psql", package="postgresql-client"),
        "--no-psqlrc",
        "--quiet",
        "--output=/dev/null",
        "--set=ON_ERROR_STOP=1",
        "--single-transaction",
    ]
    return "psql", psql
