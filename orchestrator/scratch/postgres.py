"""A PostgreSQL server for restored data: inside a scratch folder, without network, gone with the folder.

It runs with fsync and full_page_writes off. That would be wrong for data that matters; this data is a copy that is
looked at once, and the time of a load is what a drill measures.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from orchestrator.errors import InvalidInput, ProcessFailed
from orchestrator.process import run, spawn, started_at
from orchestrator.scratch.account import check_passable, check_socket, make_home, system_account
from orchestrator.scratch.folder import MARK, Server, clear, end_server, record_server, space_watched

BINARIES = Path("/usr/lib/postgresql")
SYSTEM_USER = "postgres"  # PostgreSQL refuses to run as root
PACKAGE = "postgresql"
SUPERUSER = "postgres"
PORT = 5432  # a part of the socket's file name only: nothing listens on the network
INIT_SECONDS = 120.0
READY_SECONDS = 60.0
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "maintenance_work_mem": "128MB",
    "autovacuum": "off",
    "max_connections": "20",
    "dynamic_shared_memory_type": "mmap",  # so that a killed server leaves nothing outside its folder
}


@dataclass(frozen=True, slots=True)
class ScratchServer:
    """A running scratch server. Who may enter its socket's folder may connect: that is its user, and root."""

    socket_dir: Path
    port: int
    user: str
    server: Server

    @contextmanager
    def connect(self, database: str) -> Iterator[psycopg.Connection[Any]]:
        """Yield a connection, each statement its own transaction."""
        with psycopg.connect(
            host=str(self.socket_dir),
            port=self.port,
            user=self.user,
            dbname=database,
            connect_timeout=10,
            autocommit=True,
        ) as connection:
            yield connection

    def create_database(self, name: str) -> None:
        """Make an empty database. May be repeated: one of that name is dropped."""
        with self.connect("postgres") as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name))
            )

    def stop(self) -> None:
        """End the server. May be repeated."""
        end_server(self.server)

    def as_evidence(self) -> dict[str, Any]:
        return {"socket_dir": str(self.socket_dir), "user": self.user}


def check_place(root: Path) -> None:
    """Raise Refused when the user of a scratch server cannot get to `root`, saying what to change.

    Raises InvalidInput when there is no server to be started.
    """
    newest_binaries()
    check_passable(root, system_account(SYSTEM_USER, PACKAGE))


def start_server(scratch: Path, name: str) -> ScratchServer:
    """Make and start a server in the folder `name` of a scratch folder; return it when it answers.

    May be repeated: what a killed attempt left there is ended and made anew.

    Raises Refused for a place where it cannot work, NoSpace for a full disk, ProcessFailed otherwise.
    """
    home = scratch / name
    binaries, account = newest_binaries(), system_account(SYSTEM_USER, PACKAGE)
    user = account.pw_name if account else None
    socket = home / f".s.PGSQL.{PORT}"
    check_socket(socket)
    clear(scratch, home)
    make_home(home, account)
    data, log = home / "data", scratch / f"{name}.log"
    env = {MARK: str(scratch), "LC_ALL": "C.UTF-8"}
    with space_watched(scratch):
        run(
            [
                str(binaries / "initdb"), "-D", str(data), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8",
                "--locale=C.UTF-8", "--no-sync", "--no-instructions",
            ],
            deadline_seconds=INIT_SECONDS, env=env, cwd=home, user=user,
        )  # fmt: skip
        settings = {**SETTINGS, "unix_socket_directories": str(home)}
        flags = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        pid = spawn(
            [str(binaries / "postgres"), "-D", str(data), "-p", str(PORT), *flags],
            log=log, env=env, cwd=home, user=user,
        )  # fmt: skip
        server = ScratchServer(home, PORT, SUPERUSER, record_server(scratch, pid))
        _wait_ready(server, log)
    return server


def newest_binaries() -> Path:
    """Return the folder of the newest PostgreSQL server on this machine. Raises InvalidInput when there is none."""
    versions = [each for each in BINARIES.glob("*/bin") if (each / "initdb").exists()]
    if not versions:
        raise InvalidInput(
            f"no PostgreSQL server is installed: {BINARIES}/*/bin/initdb not found", hint="apt-get install postgresql"
        )
    return max(versions, key=lambda each: float(each.parent.name))


def _wait_ready(server: ScratchServer, log: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while True:
        try:
            with server.connect("postgres") as connection:
                connection.execute("SELECT 1")
                return
        except psycopg.OperationalError:
            gone = started_at(server.server.pid) != server.server.started
            if gone or time.monotonic() > end:
                server.stop()
                said = log.read_text(encoding="utf-8", errors="replace")
                raise ProcessFailed("postgres", -1, said) from None
        time.sleep(0.05)
