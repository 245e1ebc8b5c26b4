"""What a database of either kind is asked: the fingerprint of its tables, and one question of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import pymysql

from orchestrator.backups.sources import mysql, postgresql
from orchestrator.backups.sources.mysql import MysqlServer
from orchestrator.backups.sources.postgresql import Server
from orchestrator.process import current_leash

QUERY_SECONDS = 300

#: A database that can be reached, of one kind or the other.
AnyServer = Server | MysqlServer


@dataclass(frozen=True, slots=True)
class Answer:
    """What a database answered: one value as text or None, and in words."""

    value: str | None
    said: str


def fingerprint(server: AnyServer) -> dict[str, dict[str, Any]]:
    """Return rows and digest of every table, as a backup of that kind writes them down."""
    if isinstance(server, MysqlServer):
        with mysql.connect(server) as connection:
            return mysql.fingerprint_tables(connection, server)
    with postgresql.connect(server) as connection:
        return postgresql.fingerprint_tables(connection)


def ask(server: AnyServer, query: str) -> Answer:
    """Ask a database one question, reading only. An error is an answer too; raises only when it cannot be asked."""
    return _ask_mysql(server, query) if isinstance(server, MysqlServer) else _ask_postgresql(server, query)


def _ask_postgresql(server: Server, query: str) -> Answer:
    with postgresql.connect(server) as connection:
        connection.read_only = True
        connection.execute(f"set statement_timeout = '{QUERY_SECONDS}s'".encode())
        try:
            cursor = connection.execute(query.encode())
        except psycopg.Error as error:
            return _failed(str(error))
        answer = cursor.pgresult
        if answer is None or (answer.ntuples, answer.nfields) != (1, 1):
            return Answer(None, _size(answer.ntuples, answer.nfields) if answer else "nothing, want one value")
        value = answer.get_value(0, 0)
    return _one(value)


def _ask_mysql(server: MysqlServer, query: str) -> Answer:
    with mysql.connect(server) as connection, connection.cursor() as cursor:
        cursor.execute("START TRANSACTION READ ONLY")
        try:
            cursor.execute(query)
        except pymysql.MySQLError as error:
            return _failed(str(error.args[-1]))
        rows = cursor.fetchall()
    if len(rows) != 1 or len(rows[0]) != 1:
        return Answer(None, _size(len(rows), len(rows[0]) if rows else 0))
    value = rows[0][0]
    return _one(value if value is None or isinstance(value, bytes) else str(value).encode())


def _failed(said: str) -> Answer:
    if leash := current_leash():
        leash.check()  # cancelled because the drill is stopped: no finding
    return Answer(None, f"error: {said.strip().splitlines()[0]}")


def _size(rows: int, columns: int) -> str:
    return f"{rows} rows × {columns} columns, want one value"


def _one(value: bytes | None) -> Answer:
    return Answer(None, "NULL") if value is None else Answer(text := value.decode("utf-8", "replace"), text)
