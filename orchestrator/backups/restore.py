"""Restore: what a recovery point holds, to a place of the caller's choice."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from orchestrator.backups.document import DUMP, IMAGE
from orchestrator.backups.sources.postgresql import Server
from orchestrator.catalogue.records import SourceCopy
from orchestrator.errors import NoSpace, ProcessFailed, Refused
from orchestrator.process import Child, find_program
from orchestrator.vault.restic import OnProgress, Repository

RESTORE_SECONDS = 12 * 3600.0
CHUNK = 1 << 20
SPARE_BYTES = 64 << 20


def check_target(target: Path, needed_bytes: int) -> None:
    """Raise Refused unless `target` is a new or empty folder, NoSpace unless `needed_bytes` fit there."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Refused(f"{target} is not empty; nothing was restored", hint="give a new or empty folder with --target")
    place = target
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed_bytes + SPARE_BYTES:
        raise NoSpace(
            f"{target}: {needed_bytes >> 20} MiB are needed and {free >> 20} MiB are free",
            hint="give a folder on a larger file system",
        )


def restore_source(
    repository: Repository, copy: SourceCopy, target: Path, *, on_progress: OnProgress | None = None
) -> Path:
    """Restore one source below `target` and return where it is: a folder tree, a dump file, or a raw image.

    May be repeated. Raises NoSpace when the place becomes full.
    """
    target.mkdir(parents=True, exist_ok=True)
    if copy.kind == "volume":
        return _restore_image(repository, copy, target / IMAGE)
    repository.restore(copy.snapshot_id, target, on_progress=on_progress)
    return target / DUMP if copy.kind == "postgresql" else target


def _restore_image(repository: Repository, copy: SourceCopy, image: Path) -> Path:
    """Write a disk image with holes where it is zero: restic 0.14 would write every zero."""
    zeros = bytes(CHUNK)
    try:
        with repository.open_file(copy.snapshot_id, IMAGE) as dump, image.open("wb") as file:
            while chunk := dump.read(CHUNK):
                if chunk == zeros[: len(chunk)]:
                    file.seek(len(chunk), os.SEEK_CUR)
                else:
                    file.write(chunk)
            file.truncate(file.tell())
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise NoSpace(f"{image.parent} is full", hint="give a folder on a larger file system") from error
        raise
    return image


def restore_into_database(repository: Repository, copy: SourceCopy, server: Server) -> None:
    """Load a dump into an empty database: restic's output is psql's input, through one pipe of the kernel.

    Raises ProcessFailed when either side fails; the database then holds part of the dump and is of no use.
    """
    argv = [
        find_program("psql", package="postgresql-client"),
        "--no-psqlrc",
        "--quiet",
        "--output=/dev/null",
        "--set=ON_ERROR_STOP=1",
        "--single-transaction",
    ]
    with repository.open_file(copy.snapshot_id, DUMP) as dump:
        with Child(argv, env=server.environment(), stdin=dump.stdout) as load:
            dump.close_stdout()  # else psql's end would not reach restic
            code = load.wait(RESTORE_SECONDS)
        if code != 0:
            raise ProcessFailed("psql", code, load.stderr)
