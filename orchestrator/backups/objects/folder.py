"""The objects of a bucket as files: a tree below `objects/`, and `objects.json`, which says what each was as object."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator.backups.objects.archive import Input, Member, read_archive
from orchestrator.backups.objects.manifest import Objects, ObjectState
from orchestrator.backups.objects.names import check_path_stays_inside
from orchestrator.errors import CheckFailed
from orchestrator.secrets import write_private

TREE = "objects"
SIDECAR = "objects.json"


def unpack_archive(stream: Input, target: Path) -> None:
    """Write the objects of an archive below `target`. May be repeated: what is there is written anew.

    Raises CheckFailed for an archive that would write elsewhere, and OSError as the file system does.
    """
    tree, said = target / TREE, dict[str, Any]()
    tree.mkdir(parents=True, exist_ok=True)
    for member, pieces in read_archive(stream):
        check_path_stays_inside(member.path)
        path, digest = tree / member.path, hashlib.sha256()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for piece in pieces:
                digest.update(piece)
                file.write(piece)
        os.utime(path, (member.modified_at.timestamp(), member.modified_at.timestamp()))
        said[member.key] = _as_said(member, digest.hexdigest())
    # Last: without it the tree is half of a restore.
    write_private(target / SIDECAR, json.dumps({"objects": said}, ensure_ascii=False, indent=1, sort_keys=True))


def hash_unpacked(target: Path) -> Objects:
    """Return what a restored folder holds: the files as they are on the disk, with what is said of them.

    A file that no object is said to be counts by its path.
    """
    try:
        said = json.loads((target / SIDECAR).read_text(encoding="utf-8"))["objects"]
    except (OSError, ValueError, KeyError) as error:
        raise CheckFailed(f"{target / SIDECAR} cannot be read: {error}", hint="restore into a new folder") from error
    tree, found = target / TREE, Objects()
    there = {str(path.relative_to(tree)) for path in tree.rglob("*") if not path.is_dir() or path.is_symlink()}
    for key, each in said.items():
        if each["path"] in there:
            there.discard(each["path"])
            found[key] = _as_is(tree / each["path"], each["headers"])
    return found | {path: _as_is(tree / path, {}) for path in there}


def _as_is(path: Path, headers: dict[str, str]) -> ObjectState:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ObjectState(path.stat().st_size, digest, headers)


def _as_said(member: Member, sha256: str) -> dict[str, Any]:
    modified: datetime = member.modified_at
    return {
        "path": member.path,
        "size": member.size_bytes,
        "sha256": sha256,
        "modified_at": modified.isoformat(),
        "headers": dict(member.headers),
    }
