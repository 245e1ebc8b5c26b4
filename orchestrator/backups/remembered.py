"""What a machine remembers beside the catalogue: it can be lost at any time, and is never half of what was kept."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any


def remember(file: Path, value: Any) -> bool:
    """Write plain JSON to a file and return whether it was kept: a full disk is no failure. May be killed."""
    content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    draft = file.with_name(f"{file.name}.draft")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.write_bytes(b"%s\n%s" % (_checksum(content), content))
        draft.rename(file)
        return True
    return False


def recall(file: Path) -> Any:
    """Return what was kept in a file; None when it is lost, or was cut off by a power cut."""
    try:
        checksum, _, content = file.read_bytes().partition(b"\n")
    except OSError:
        return None
    return json.loads(content) if checksum == _checksum(content) else None


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
