"""The bureaus' database hosts, one PostgreSQL server at each centre, reached by password from 127.0.0.1 only.

Production's holds the databases that are backed up; the others are where they are restored to when systems move.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from orchestrator.lab import daemons
from orchestrator.lab.daemons import Daemon
from orchestrator.lab.layout import Centre, Lab
from orchestrator.lab.packages import postgres_program
from orchestrator.secrets import write_private

SYSTEM_USER = "postgres"  # PostgreSQL refuses to run as root
FOLDERS: dict[Centre, str] = {
    "production": "postgresql",
    "same-city": "postgresql-same-city",
    "provincial": "postgresql-provincial",
}


def postgresql(lab: Lab, centre: Centre = "production") -> Daemon:
    port = lab.database_port(centre)
    return Daemon(
        name=FOLDERS[centre],
        place=centre,
        argv=[
            postgres_program("postgres"), "-D", str(lab.data / FOLDERS[centre]), "-p", str(port),
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off",
            "-c", "password_encryption=scram-sha-256",
        ],
        user=SYSTEM_USER,
        port=port,
        stop_signal=signal.SIGINT,  # "fast": SIGTERM would wait for the clients to leave
        grace_seconds=10,
    )  # fmt: skip


def prepare_postgresql(lab: Lab, centres: Sequence[Centre]) -> None:
    """Make the data folders that are missing. Made under another name and moved, so what has the name is whole."""
    missing = [centre for centre in centres if not (lab.data / FOLDERS[centre]).exists()]
    if not missing:
        return
    first = lab.data / "postgresql.draft"
    _initialize(lab, first)
    for centre in missing[1:]:  # a copy takes a tenth of the time
        copy = lab.data / f"{FOLDERS[centre]}.draft"
        shutil.rmtree(copy, ignore_errors=True)
        daemons.run(lab, "postgresql-install", ["cp", "--archive", str(first), str(copy)], seconds=120)
        copy.rename(lab.data / FOLDERS[centre])
    first.rename(lab.data / FOLDERS[missing[0]])


def _initialize(lab: Lab, draft: Path) -> None:
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    password = write_private(lab.data / "postgresql.password", lab.secret("postgresql.password"))
    account = pwd.getpwnam(SYSTEM_USER)
    for path in (draft, password):
        os.chown(path, account.pw_uid, account.pw_gid)
    daemons.run(
        lab,
        "postgresql-install",
        [
            postgres_program("initdb"), "-D", str(draft), "-U", SYSTEM_USER, "-A", "scram-sha-256",
            f"--pwfile={password}", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
        ],
        seconds=120,
        user=SYSTEM_USER,
    )  # fmt: skip
    password.unlink()


@contextmanager
def administrator(
    lab: Lab, database: str = "postgres", centre: Centre = "production"
) -> Iterator[psycopg.Connection[Any]]:
    """Yield a connection of the centre's administrator, each statement its own transaction."""
    with psycopg.connect(
        host="127.0.0.1",
        port=lab.database_port(centre),
        dbname=database,
        user=SYSTEM_USER,
        password=lab.secret("postgresql.password"),
        connect_timeout=10,
        autocommit=True,
    ) as connection:
        yield connection
