"""A PostgreSQL server for a catalogue that several machines share: on TCP, thrown away, and gone with its parent."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from orchestrator.process import Child, run
from orchestrator.scratch.account import make_home, system_account
from orchestrator.scratch.postgres import PACKAGE, SYSTEM_USER, newest_binaries
from orchestrator.server.listening import listen_on

START_SECONDS = 60
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",  # no test pulls the plug of the machine
    "dynamic_shared_memory_type": "mmap",  # so that a killed server leaves nothing outside its folder
}


class Postgresql:
    """A server in `folder`, on a free port that it keeps over a restart. It trusts whoever connects."""

    def __init__(self, folder: Path) -> None:
        self._binaries, account = newest_binaries(), system_account(SYSTEM_USER, PACKAGE)
        self._user = account.pw_name if account else None
        self._home = folder / "postgresql"
        make_home(self._home, account)
        with closing(listen_on("127.0.0.1", 0)) as taken:
            self.port = int(taken.getsockname()[1])
        self._data = self._home / "data"
        words = ["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        run(
            [str(self._binaries / "initdb"), "-D", str(self._data), *words],
            deadline_seconds=START_SECONDS, cwd=self._home, user=self._user,
        )  # fmt: skip
        self._child: Child | None = None

    @property
    def data(self) -> Path:
        return self._data

    @property
    def home(self) -> Path:
        """A folder of the server's own user."""
        return self._home

    def start(self, **settings: str) -> None:
        """Start the server, with further settings, and return when it answers."""
        flags = [part for key, value in {**SETTINGS, **settings}.items() for part in ("-c", f"{key}={value}")]
        argv = [str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self.port), *flags]
        self._child = Child(argv, cwd=self._home, user=self._user)
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                with self.connect():
                    return
            except psycopg.OperationalError:
                assert self._child.running, self._child.stderr
                assert time.monotonic() < end, self._child.stderr
            time.sleep(0.05)

    def stop(self) -> None:
        """Throw everybody out and end, as `pg_ctl stop -m fast` does. May be repeated."""
        if self._child:
            self._child.__exit__()
            self._child = None

    def restart(self, away_seconds: float = 0.0) -> float:
        """Stop, stay away for a while, and start. Return how many seconds nobody could connect."""
        began = time.monotonic()
        self.stop()
        time.sleep(away_seconds)
        self.start()
        return time.monotonic() - began

    @contextmanager
    def connect(self, database: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        """Yield a connection, each statement its own transaction."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database, connect_timeout=10, autocommit=True
        ) as connection:
            yield connection

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"t{secrets.token_hex(4)}"
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        return f"postgresql://postgres:hunter2@127.0.0.1:{self.port}/{name}"
