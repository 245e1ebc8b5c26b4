"""The source kind `mysql`: a dump of a MySQL or MariaDB database, and the tables' fingerprint from the same moment.

No session of these servers can take over another's view of the data, as PostgreSQL's can. So writers are held for the
moment in which two transactions begin, the dump's and ours: FLUSH TABLES WITH READ LOCK, as mysqldump itself takes it
for its --master-data. From then on both read the same data, however busy the database is.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pymysql
from pymysql.constants import ER
from pymysql.cursors import Cursor

from orchestrator.backups.document import DUMP, SourceProof
from orchestrator.catalogue.records import SourceCopy
from orchestrator.engine.port import Run
from orchestrator.errors import (
    CredentialRefused,
    InvalidInput,
    NoSpace,
    ProcessFailed,
    ProcessTimeout,
    Refused,
    TricenterError,
    Unreachable,
)
from orchestrator.process import Child, current_leash
from orchestrator.process import run as run_program
from orchestrator.secrets import Secret
from orchestrator.vault.restic import OnProgress, Progress, Repository, Stored, Stream
from policies.tenant import MysqlSource

CONNECT_SECONDS = 10
READ_SECONDS = 6 * 3600
DUMP_SECONDS = 6 * 3600.0
#: Writers wait behind us while we wait for the statements that run: no longer than this.
LOCK_SECONDS = 10
CHUNK_BYTES = 1 << 20
NAMED_TABLES = 5

#: Stands in a dump when its transaction has begun: before the first table, or at the end of one without tables.
BEGUN = (b"Table structure for", b"Dump completed", b"view structure for")

#: What decides how values are written as text; set on both sides of a comparison.
SETTINGS = "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = ''"

TABLES = (
    "SELECT table_name, engine FROM information_schema.tables WHERE table_schema = %s AND table_type = 'BASE TABLE'"
)
COLUMNS = (
    "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
    " ORDER BY ordinal_position"
)
RIGHTS = "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON {database}.* and GRANT RELOAD ON *.* TO the user"

Connection: TypeAlias = "pymysql.Connection[Cursor]"  # generic for type checkers only


@dataclass(frozen=True, slots=True)
class MysqlServer:
    """How to reach a database. A host that is a path is the socket of a server on this machine."""

    host: str
    port: int
    user: str
    database: str
    password: Secret | None

    @classmethod
    def of(cls, source: MysqlSource, password: Secret) -> MysqlServer:
        return cls(source.host, source.port, source.user, source.database, password)

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}/{self.database}"

    @property
    def socket(self) -> str | None:
        return self.host if self.host.startswith("/") else None

    def words(self) -> list[str]:
        """Return how client programs are told the same; the first word keeps them from reading files of their own."""
        reached = [f"--socket={self.socket}"] if self.socket else [f"--host={self.host}", f"--port={self.port}"]
        return ["--no-defaults", *reached, f"--user={self.user}", "--default-character-set=utf8mb4"]

    def environment(self) -> dict[str, str]:
        """Return what they take the password from: it stands in no command line."""
        return {"MYSQL_PWD": self.password.reveal()} if self.password else {}


@contextmanager
def connect(server: MysqlServer) -> Iterator[Connection]:
    """Yield a connection, each statement its own transaction. Its failures are raised as ours."""
    leash = current_leash()
    try:
        connection = pymysql.connect(
            host=None if server.socket else server.host,
            port=server.port,
            unix_socket=server.socket,
            user=server.user,
            password=server.password.reveal() if server.password else "",
            database=server.database,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            write_timeout=CONNECT_SECONDS,
            autocommit=True,
            charset="utf8mb4",
            init_command=SETTINGS,
        )
        with connection, leash.calling(connection.close) if leash else nullcontext():
            yield connection
    except pymysql.MySQLError as error:
        if leash:
            leash.check()  # its connection was closed because the run is stopped
        raise explained(server, error) from None


def explained(server: MysqlServer, error: pymysql.MySQLError) -> TricenterError:
    """Return what a server said as an error of ours, with what to do about it."""
    code, said = error.args[0] if error.args else 0, str(error.args[-1]) if error.args else type(error).__name__
    if code == ER.ACCESS_DENIED_ERROR:
        return CredentialRefused(f"{server} refused the password", hint="check the password that the source names")
    if code in (ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR):
        return Refused(f"{server}: the user lacks rights: {said}", hint=RIGHTS.format(database=server.database))
    if code in (ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK):
        return Refused(f"{server}: {said}", hint="a statement runs for too long to be waited for; look at PROCESSLIST")
    if code == ER.BAD_DB_ERROR:
        return InvalidInput(f"{server}: {said}", hint="check the source's database")
    if code in (ER.DISK_FULL, ER.RECORD_FILE_FULL):
        return NoSpace(f"{server}: {said}", hint="free space on the database server")
    if isinstance(error, pymysql.err.OperationalError | pymysql.err.InterfaceError):
        return Unreachable(f"{server} does not answer: {said}", hint="is the database server up?")
    return InvalidInput(f"{server}: {said}", hint="look at the log of the database server")


def check_mysql(source: MysqlSource, password: Secret) -> None:
    """Raise unless the database can be opened, all its tables can be read at one moment, and a dump program is here."""
    find_client("dump")
    server = MysqlServer.of(source, password)
    with connect(server) as connection, connection.cursor() as cursor:
        _base_tables(cursor, server)


def find_client(which: str) -> str:
    """Return the path of a client program, `dump` or `shell`, of MariaDB or of MySQL. Raises InvalidInput."""
    names = {"dump": ("mariadb-dump", "mysqldump"), "shell": ("mariadb", "mysql")}[which]
    for name in names:
        if path := shutil.which(name):
            return path
    raise InvalidInput(f"neither {names[0]} nor {names[1]} is installed", hint="apt-get install mariadb-client")


def back_up_mysql(
    run: Run, name: str, source: MysqlSource, password: Secret, repository: Repository, host: str, tags: Sequence[str]
) -> SourceProof:
    """Dump a database into the vault and return the proof of it. A dump that fails leaves no snapshot.

    Raises Refused when tables have an engine without transactions: no moment is common to them.
    """
    server = MysqlServer.of(source, password)
    # One step: dump and fingerprint begin at one moment, and a transaction does not survive a crash.
    return run.step(f"back-up:{name}", _back_up, run, name, server, repository, host, tags)


def _back_up(
    run: Run, name: str, server: MysqlServer, repository: Repository, host: str, tags: Sequence[str]
) -> SourceProof:
    def report(progress: Progress) -> None:
        run.progress(name, progress.done_bytes, progress.total_bytes)

    with connect(server) as connection, connection.cursor() as cursor:
        _base_tables(cursor, server)
        with connect(server) as holder:
            stored, data_time = _dump(server, connection, holder, repository, host, tags, report)
        tables = fingerprint_tables(connection, server)
        cursor.execute("SELECT version()")
        row = cursor.fetchone()
        assert row is not None
    copy = SourceCopy(name, "mysql", stored.snapshot_id, data_time, stored.bytes, stored.files)
    facts = {"database": server.database, "server_version": row[0], "tables": tables}
    return SourceProof(copy, facts, stored.added_bytes)


def _dump(
    server: MysqlServer,
    connection: Connection,
    holder: Connection,
    repository: Repository,
    host: str,
    tags: Sequence[str],
    report: OnProgress,
) -> tuple[Stored, datetime]:
    """Stream a dump, and leave `connection` in a transaction that sees what the dump sees. `holder` holds writers."""
    with holder.cursor() as hold, connection.cursor() as ours:
        hold.execute("SET SESSION lock_wait_timeout = %s", [LOCK_SECONDS])
        hold.execute("FLUSH TABLES WITH READ LOCK")
        data_time = datetime.now(UTC)  # nobody writes from here until both transactions have begun
        ours.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        ours.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        with repository.backup_stream(DUMP, host=host, tags=tags, on_progress=report) as stream:
            _relay(server, stream, begun=lambda: hold.execute("UNLOCK TABLES"))
            return stream.commit(), data_time


def _relay(server: MysqlServer, stream: Stream, begun: Any) -> None:
    """Run the dump program into the stream, and call `begun` once, when its transaction has begun."""
    argv = [find_client("dump"), *server.words(), *_options(), server.database]
    with Child(argv, env=server.environment()) as dump:
        timer = threading.Timer(DUMP_SECONDS, dump.stop)
        timer.start()
        try:
            head, told = b"", False
            while piece := dump.stdout.read1(CHUNK_BYTES):  # type: ignore[attr-defined]  # a buffered pipe
                if not told:
                    head += piece
                    if told := any(mark in head for mark in BEGUN):
                        begun()
                stream.write(piece)
            if not timer.is_alive():
                raise ProcessTimeout("the dump", DUMP_SECONDS, dump.stderr)
            code = dump.wait(CONNECT_SECONDS)
        finally:
            timer.cancel()
        if code != 0:
            raise _dump_failed(server, code, dump.stderr)
        if not told:
            begun()


def _dump_failed(server: MysqlServer, code: int, said: str) -> TricenterError:
    if "denied" in said:
        last = said.strip().splitlines()[-1]
        return Refused(f"{server}: the user lacks rights: {last}", hint=RIGHTS.format(database=server.database))
    return ProcessFailed(Path(find_client("dump")).name, code, said)


def _options() -> list[str]:
    """Return the options of the dump: all that belongs to the database, in plain text, and alike when nothing changed.

    MySQL's program asks servers for things that MariaDB does not have, and needs rights for, unless it is told not to.
    """
    program = find_client("dump")
    known = run_program([program, "--no-defaults", "--help"], deadline_seconds=30).stdout
    wanted = [
        "--single-transaction", "--quick", "--routines", "--triggers", "--events", "--hex-blob", "--tz-utc",
        "--skip-dump-date", "--order-by-primary", "--no-tablespaces",
    ]  # fmt: skip
    only_mysql = {"--set-gtid-purged": "--set-gtid-purged=OFF", "--column-statistics": "--skip-column-statistics"}
    return [*wanted, *(word for name, word in only_mysql.items() if name.lstrip("-") in known)]


def _base_tables(cursor: Cursor, server: MysqlServer) -> list[str]:
    """Return the names of the tables. Raises Refused when some of them know no transactions."""
    cursor.execute(TABLES, [server.database])
    found = {str(name): str(engine) for name, engine in cursor.fetchall()}
    others = [f"{name} ({engine})" for name, engine in sorted(found.items()) if engine != "InnoDB"]
    if others:
        more = f" and {len(others) - NAMED_TABLES} more" if len(others) > NAMED_TABLES else ""
        raise Refused(
            f"{server}: no moment is common to tables without transactions: {', '.join(others[:NAMED_TABLES])}{more}",
            hint="ALTER TABLE … ENGINE=InnoDB, or stop the application and back up the server's folder as a path",
        )
    return sorted(found)


def fingerprint_tables(connection: Connection, server: MysqlServer) -> dict[str, dict[str, Any]]:
    """Return rows and digest of every table: {"persons": {"rows": 20000, "digest": "…"}}. Computed by the server.

    The digest is the sum of 60 bits of each row's MD5, so it does not depend on their order. MySQL and MariaDB agree.
    """
    result: dict[str, dict[str, Any]] = {}
    with connection.cursor() as cursor:
        for table in _base_tables(cursor, server):
            cursor.execute(COLUMNS, [server.database, table])
            columns = [f"IFNULL(MD5(CAST({_quoted(row[0])} AS BINARY)), '-')" for row in cursor.fetchall()]
            row_hash = f"CONV(LEFT(MD5(CONCAT_WS(',', {', '.join(columns)})), 15), 16, 10)"
            cursor.execute(
                f"SELECT COUNT(*), COALESCE(SUM(CAST({row_hash} AS DECIMAL(20))), 0) FROM {_quoted(table)}"  # noqa: S608
            )
            found = cursor.fetchone()
            assert found is not None
            result[table] = {"rows": found[0], "digest": str(found[1])}
    return result


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
