"""Secrets by reference: read at the moment of use, never written, never printed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

from orchestrator.errors import InvalidInput


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
