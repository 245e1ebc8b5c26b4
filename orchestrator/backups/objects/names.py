"""What the objects of a bucket are called as files: any key becomes a path below a folder, and no two the same. Pure.

A key is not a path: it may begin with a slash, hold `..` or nothing between two slashes, and be both a file and a
folder. Where it can be a path it stays what it is, so that people find their files; where not, `%` marks what was
done to it, and a `%` of the key itself becomes `%25`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from orchestrator.errors import CheckFailed

#: The longest name of a file, in bytes.
NAME_BYTES = 255
KEPT_CHARACTERS = 40


def paths_of(keys: Iterable[str]) -> dict[str, str]:
    """Return the path of every key, relative and with nothing in it that could lead out of a folder.

    A key that is also the folder of another one gets a `%` at its end.
    """
    paths = {key: "/".join(map(_name, key.split("/"))) for key in keys}
    folders = {path[:end] for path in paths.values() for end in _slashes(path)}
    return {key: f"{path}%" if path in folders else path for key, path in paths.items()}


def check_path_stays_inside(path: str) -> None:
    """Raise CheckFailed for a path that `paths_of` does not make: of whatever a bucket was restored from."""
    parts = path.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise CheckFailed(f"an object would be restored to {path!r}, which leads out of the folder; nothing more was")


def _name(part: str) -> str:
    """Return one part of a key as the name of a file. Of two parts that differ, the names do."""
    if part in ("", ".", ".."):
        return "%" + part.replace(".", "%2E")
    name = "".join(f"%{ord(each):02X}" if each == "%" or ord(each) < 32 or ord(each) == 127 else each for each in part)
    if len(name.encode()) < NAME_BYTES:  # one byte is left for the mark of a folder
        return name
    return f"{name[:KEPT_CHARACTERS]}%~{hashlib.sha256(part.encode()).hexdigest()}"


def _slashes(path: str) -> Iterable[int]:
    return (index for index, each in enumerate(path) if each == "/")
