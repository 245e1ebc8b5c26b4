"""A bureau's database as it is in life: an owner that the application logs in as, and a user of ours beside it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import psycopg
from psycopg import sql

from orchestrator.backups.access import Access
from orchestrator.backups.document import SourceProof
from orchestrator.backups.places.postgresql import DatabasePlace
from orchestrator.catalogue.records import SourceCopy
from orchestrator.process import Child
from orchestrator.secrets import Secret
from orchestrator.vault.restic import Repository
from tests.integration.postgresql import Postgresql


class Secrets:
    """Nothing but secrets: a place asks the object graph for no more."""

    def secret(self, reference: str, **names: str) -> Secret:
        del reference, names
        return Secret("hunter2")


ACCESS = cast(Access, Secrets())


class Dumps:
    """A repository that holds one dump, read through a real process as from restic."""

    def __init__(self, dump: str) -> None:
        self._dump = dump

    @contextmanager
    def open_file(self, snapshot_id: str, path: str, *, stdout: int | None = None) -> Iterator[Child]:
        del snapshot_id, path, stdout
        with Child(["printf", "%s", self._dump]) as child:
            yield child


def repository_of(dump: str) -> Repository:
    return cast(Repository, Dumps(dump))


def proof_of(tables: dict[str, Any] | None = None) -> SourceProof:
    copy = SourceCopy("register", "postgresql", "a" * 64, datetime.now(UTC), 100, 1)
    return SourceProof(copy, {"tables": tables or {}})


@dataclass
class Bureau:
    """A database `registry…` of the role `app…`, and the role `tricenter…`, a member of it that may make databases."""

    server: Postgresql
    database: str
    owner: str
    user: str

    @property
    def place(self) -> DatabasePlace:
        return DatabasePlace("127.0.0.1", self.server.port, self.database, self.user, "file:none")

    @contextmanager
    def as_client(self, database: str | None = None, user: str | None = None) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(
            host="127.0.0.1",
            port=self.server.port,
            user=user or self.owner,
            dbname=database or self.database,
            connect_timeout=10,
            autocommit=True,
        ) as connection:
            yield connection

    def names(self) -> set[str]:
        """The databases of this bureau, by what their names have beside its own."""
        with self.server.connect() as connection:
            rows = connection.execute(
                "SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{self.database}%"]
            ).fetchall()
        return {str(row[0]).removeprefix(self.database) for row in rows}

    def state(self) -> Any:
        """All that the server knows of the database: owner, comment, rights, settings, limits."""
        with self.server.connect() as connection:
            return connection.execute(
                "SELECT pg_get_userbyid(datdba), shobj_description(d.oid, 'pg_database'), datallowconn, datconnlimit,"
                " (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) a),"
                " (SELECT array_agg(setconfig ORDER BY setrole) FROM pg_db_role_setting WHERE setdatabase = d.oid)"
                " FROM pg_database d WHERE datname = %s",
                [self.database],
            ).fetchone()

    def rows(self) -> list[int]:
        with self.as_client() as connection:
            return [row[0] for row in connection.execute("SELECT n FROM entries ORDER BY n").fetchall()]


def make_bureau(server: Postgresql) -> Bureau:
    tail = secrets.token_hex(3)
    bureau = Bureau(server, f"registry_{tail}", f"app_{tail}", f"tricenter_{tail}")
    names = {key: sql.Identifier(getattr(bureau, key)) for key in ("database", "owner", "user")}
    with server.connect() as connection:
        for statement in (
            "CREATE ROLE {owner} LOGIN",
            "CREATE ROLE {user} LOGIN CREATEDB IN ROLE {owner}",
            "CREATE DATABASE {database} OWNER {owner}",
            "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC",
            "ALTER DATABASE {database} SET search_path TO public, pg_catalog",
            "ALTER DATABASE {database} CONNECTION LIMIT 50",
            "COMMENT ON DATABASE {database} IS 'the register'",
        ):
            connection.execute(sql.SQL(statement).format(**names))
    with bureau.as_client() as connection:
        connection.execute("CREATE TABLE entries (n integer PRIMARY KEY)")
        connection.execute("INSERT INTO entries SELECT generate_series(1, 100)")
    return bureau


@dataclass
class Writers:
    """Clients that write as fast as they can, count what was acknowledged, and connect again when they are thrown out.

    They log in as the owner and take any read-only default back: nothing but the seal keeps them out.
    """

    bureau: Bureau
    count: int = 6
    acknowledged: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Writers:
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(self.count)]
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._threads:
            each.join(30)

    def total(self) -> int:
        with self._lock:
            return len(self.acknowledged)

    def _write(self, number: int) -> None:
        n = 1_000_000 * (number + 1)
        while not self._stop.is_set():
            try:
                with self.bureau.as_client() as connection:
                    connection.execute("SET default_transaction_read_only = off")
                    while not self._stop.is_set():
                        n += 1
                        connection.execute("INSERT INTO entries VALUES (%s)", [n])
                        with self._lock:
                            self.acknowledged.append(n)
            except psycopg.Error as error:
                n += 1  # whether that row is in is not known, and nobody was told that it is
                with self._lock:
                    self.refused.append(str(error).strip().splitlines()[0])
                self._stop.wait(0.01)
