"""The database that is archived, asked on its own host as its own user: its settings, and marks in its WAL."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.archive.place import Archive
from orchestrator.errors import InvalidInput, ProcessFailed, Unreachable
from orchestrator.process import find_program, run
from orchestrator.scratch.account import system_account
from policies.archive import Mark

ASK_SECONDS = 60.0
SETTINGS = """
    select json_object_agg(name, setting) from pg_settings
    where name in ('wal_level', 'archive_mode', 'archive_command', 'archive_timeout', 'data_directory')
"""
NOW = "select to_json(clock_timestamp() at time zone 'utc')"
#: Its commit comes after the moment in the WAL: recovery to a moment stops at the first commit that is later.
COMMIT = "select to_json(txid_current()::text)"
SWITCH = "select to_json(pg_walfile_name(pg_switch_wal()))"
SEGMENT_BYTES = "select setting::bigint from pg_settings where name = 'wal_segment_size'"


def ask_settings(archive: Archive) -> dict[str, str]:
    """Return what the server says of archiving. Raises Unreachable, and InvalidInput where it cannot be asked."""
    (told,) = _ask(archive, SETTINGS)
    assert isinstance(told, dict)
    return {str(name): str(value) for name, value in told.items()}


def make_mark(archive: Archive) -> Mark:
    """End the WAL segment that is written to, and return until when all that was committed is in it.

    A few KiB in every vault. Raises Unreachable, InvalidInput.
    """
    moment, _, segment, size = _ask(archive, NOW, COMMIT, SWITCH, SEGMENT_BYTES)
    return Mark(datetime.fromisoformat(str(moment)).replace(tzinfo=UTC), str(segment), int(str(size)))


def _ask(archive: Archive, *queries: str) -> list[object]:
    rule = archive.rule
    if not Path(rule.data_folder).is_dir():
        raise InvalidInput(
            f"{archive}: {rule.data_folder} is not on this host",
            hint="archives are kept from the database's own host: run this there",
        )
    account = system_account(rule.os_user, "postgresql")
    argv = [find_program("psql", package="postgresql-client"), "-qAtX", "-v", "ON_ERROR_STOP=1"]
    for query in queries:
        argv += ["-c", query]
    env = {
        "PGHOST": rule.socket_folder, "PGPORT": str(archive.database.port), "PGUSER": rule.os_user,
        "PGDATABASE": "postgres", "PGCONNECT_TIMEOUT": "10",
    }  # fmt: skip
    try:
        told = run(
            argv, env=env, cwd=Path("/"), user=account.pw_name if account else None, deadline_seconds=ASK_SECONDS
        )
    except ProcessFailed as error:
        last = (error.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise Unreachable(
            f"{archive}: the database on this host does not answer: {last}",
            hint=f"is it up, and is its socket in {rule.socket_folder}?",
        ) from error
    return [json.loads(line) for line in told.stdout.splitlines()]
