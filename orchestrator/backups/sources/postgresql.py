"""The source kind `postgresql`: a dump streamed into the vault, and the tables' fingerprint from the same moment.

The dump and the fingerprint read one exported snapshot of the database, so a restored table can be compared with
what the dump was made from, row by row in effect, however busy the database was.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from orchestrator.backups.document import DUMP, SourceProof
from orchestrator.catalogue.records import SourceCopy
from orchestrator.engine.port import Run
from orchestrator.errors import CredentialRefused, InvalidInput, ProcessFailed, TricenterError, Unreachable
from orchestrator.process import Child, current_leash, find_program
from orchestrator.process import run as run_program
from orchestrator.secrets import Secret
from orchestrator.vault.restic import OnProgress, Progress, Repository, Stored
from policies.tenant import PostgresqlSource

CONNECT_SECONDS = 10
DUMP_SECONDS = 6 * 3600.0
GLOBALS_SECONDS = 60.0
REPORT_EVERY_SECONDS = 0.5

#: The text form of a row depends on these; they are set on both sides of a comparison.
SETTINGS = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmloption": "content",
}

TABLES = """
    select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname not like 'pg\\_%%' and n.nspname <> 'information_schema' order by 1, 2
"""


@dataclass(frozen=True, slots=True)
class Server:
    """How to reach a database. libpq's programs act as `role`, of which `user` is a member, when it is given."""

    host: str
    port: int
    user: str
    database: str
    password: Secret | None
    role: str | None = None

    @classmethod
    def of(cls, source: PostgresqlSource, password: Secret) -> Server:
        return cls(source.host, source.port, source.user, source.database, password)

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}/{self.database}"

    def environment(self) -> dict[str, str]:
        """The same for libpq's programs: the password stands in no command line."""
        env = {"PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": self.user, "PGDATABASE": self.database}
        env |= {"PGCONNECT_TIMEOUT": str(CONNECT_SECONDS), "PGCLIENTENCODING": "UTF8"}
        if self.role:
            env["PGOPTIONS"] = "-c role=" + re.sub(r"([\\\s])", r"\\\1", self.role)
        return env | ({"PGPASSWORD": self.password.reveal()} if self.password else {})


@contextmanager
def connect(server: Server) -> Iterator[psycopg.Connection]:
    """Yield a connection. Raises CredentialRefused, InvalidInput (no such database) or Unreachable."""
    try:
        connection = psycopg.connect(
            host=server.host,
            port=server.port,
            user=server.user,
            dbname=server.database,
            password=server.password.reveal() if server.password else None,
            connect_timeout=CONNECT_SECONDS,
            options=" ".join(f"-c {key}={value.replace(' ', chr(92) + ' ')}" for key, value in SETTINGS.items()),
        )
    except psycopg.OperationalError as error:
        raise _explain(server, error) from None
    leash = current_leash()
    with connection, leash.calling(connection.cancel) if leash else nullcontext():
        yield connection


def _explain(server: Server, error: psycopg.OperationalError) -> TricenterError:
    text = str(error).strip().splitlines()[-1]
    if "authentication failed" in text or "no password supplied" in text:
        return CredentialRefused(f"{server} refused the password", hint="check the password that the source names")
    if "does not exist" in text:
        return InvalidInput(f"{server}: {text}", hint="check the source's database and user")
    return Unreachable(f"{server} does not answer: {text}", hint="is the database server up?")


def check_postgresql(source: PostgresqlSource, password: Secret) -> None:
    """Raise unless the database can be opened and pg_dump is here."""
    find_program("pg_dump", package="postgresql-client")
    with connect(Server.of(source, password)) as connection:
        connection.execute("select 1")


def back_up_postgresql(
    run: Run,
    name: str,
    source: PostgresqlSource,
    password: Secret,
    repository: Repository,
    host: str,
    tags: Sequence[str],
) -> SourceProof:
    """Dump a database into the vault and return the proof of it. A dump that fails leaves no snapshot."""
    server = Server.of(source, password)
    # One step: dump and fingerprint share one transaction, and a transaction does not survive a crash.
    return run.step(f"back-up:{name}", _back_up, run, name, server, repository, host, tags)


def _back_up(
    run: Run, name: str, server: Server, repository: Repository, host: str, tags: Sequence[str]
) -> SourceProof:
    def report(progress: Progress) -> None:
        run.progress(name, progress.done_bytes, progress.total_bytes)

    data_time = datetime.now(UTC)  # before the transaction starts: what was committed by now is in it
    with connect(server) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        exported = connection.execute("select pg_export_snapshot(), current_setting('server_version')").fetchone()
        assert exported is not None
        stored = _dump(server, exported[0], repository, host, tags, report)
        tables = fingerprint_tables(connection)
    globals_ = _globals(server)
    copy = SourceCopy(name, "postgresql", stored.snapshot_id, data_time, stored.bytes, stored.files)
    facts = {"database": server.database, "server_version": exported[1], "tables": tables, "globals": globals_}
    return SourceProof(copy, facts, stored.added_bytes)


def _globals(server: Server) -> str:
    """Return the roles and tablespaces of the whole server as SQL, for one that has none of them. Without passwords.

    A dump of one database does not hold them, and a dump that keeps owners does not load without them.
    """
    argv = [find_program("pg_dumpall", package="postgresql-client"), "--globals-only", "--no-role-passwords"]
    database = f"--database={server.database}"
    told = run_program([*argv, database], env=server.environment(), deadline_seconds=GLOBALS_SECONDS).stdout
    # Lines for psql alone carry a key that is new each time.
    return "\n".join(line for line in told.splitlines() if not line.startswith("\\"))


def _dump(
    server: Server, snapshot: str, repository: Repository, host: str, tags: Sequence[str], report: OnProgress
) -> Stored:
    # Plain text, never compressed: a compressed dump looks all new to deduplication after a small change.
    argv = [
        find_program("pg_dump", package="postgresql-client"),
        f"--snapshot={snapshot}",
        "--format=plain",
        "--no-owner",
        "--no-privileges",
        "--encoding=UTF8",
        *_restrict_key(server),
    ]
    with repository.backup_stream(DUMP, host=host, tags=tags, on_progress=report) as stream:
        with Child(argv, env=server.environment(), stdout=stream.stdin_fd) as dump:
            code = dump.wait(DUMP_SECONDS)
            if code != 0:
                raise ProcessFailed("pg_dump", code, dump.stderr)
        return stream.commit()


def _restrict_key(server: Server) -> list[str]:
    """Return the option that keeps the dump of an unchanged database the same, byte for byte.

    Since CVE-2025-8714 a dump locks psql against commands smuggled in by the database, with a key that is new each
    time, so that no two dumps are alike. Derived from the password it stays the same, and the database's owner still
    cannot know it. A pg_dump older than that has no such option.
    """
    told = run_program([find_program("pg_dump", package="postgresql-client"), "--help"], deadline_seconds=30).stdout
    if "--restrict-key" not in told:
        return []
    secret = server.password.reveal() if server.password else ""
    return [f"--restrict-key={hashlib.sha256(f'{server} {secret}'.encode()).hexdigest()}"]


def fingerprint_tables(connection: psycopg.Connection) -> dict[str, dict[str, Any]]:
    """Return rows and digest of every ordinary table: {"public.persons": {"rows": 20000, "digest": "…"}}.

    The digest is the sum of the rows' 64-bit hashes, so it does not depend on their order. Computed by the server.
    """
    result: dict[str, dict[str, Any]] = {}
    for schema, table in connection.execute(TABLES).fetchall():
        query = sql.SQL("select count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text from {} t")
        row = connection.execute(query.format(sql.Identifier(schema, table))).fetchone()
        assert row is not None
        result[f"{schema}.{table}"] = {"rows": row[0], "digest": row[1]}
    return result
