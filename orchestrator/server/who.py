"""With which token the API is asked: what its server and its client agree on."""

from __future__ import annotations

import os
import secrets
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
