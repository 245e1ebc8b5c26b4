"""Who asks the API and with which token: what its server and its client agree on."""

from __future__ import annotations

import os
import pwd
import re
import secrets
import socket
from pathlib import Path

from orchestrator.secrets import read_secret, write_private

USER_HEADER = "X-Tricenter-User"
TOKEN_FILE_VARIABLE = "TRICENTER_API_TOKEN_FILE"  # noqa: S105  # the name of a variable
TOKEN_NAME = "api-token"  # noqa: S105  # the name of a file


def token_file(secrets_folder: Path) -> Path:
    """Return where the API's token is: TRICENTER_API_TOKEN_FILE, else in the site's folder of secrets."""
    named = os.environ.get(TOKEN_FILE_VARIABLE)
    return Path(named).expanduser() if named else secrets_folder / TOKEN_NAME


def own_token(secrets_folder: Path) -> str:
    """Return the server's token; it is made when there is none. Raises InvalidInput when others could read it."""
    file = token_file(secrets_folder)
    if not file.exists() and not os.environ.get(TOKEN_FILE_VARIABLE):
        write_private(file, secrets.token_urlsafe(32) + "\n")
    return read_secret(f"file:{file}").reveal()


def login_name() -> str:
    """Return who works here: NAME@HOST, the person and not root where root came by sudo."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()).lstrip(".-")[:60] or "host"
    user = os.environ.get("SUDO_USER", "") if os.geteuid() == 0 else ""
    if not user:
        try:
            user = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            user = f"uid-{os.getuid()}"
    return f"{user}@{host}"


def same_person(one: str, other: str) -> bool:
    """Return whether two callers go by one login name, on whichever host."""
    return one.partition("@")[0].casefold() == other.partition("@")[0].casefold()
