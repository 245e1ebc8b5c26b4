"""A MariaDB server for restored data of `mysql` sources: inside a scratch folder, without network, gone with it.

It does not write safely to disk, which would be wrong for data that matters; this data is a copy that is looked at
once, and the time of a load is what a drill measures.
"""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
from pymysql.cursors import Cursor

from orchestrator.errors import InvalidInput, ProcessFailed
from orchestrator.process import run, spawn, started_at
from orchestrator.scratch.account import check_passable, check_socket, make_home, system_account
from orchestrator.scratch.folder import MARK, Server, clear, end_server, record_server, space_watched

SYSTEM_USER = "mysql"
PACKAGE = "mariadb-server"
SUPERUSER = "root"
INIT_SECONDS = 120.0
READY_SECONDS = 60.0
#: Where Debian has what is no command of a user.
SYSTEM_BINARIES = "/usr/sbin:/usr/local/sbin"
SETTINGS = (
    "--skip-networking", "--skip-grant-tables", "--skip-log-bin", "--skip-slave-start",
    "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-flush-method=nosync",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=48M", "--performance-schema=OFF", "--max-allowed-packet=1G", "--event-scheduler=OFF",
    "--character-set-server=utf8mb4",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScratchMysql:
    """A running scratch server. Who may enter its socket's folder may connect: that is its user, and root."""

    socket: Path
    user: str
    server: Server

    @contextmanager
    def connect(self) -> Iterator[pymysql.Connection[Cursor]]:
        """Yield a connection, each statement its own transaction."""
        with pymysql.connect(unix_socket=str(self.socket), user=self.user, connect_timeout=10, autocommit=True) as made:
            yield made

    def create_database(self, name: str) -> None:
        """Make an empty database. May be repeated: one of that name is dropped. `name` is ours, and plain."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")

    def stop(self) -> None:
        """End the server. May be repeated."""
        end_server(self.server)

    def as_evidence(self) -> dict[str, Any]:
        return {"socket": str(self.socket), "user": self.user}


def check_place(root: Path) -> None:
    """Raise Refused when the user of a scratch server cannot get to `root`, saying what to change.

    Raises InvalidInput when there is no server to be started.
    """
    find_server_program("mariadbd")
    find_server_program("mariadb-install-db")
    check_passable(root, system_account(SYSTEM_USER, PACKAGE))


def start_server(scratch: Path, name: str) -> ScratchMysql:
    """Make and start a server in the folder `name` of a scratch folder; return it when it answers.

    May be repeated: what a killed attempt left there is ended and made anew.

    Raises Refused for a place where it cannot work, NoSpace for a full disk, ProcessFailed otherwise.
    """
    home = scratch / name
    account = system_account(SYSTEM_USER, PACKAGE)
    user = account.pw_name if account else None
    path = home / "s"
    check_socket(path)
    clear(scratch, home)
    make_home(home, account)
    data, log = home / "data", scratch / f"{name}.log"
    env = {MARK: str(scratch), "LC_ALL": "C.UTF-8"}
    with space_watched(scratch):
        run(
            [
                find_server_program("mariadb-install-db"), "--no-defaults", f"--datadir={data}",
                "--skip-test-db", "--auth-root-authentication-method=normal", "--skip-name-resolve",
            ],
            deadline_seconds=INIT_SECONDS, env=env, cwd=home, user=user,
        )  # fmt: skip
        pid = spawn(
            [find_server_program("mariadbd"), "--no-defaults", f"--datadir={data}", f"--socket={path}",
             f"--tmpdir={home}", f"--pid-file={home / 'pid'}", *SETTINGS],
            log=log, env=env, cwd=home, user=user,
        )  # fmt: skip
        server = ScratchMysql(path, SUPERUSER, record_server(scratch, pid))
        _wait_ready(server, log)
    return server


def find_server_program(name: str) -> str:
    """Return the path of a program of the server. Raises InvalidInput when it is not installed."""
    path = shutil.which(name) or shutil.which(name, path=SYSTEM_BINARIES)
    if path is None:
        raise InvalidInput(f"no MariaDB server is installed: {name} not found", hint="apt-get install mariadb-server")
    return path


def _wait_ready(server: ScratchMysql, log: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while not listens(server.socket):
        gone = started_at(server.server.pid) != server.server.started
        if gone or time.monotonic() > end:
            server.stop()
            said = log.read_text(encoding="utf-8", errors="replace")
            raise ProcessFailed("mariadbd", -1, said)
        time.sleep(0.05)


def listens(path: Path) -> bool:
    """Return whether a server listens at a socket, as it does once it is ready. PyMySQL, asked before, leaks one."""
    with socket.socket(socket.AF_UNIX) as tried:
        return tried.connect_ex(str(path)) == 0
