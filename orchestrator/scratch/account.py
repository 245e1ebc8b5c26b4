"""The account that a database server runs as when root starts it, and whether it gets to its place."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from orchestrator.errors import InvalidInput, Refused

LONGEST_SOCKET = 108  # bytes, of which the kernel wants the last for itself


def system_account(name: str, package: str) -> pwd.struct_passwd | None:
    """Return the account `name`; None when we are not root, and are the account ourselves. Raises InvalidInput."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise InvalidInput(
            f"there is no user {name!r}, which its database server runs as", hint=f"apt-get install {package}"
        ) from None


def check_passable(root: Path, account: pwd.struct_passwd | None) -> None:
    """Raise Refused when the account cannot get to `root`, saying what to change."""
    if account is None:
        return
    for folder in (root, *root.parents):
        if folder.exists() and not _may_enter(folder.stat(), account):
            raise Refused(
                f"the user {account.pw_name!r}, which the database server runs as, cannot pass through {folder}",
                hint=f"chmod o+x {folder}, or choose another place with --scratch DIR",
            )


def make_home(home: Path, account: pwd.struct_passwd | None) -> None:
    """Make the folder of a server, its account's alone."""
    home.mkdir(mode=0o700)
    if account:
        os.chown(home, account.pw_uid, account.pw_gid)


def check_socket(socket: Path) -> None:
    """Raise Refused for a path that the kernel would not take as a socket's."""
    if len(os.fsencode(socket)) >= LONGEST_SOCKET:
        raise Refused(
            f"the path of the scratch place is too long for a socket: {socket}",
            hint="choose a place with a shorter path with --scratch DIR",
        )


def _may_enter(status: os.stat_result, account: pwd.struct_passwd) -> bool:
    if status.st_uid == account.pw_uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.pw_gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
