"""Secrets by reference: read at the moment of use, never written, never printed."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes, token_hex

from orchestrator.errors import InvalidInput

#: What a password begins with that this program made; 43 characters of it are 256 random bits, five a checksum.
MADE = "tricenter1_"
MADE_BYTES, CHECKSUM_CHARS = 32, 5


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that no log, message or traceback shows."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        return self._value

    def __str__(self) -> str:
        return "***"


def read_secret(reference: str, **names: str) -> Secret:
    """Return the secret that `env:NAME` or `file:PATH` points to; `{tenant}` and the like stand for `names`.

    Raises InvalidInput when there is none, when it is empty, or when others could read the file.
    """
    place = reference.format(**names)
    kind, _, where = place.partition(":")
    if kind == "env":
        value = os.environ.get(where, "")
        if not value:
            raise InvalidInput(f"the environment variable {where} is not set", hint=f"export {where}=…")
        return Secret(value)
    path = Path(where).expanduser()
    try:
        mode = path.stat().st_mode
        value = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidInput(
            f"the secret file {path} cannot be read: {error.strerror}", hint="create it, with mode 0600"
        ) from error
    if mode & 0o077:
        raise InvalidInput(f"the secret file {path} can be read by others", hint=f"chmod 600 {path}")
    if not value:
        raise InvalidInput(f"the secret file {path} is empty")
    return Secret(value)


def write_private(path: Path, text: str) -> Path:
    """Write a file that only its owner can read, and return its path. Whole or not at all; by several at once too."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as sink:
        sink.write(text)
        sink.flush()
        os.fsync(sink.fileno())
    draft.replace(path)
    return path


def write_once(path: Path, text: str) -> bool:
    """Write the same, but never over what is there. Return whether it was written; of several at once, one does."""
    draft = write_private(path.with_name(f".{path.name}.{token_hex(4)}"), text)
    try:
        os.link(draft, path)  # unlike a rename this leaves what is there in place
    except FileExistsError:
        return False
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
    return True


def make_password() -> Secret:
    """Return a new password of 256 random bits, which `is_made` knows: nobody can guess it, so none need be slowed."""
    body = _text(token_bytes(MADE_BYTES))
    return Secret(f"{MADE}{body}{_checksum(body)}")


def is_made(secret: Secret) -> bool:
    """Return whether a password has the form of those that `make_password` returns, to the last character.

    What a person thinks up never has: the checksum would have to be computed.
    """
    said = secret.reveal()
    body, checksum = said.removeprefix(MADE)[:-CHECKSUM_CHARS], said[-CHECKSUM_CHARS:]
    if not said.startswith(MADE) or not said.isascii():
        return False
    try:
        random = base64.b64decode(f"{body}=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return False
    # Written again, as another way of writing the same bits is no password of ours.
    return len(random) == MADE_BYTES and _text(random) == body and _checksum(body) == checksum


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _checksum(body: str) -> str:
    return _text(hashlib.sha256(f"{MADE}{body}".encode()).digest())[:CHECKSUM_CHARS]
