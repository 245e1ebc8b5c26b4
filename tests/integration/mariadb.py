"""A MariaDB server with an application's database in it: on TCP, thrown away, and gone with its parent."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pymysql
from pymysql.cursors import Cursor

from orchestrator.process import Child, run
from orchestrator.scratch.account import make_home, system_account
from orchestrator.scratch.mysql import PACKAGE, SYSTEM_USER, find_server_program, listens
from orchestrator.server.listening import listen_on

START_SECONDS = 60


class Mariadb:
    """A server in `folder`, on a free port, with a superuser `root` that has a password."""

    def __init__(self, folder: Path) -> None:
        account = system_account(SYSTEM_USER, PACKAGE)
        self._user = account.pw_name if account else None
        self._home, self._data = folder / "mariadb", folder / "mariadb" / "data"
        make_home(self._home, account)
        with closing(listen_on("127.0.0.1", 0)) as taken:
            self.port = int(taken.getsockname()[1])
        self.password = secrets.token_hex(8)
        run(
            [
                find_server_program("mariadb-install-db"), "--no-defaults", f"--datadir={self._data}", "--skip-test-db",
                "--auth-root-authentication-method=normal", "--skip-name-resolve",
            ],
            deadline_seconds=START_SECONDS, cwd=self._home, user=self._user,
        )  # fmt: skip
        self._child: Child | None = None

    def start(self) -> None:
        """Start the server and return when it answers."""
        socket = self._home / "s"
        flags = [f"--datadir={self._data}", f"--socket={socket}", f"--port={self.port}", "--bind-address=127.0.0.1"]
        argv = [
            find_server_program("mariadbd"),
            "--no-defaults",
            *flags,
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=0",
        ]
        self._child = Child(argv, cwd=self._home, user=self._user)
        end = time.monotonic() + START_SECONDS
        while not listens(socket):
            assert self._child.running, self._child.stderr
            assert time.monotonic() < end, self._child.stderr
            time.sleep(0.05)
        with pymysql.connect(unix_socket=str(socket), user="root") as first, first.cursor() as cursor:
            cursor.execute("CREATE OR REPLACE USER root@127.0.0.1 IDENTIFIED BY %s", [self.password])
            cursor.execute("GRANT ALL ON *.* TO root@127.0.0.1 WITH GRANT OPTION")

    def stop(self) -> None:
        if self._child:
            self._child.__exit__()
            self._child = None

    @contextmanager
    def connect(self, database: str | None = None) -> Iterator[pymysql.Connection[Cursor]]:
        """Yield a connection of the superuser, each statement its own transaction."""
        with pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", password=self.password, database=database, autocommit=True
        ) as connection:
            yield connection
