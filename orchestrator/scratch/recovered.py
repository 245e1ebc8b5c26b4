"""A PostgreSQL server over a data folder that was restored from an archive: it recovers, then it can be asked.

It listens on a socket in its own folder and nowhere else, and archives nothing, whatever its own settings say.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from orchestrator.errors import CheckFailed, InvalidInput, ProcessFailed
from orchestrator.process import run, spawn, started_at
from orchestrator.scratch.account import check_socket, system_account
from orchestrator.scratch.folder import MARK, record_server, space_watched
from orchestrator.scratch.postgres import BINARIES, PACKAGE, PORT, ScratchServer

SHORT_SECONDS = 60.0
STOP_SECONDS = 3600.0
LOOK_SECONDS = 0.2
ENDED_EARLY = "recovery ended before configured recovery target was reached"
#: What a server must have at least as much of as the one that wrote the WAL, as pg_controldata names them.
LIMITS = ("max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_xacts", "max_locks_per_xact")
NAMES = {"max_prepared_xacts": "max_prepared_transactions", "max_locks_per_xact": "max_locks_per_transaction"}
SETTINGS = {
    "listen_addresses": "",
    "ssl": "off",
    "archive_mode": "off",
    "hot_standby": "off",  # so that who can connect sees what was asked for, and not what comes before
    "autovacuum": "off",
    "shared_buffers": "128MB",
    "logging_collector": "off",
    "log_destination": "stderr",
    "dynamic_shared_memory_type": "mmap",
}
#: For what is looked at once and taken away.
THROWN_AWAY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


def start_recovery(
    scratch: Path, home: Path, os_user: str, *, durable: bool, deadline_seconds: float, go_on: Callable[[], None]
) -> ScratchServer:
    """Start a server over `home`/data, and return it when it has recovered. `go_on` is called while that lasts.

    Raises CheckFailed when the archive ends before the moment that was asked for, InvalidInput where that version of
    PostgreSQL is not installed, NoSpace, ProcessFailed otherwise.
    """
    data, log, account = home / "data", scratch / f"{home.name}.log", system_account(os_user, PACKAGE)
    check_socket(home / f".s.PGSQL.{PORT}")
    binaries = binaries_of(data)
    user = account.pw_name if account else None
    for name, text in (("server.conf", ""), ("hba.conf", "local all all trust\n"), ("ident.conf", "")):
        (home / name).write_text(text, encoding="utf-8")
        if account:
            os.chown(home / name, account.pw_uid, account.pw_gid, follow_symlinks=False)
    settings: dict[str, Any] = {
        "config_file": home / "server.conf", "hba_file": home / "hba.conf", "ident_file": home / "ident.conf",
        "unix_socket_directories": home, **SETTINGS, **_limits(binaries, data, user),
        **({} if durable else THROWN_AWAY),
    }  # fmt: skip
    flags = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    with space_watched(scratch):
        pid = spawn(
            [str(binaries / "postgres"), "-D", str(data), "-p", str(PORT), *flags],
            log=log, env={MARK: str(scratch), "LC_ALL": "C.UTF-8"}, cwd=home, user=user,
        )  # fmt: skip
        server = ScratchServer(home, PORT, os_user, record_server(scratch, pid))
        _wait(server, log, deadline_seconds, go_on)
    return server


def stop_cleanly(home: Path, os_user: str) -> None:
    """Shut a server down so that its data folder is whole by itself. Raises ProcessFailed."""
    account, data = system_account(os_user, PACKAGE), home / "data"
    words = ["-m", "fast", "-w", "-t", str(int(STOP_SECONDS)), "stop"]
    argv = [str(binaries_of(data) / "pg_ctl"), "-D", str(data), *words]
    run(argv, cwd=home, user=account.pw_name if account else None, deadline_seconds=STOP_SECONDS)


def binaries_of(data: Path) -> Path:
    """Return the programs of the version that a data folder is of. Raises InvalidInput where they are missing."""
    version = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    folder = BINARIES / version / "bin"
    if not (folder / "postgres").exists():
        raise InvalidInput(
            f"PostgreSQL {version}, which wrote the archive, is not installed here: {folder} not found",
            hint=f"apt-get install postgresql-{version}",
        )
    return folder


def _limits(binaries: Path, data: Path, user: str | None) -> dict[str, str]:
    told = run(
        [str(binaries / "pg_controldata"), "-D", str(data)], env={"LC_ALL": "C"}, cwd=data.parent, user=user,
        deadline_seconds=SHORT_SECONDS,
    ).stdout  # fmt: skip
    found = dict(re.findall(r"^(\w+) setting: +(\d+)$", told, re.MULTILINE))
    return {NAMES.get(name, name): found[name] for name in LIMITS if name in found}


def _wait(server: ScratchServer, log: Path, deadline_seconds: float, go_on: Callable[[], None]) -> None:
    end = time.monotonic() + deadline_seconds
    while True:
        try:
            with server.connect("postgres") as connection:
                connection.execute("SELECT 1")
                return
        except psycopg.OperationalError:
            gone = started_at(server.server.pid) != server.server.started
            if gone or time.monotonic() > end:
                server.stop()
                said = log.read_text(encoding="utf-8", errors="replace")
                if ENDED_EARLY in said:
                    raise CheckFailed(
                        "the archive ends before the moment that was asked for",
                        hint="tricenter archive info shows until when it reaches; ask for an earlier moment",
                    ) from None
                raise ProcessFailed("postgres", -1, said) from None
        go_on()
        time.sleep(LOOK_SECONDS)
