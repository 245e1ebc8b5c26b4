"""The bureaus' database host at production: one PostgreSQL server, reached by password from 127.0.0.1 only."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from orchestrator.lab import daemons
from orchestrator.lab.daemons import Daemon
from orchestrator.lab.layout import Lab
from orchestrator.lab.packages import postgres_program
from orchestrator.secrets import write_private

SYSTEM_USER = "postgres"  # PostgreSQL refuses to run as root


def postgresql(lab: Lab) -> Daemon:
    port = lab.port("postgresql")
    return Daemon(
        name="postgresql",
        place="production",
        argv=[
            postgres_program("postgres"), "-D", str(lab.data / "postgresql"), "-p", str(port),
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off",
            "-c", "password_encryption=scram-sha-256",
        ],
        user=SYSTEM_USER,
        port=port,
        stop_signal=signal.SIGINT,  # "fast": SIGTERM would wait for the clients to leave
        grace_seconds=10,
    )  # fmt: skip


def prepare_postgresql(lab: Lab) -> None:
    """Make the data folder. Made under another name and moved into place, so what has the name is whole."""
    data = lab.data / "postgresql"
    if data.exists():
        return
    draft = lab.data / "postgresql.draft"
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
    draft.rename(data)


@contextmanager
def administrator(lab: Lab, database: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
    """Yield a connection of the server's administrator, each statement its own transaction."""
    with psycopg.connect(
        host="127.0.0.1",
        port=lab.port("postgresql"),
        dbname=database,
        user=SYSTEM_USER,
        password=lab.secret("postgresql.password"),
        connect_timeout=10,
        autocommit=True,
    ) as connection:
        yield connection
