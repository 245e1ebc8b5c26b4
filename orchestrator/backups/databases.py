"""Databases as their server sees them: who is connected, what they are called, and what we have done to them.

A database is renamed to take it away from its clients, and to put another in its place: names are what clients know,
and PostgreSQL renames in a transaction. What a database was before stands in its comment as a `Mark`, written in the
same transaction as the change: it survives a crash and a restart, and says how to go back exactly.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import psycopg
from psycopg import errors, sql

from orchestrator.backups.sources.postgresql import Server, connect
from orchestrator.errors import CheckFailed, NoSpace, Refused, TricenterError, Unreachable
from orchestrator.process import current_leash

#: Where we stand to change other databases: nobody renames the one that he is connected to.
MAINTENANCE = "postgres"
STATEMENT_SECONDS = 120
LOCK_SECONDS = 20
LEAVE_SECONDS = 20.0
LEAVE_POLL_SECONDS = 0.05
NAME_BYTES = 63
MARK = "tricenter"

Role = Literal["new", "placed", "committed", "before", "sealed"]


@dataclass(frozen=True, slots=True)
class Mark:
    """What a run made of a database, and how the database was: its name, its comment, its settings.

    `place` is the name that clients know. `read_only` is the setting that a seal has replaced.
    """

    role: Role
    run: str
    place: str
    name: str
    comment: str | None = None
    open: bool = True
    read_only: str | None = None

    def as_comment(self) -> str:
        return json.dumps({MARK: asdict(self)}, ensure_ascii=False)


def marks_in(comment: str | None) -> list[Mark]:
    """Return the marks that a comment holds, the newest first: each keeps the comment that it replaced. Pure."""
    found: list[Mark] = []
    while comment:
        try:
            found.append(Mark(**json.loads(comment)[MARK]))
        except (ValueError, KeyError, TypeError):
            break
        comment = found[-1].comment
    return found


@dataclass(frozen=True, slots=True)
class Database:
    """One database of a server."""

    name: str
    owner: str
    comment: str | None
    open: bool
    limit: int
    encoding: str
    collate: str
    ctype: str

    @property
    def mark(self) -> Mark | None:
        """Return what was made of it last; None for one that we never touched."""
        return next(iter(marks_in(self.comment)), None)

    @property
    def own_comment(self) -> str | None:
        """Return the comment that it had before we ever touched it."""
        marks = marks_in(self.comment)
        return marks[-1].comment if marks else self.comment


Connection = psycopg.Connection[Any]


@contextmanager
def administering(server: Server) -> Iterator[Connection]:
    """Yield a connection to the maintenance database of a server, each statement its own transaction.

    What the server refuses is raised as Refused with what our user lacks; a server that is lost is Unreachable.
    """
    try:
        with connect(replace(server, database=MAINTENANCE)) as connection:
            connection.autocommit = True
            connection.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'".encode())
            connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'".encode())
            yield connection
    except psycopg.Error as error:
        if leash := current_leash():
            leash.check()  # cancelled because the run is stopped
        raise explained(server, error) from None


def explained(server: Server, error: psycopg.Error) -> TricenterError:
    """Return what a server said as an error of ours, with what to do about it."""
    said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, errors.InsufficientPrivilege):
        return Refused(
            f"{server}: the server refuses: {said}",
            hint=f"the user must own the database, or be a member of its owner, and may create databases: "
            f"ALTER ROLE {server.user} CREATEDB; GRANT owner TO {server.user}",
        )
    if isinstance(error, errors.ObjectInUse):
        return Refused(f"{server}: {said}", hint="somebody is connected; stop the application, then try again")
    if isinstance(error, errors.LockNotAvailable | errors.QueryCanceled):
        return Refused(f"{server}: {said}", hint="another session holds the database; look at pg_stat_activity")
    if isinstance(error, errors.DiskFull):
        return NoSpace(f"{server}: {said}", hint="free space on the database server")
    if isinstance(error, psycopg.OperationalError) and (error.sqlstate or "08")[:2] in ("08", "57"):
        return Unreachable(f"{server} does not answer: {said}", hint="is the database server up?")
    return CheckFailed(f"{server}: {said}", hint="look at the log of the database server")


def databases(connection: Connection) -> dict[str, Database]:
    """Return the databases of a server by name."""
    rows = connection.execute(
        "SELECT datname, pg_get_userbyid(datdba), shobj_description(oid, 'pg_database'), datallowconn, datconnlimit,"
        " pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE NOT datistemplate"
    ).fetchall()
    return {row[0]: Database(*row) for row in rows}


def marked(known: Mapping[str, Database], role: Role, place: str, run: str | None = None) -> Database | None:
    """Return the database that was made into `role` of a place, by a run when that is given, else by the last one."""
    found = [
        (mark.run, each.name)
        for each in known.values()
        if (mark := each.mark) and (mark.role, mark.place) == (role, place) and run in (None, mark.run)
    ]
    return known[max(found)[1]] if found else None


def name_of(database: str, what: str, run: str) -> str:
    """Return what a run calls a database beside `database`: NAME_new_3f9a1c07, of 63 bytes at most. Pure."""
    tail = run.rpartition("-")[2]
    short = tail if re.fullmatch(r"[0-9a-f]{8}", tail) else hashlib.sha256(run.encode()).hexdigest()[:8]
    end = f"_{what}_{short}"
    if len(f"{database}{end}".encode()) <= NAME_BYTES:
        return f"{database}{end}"
    kept = database.encode()[: NAME_BYTES - len(end) - 9].decode("utf-8", "ignore")
    return f"{kept}_{hashlib.sha256(database.encode()).hexdigest()[:8]}{end}"


def set_mark(connection: Connection, database: str, mark: Mark) -> None:
    set_comment(connection, database, mark.as_comment())


def set_comment(connection: Connection, database: str, comment: str | None) -> None:
    connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(database), sql.Literal(comment)))


def rename(connection: Connection, database: str, to: str) -> None:
    connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(database), sql.Identifier(to)))


def set_open(connection: Connection, database: str, *, to: bool) -> None:
    """Let clients connect to a database, or nobody at all."""
    connection.execute(
        sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(database), sql.Literal(to))
    )


def drop(connection: Connection, database: str) -> None:
    """Drop a database and end its sessions. Gone is fine."""
    dropped = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(database))
    try:
        connection.execute(dropped + sql.SQL(" WITH (FORCE)"))
    except errors.InsufficientPrivilege:
        # FORCE asks for rights also over the server's own workers, which nobody's are: one may be vacuuming just now.
        # Without it the server sends them away by itself, and says so if it is somebody else who is connected.
        connection.execute(dropped)


READ_ONLY = "default_transaction_read_only"


def settings(connection: Connection, database: Database) -> dict[str, str]:
    """Return the settings that hold in a database for every role, without what a seal has put there."""
    rows = connection.execute(
        "SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase"
        " WHERE d.datname = %s AND s.setrole = 0",
        [database.name],
    ).fetchall()
    found = dict(str(row[0]).split("=", 1) for row in rows)
    for mark in marks_in(database.comment):
        if mark.role == "sealed":
            found.pop(READ_ONLY, None)
            found |= {READ_ONLY: mark.read_only} if mark.read_only is not None else {}
    return found


def set_setting(connection: Connection, database: str, name: str, value: str | None) -> None:
    """Make a setting hold in a database, or no longer. To be called in a transaction."""
    named = (sql.Identifier(database), sql.Identifier(name))
    if value is None:
        connection.execute(sql.SQL("ALTER DATABASE {} RESET {}").format(*named))
        return
    connection.execute("SELECT set_config(%s, %s, true)", [name, value])  # a value may be a list, as it stands there
    connection.execute(sql.SQL("ALTER DATABASE {} SET {} FROM CURRENT").format(*named))


def grants(connection: Connection, database: str) -> list[tuple[str | None, str, bool]]:
    """Return who may do what with a database: role (None is everybody), privilege, whether he may pass it on."""
    return connection.execute(
        "SELECT CASE grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(grantee) END, privilege_type, is_grantable"
        " FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE datname = %s",
        [database],
    ).fetchall()


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is connected to a database."""

    pid: int
    user: str
    application: str
    address: str
    state: str

    def __str__(self) -> str:
        return f"{self.user}@{self.address or 'local'} {self.application} (pid {self.pid}, {self.state})"


def sessions(connection: Connection, database: str) -> list[Session]:
    """Return who is connected to a database now, we ourselves left out."""
    rows = connection.execute(
        "SELECT pid, coalesce(usename, '?'), coalesce(application_name, ''), coalesce(client_addr::text, ''),"
        " coalesce(state, '?') FROM pg_stat_activity"
        " WHERE datname = %s AND pid <> pg_backend_pid()"
        # Of sessions that are not ours to look into the server does not even say what they are. Those of nobody are
        # the server's own workers (autovacuum), which give way by themselves.
        " AND usename IS NOT NULL AND coalesce(backend_type, 'client backend') IN ('client backend', 'walsender')",
        [database],
    ).fetchall()
    return [Session(*row) for row in rows]


def clear_out(connection: Connection, server: Server, database: str) -> int:
    """End every session of a database that lets nobody in any more, and return how many there were.

    Raises Refused, naming them, when sessions are left that our user may not end, or transactions that are prepared.
    """
    ended: set[int] = set()
    give_up = time.monotonic() + LEAVE_SECONDS
    while found := sessions(connection, database):
        for each in found:
            try:
                connection.execute("SELECT pg_terminate_backend(%s)", [each.pid])
            except errors.InsufficientPrivilege:
                raise Refused(
                    f"{server}: may not end the session of {each}",
                    hint=f"GRANT pg_signal_backend TO {server.user}; a superuser's session only a superuser ends: "
                    "stop that program",
                ) from None
            ended.add(each.pid)
        if time.monotonic() > give_up:
            raise Refused(f"{server}: sessions do not end: {found[0]}", hint="stop the program that holds them")
        time.sleep(LEAVE_POLL_SECONDS)
    if waiting := prepared(connection, database):
        raise Refused(
            f"{server}: {len(waiting)} transactions are prepared and not ended: {', '.join(waiting[:3])}",
            hint="end them: COMMIT PREPARED or ROLLBACK PREPARED",
        )
    return len(ended)


def prepared(connection: Connection, database: str) -> list[str]:
    """Return the transactions of a database that were prepared and neither committed nor rolled back."""
    rows = connection.execute("SELECT gid FROM pg_prepared_xacts WHERE database = %s", [database]).fetchall()
    return [str(row[0]) for row in rows]


def close_and_clear(connection: Connection, server: Server, database: Database) -> int:
    """Let nobody into a database and end its sessions; return how many. When that fails it is as it was before."""
    set_open(connection, database.name, to=False)
    try:
        return clear_out(connection, server, database.name)
    except BaseException:
        set_open(connection, database.name, to=database.open)
        raise


def check_rights(connection: Connection, server: Server, database: str) -> None:
    """Raise Refused, naming every right that our user lacks to rename a database and end its sessions. Reads only."""
    me = connection.execute(
        "SELECT rolsuper, rolcreatedb, pg_has_role(rolname, 'pg_signal_backend', 'usage') FROM pg_roles"
        " WHERE rolname = current_user"
    ).fetchone()
    assert me is not None
    is_super, may_create, may_signal = me
    lacking = [] if is_super or may_create else [f"ALTER ROLE {server.user} CREATEDB"]
    found = databases(connection).get(database)
    if found and not is_super:
        row = connection.execute("SELECT pg_has_role(current_user, %s, 'usage')", [found.owner]).fetchone()
        if not (row and row[0]):
            lacking.append(f"GRANT {found.owner} TO {server.user}")
        foreign = [] if may_signal else _foreign(connection, database)
        if foreign:
            lacking.append(f"GRANT pg_signal_backend TO {server.user} (it must end sessions of {', '.join(foreign)})")
    if lacking:
        raise Refused(f"{server}: the user lacks rights on the server", hint="; ".join(lacking))


def _foreign(connection: Connection, database: str) -> list[str]:
    """Return the roles with sessions in a database that our user is no member of."""
    rows = connection.execute(
        "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = %s AND usename IS NOT NULL"
        " AND NOT pg_has_role(current_user, usesysid, 'usage') ORDER BY 1",
        [database],
    ).fetchall()
    return [str(row[0]) for row in rows]
