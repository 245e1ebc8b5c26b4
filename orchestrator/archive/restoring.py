"""The flow of a recovery to a moment: from one centre alone, beside everything, proved by asking the database.

What is restored is started in a scratch place, with a configuration that knows of one centre and no other. It is taken
away at the end, or becomes a folder that somebody asked for, whole or not at all. Nothing is ever overwritten.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.archive.configuration import passphrase, render, repository_at
from orchestrator.archive.observing import archives_known
from orchestrator.archive.pgbackrest import PgBackRest
from orchestrator.archive.place import Access, Archive
from orchestrator.backups.sources.postgresql import Server, connect, fingerprint_tables
from orchestrator.engine.port import Run
from orchestrator.errors import CheckFailed, Refused
from orchestrator.scratch.account import check_passable, make_home, system_account
from orchestrator.scratch.folder import check_space, clear, make_scratch
from orchestrator.scratch.recovered import start_recovery, stop_cleanly
from orchestrator.secrets import write_private

RECOVERY_SECONDS = 24 * 3600.0
PACKAGE = "postgresql"
STATE = "select pg_is_in_recovery(), pg_last_xact_replay_timestamp(), current_setting('server_version')"
#: What the recovery itself was told. archive_mode stays off: a copy must not write into the archive of the original.
RECOVERY_SETTINGS = ("restore_command", "recovery_target_time", "recovery_target_action")


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a recovery came to: the last commit in it, and rows and digest of every table of the source's database."""

    system: str
    source: str
    centre: str
    target: datetime | None
    last_commit: datetime | None
    server_version: str
    seconds: float
    into: str | None
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(each["rows"] for each in self.tables.values())


def restore_archive(
    run: Run, access: Access, archive: Archive, centre: str, target: datetime | None, into: Path | None, scratch: Path
) -> Recovered:
    """Recover a database as it was at `target` (None: as late as the archive reaches), from one centre, and prove it.

    `into` becomes its data folder; it must not be there. Raises CheckFailed when the archive does not reach the
    moment, Refused, NoSpace, CredentialRefused, Unreachable.
    """
    archive.repository(centre)
    root = into.parent if into else scratch
    run.cleanup("remove-scratch", here=True, path=str(root / run.id))
    return run.step("recover", _recover, run, access, archive, centre, target, into, root)


def _recover(
    run: Run, access: Access, archive: Archive, centre: str, target: datetime | None, into: Path | None, root: Path
) -> Recovered:
    began, user = datetime.now(UTC), archive.rule.os_user
    account = system_account(user, PACKAGE)
    check_absent(into)
    check_passable(root, account)
    scratch = make_scratch(root, run.id, 0)
    home = scratch / "db"  # short: the path of a socket may not be long
    clear(scratch, home)
    make_home(home, account)
    (home / "data").mkdir(mode=0o700)
    text = render(
        archive, {1: repository_at(access, archive, centre)}, passphrase(access, archive), folder=home,
        data=home / "data",
    )  # fmt: skip
    write_private(home / "pgbackrest.conf", text)
    if account:
        for path in (home / "data", home / "pgbackrest.conf"):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    program = PgBackRest(archive, home / "pgbackrest.conf")
    check_space(root, max((each.bytes for each in program.backups(1)), default=0))

    def report(share: float) -> None:
        run.progress(archive.source, share, 1.0)

    program.restore(target, tablespaces=home / "tablespaces", on_share=report)
    server = start_recovery(
        scratch, home, user, durable=into is not None, deadline_seconds=RECOVERY_SECONDS, go_on=lambda: report(1.0)
    )
    at = Server(str(server.socket_dir), server.port, user, archive.database.database, None)
    try:
        with connect(at) as connection:
            connection.autocommit = True
            row = connection.execute(STATE).fetchone()
            assert row is not None
            tables = fingerprint_tables(connection)
            for name in RECOVERY_SETTINGS if into else ():
                connection.execute(f"alter system reset {name}")
        recovering, last, version = row
        if recovering or (target and last and last > target):
            raise CheckFailed(
                f"{archive}: the recovery from {centre} is not at {target}", hint=f"its last commit is of {last}"
            )
        if into:
            stop_cleanly(home, user)
            _hand_over(home, into)
    finally:
        server.stop()
    took = (datetime.now(UTC) - began).total_seconds()
    where = str(into) if into else None
    return Recovered(str(archive.ref), archive.source, centre, target, last, version, took, where, tables)


def check_absent(into: Path | None) -> None:
    """Raise Refused when there is anything at the place that a recovery shall go to."""
    if into and (into.exists() or into.is_symlink()):
        raise Refused(f"{into} is there already; nothing was restored", hint="name a folder that there is none of")


def _hand_over(home: Path, into: Path) -> None:
    check_absent(into)
    if (home / "tablespaces").exists() and any((home / "tablespaces").iterdir()):
        raise Refused("a database with tablespaces cannot become one folder", hint="leave out --into, to prove it only")
    shutil.rmtree(home / "tablespaces", ignore_errors=True)
    (home / "data").rename(into)


def newest_centre(access: Access, archive: Archive) -> str:
    """Return the centre that reached farthest when it was last looked at, the nearest of equals."""
    known = {each.centre: each.reach.until for each in archives_known(access, archive)}
    long_ago = datetime.min.replace(tzinfo=UTC)
    return max(archive.centres, key=lambda each: known.get(each) or long_ago)
