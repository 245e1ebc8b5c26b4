"""The guest's PostgreSQL: Debian's programs, and a data folder with the database `app`, made once and put in."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

from orchestrator.lab import daemons
from orchestrator.lab.guest_image.contents import copy_with_libraries, give, shipped
from orchestrator.lab.layout import Lab
from orchestrator.lab.packages import postgres_program
from orchestrator.lab.postgres import SYSTEM_USER

GUEST_USER = 26  # its number in the guest's /etc/passwd
DATA = "var/lib/postgresql"
WAL_SEGMENT_MIB = 1


def lay_programs(root: Path) -> None:
    """Put the server, the client and what they read at run time into the tree."""
    programs = Path(postgres_program("postgres")).parent
    libraries = programs.parent / "lib"
    wanted = [programs / "postgres", programs / "psql", libraries / "plpgsql.so", libraries / "dict_snowball.so"]
    copy_with_libraries(root, wanted)
    for name in ("postgres", "psql"):
        (root / "bin" / name).symlink_to(programs / name)
    share = Path("/usr/share/postgresql") / programs.parent.name
    for each in ("timezonesets", "extension"):
        shutil.copytree(share / each, root / str(share / each).lstrip("/"))


def lay_data(lab: Lab, root: Path, room: Path) -> None:
    """Make the data folder with the database in it, in the folder `room`, and put it into the tree."""
    account = pwd.getpwnam(SYSTEM_USER)
    data = room / "postgresql"
    data.mkdir(mode=0o700)
    for each in (room, data):
        os.chown(each, account.pw_uid, account.pw_gid)
    initdb = [
        postgres_program("initdb"), "-D", str(data), "-U", SYSTEM_USER, "-A", "trust", "-E", "UTF8", "--locale=C",
        "--no-sync", f"--wal-segsize={WAL_SEGMENT_MIB}",
    ]  # fmt: skip
    daemons.run(lab, "guest-image", initdb, seconds=120, user=SYSTEM_USER)
    for name in ("postgresql.conf", "pg_hba.conf"):
        shutil.copyfile(shipped() / name, data / name)
    _fill(lab, data)
    shutil.copytree(data, root / DATA, symlinks=True)
    give(root / DATA, GUEST_USER)


def _fill(lab: Lab, data: Path) -> None:
    """Start the server for a moment, on a socket in its own folder, and run our statements."""
    control = [postgres_program("pg_ctl"), "-D", str(data), "-w", "-t", "60"]
    only_here = f"-c listen_addresses= -c unix_socket_directories={data} -c fsync=off"
    daemons.run(
        lab, "guest-image", [*control, "-l", str(data / "build.log"), "-o", only_here, "start"], seconds=90,
        user=SYSTEM_USER,
    )  # fmt: skip
    try:
        psql = [postgres_program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(data), "-U", SYSTEM_USER]
        statements = shipped() / "database.sql"
        with statements.open("rb") as file:
            daemons.run(
                lab, "guest-image", [*psql, "-d", "postgres"], seconds=60, stdin=file.fileno(), user=SYSTEM_USER
            )
    finally:
        daemons.run(lab, "guest-image", [*control, "-m", "fast", "stop"], seconds=90, user=SYSTEM_USER)
        (data / "build.log").unlink(missing_ok=True)
