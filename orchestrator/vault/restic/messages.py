"""What restic says on stdout and stderr with --json, as values. Pure. Messages of unknown types are ignored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from stat import filemode
from typing import Any


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. Totals grow while restic still looks for files; 0 is not known."""

    done_bytes: int
    total_bytes: int
    done_files: int
    total_files: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot of a repository. The id is the full one: 64 hexadecimal digits."""

    id: str
    time: datetime
    tags: frozenset[str]
    paths: tuple[str, ...]
    hostname: str


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a repository. `current` is the one that the password at hand opened."""

    id: str
    current: bool
    host: str
    created: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What a backup stored. `added_bytes` are the new ones, before compression."""

    snapshot_id: str
    files: int
    bytes: int
    added_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that a backup could not read, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Node:
    """One entry of a folder in a snapshot. `kind` is file, dir, symlink or what else restic calls it."""

    name: str
    kind: str
    size: int
    mode: str
    modified_at: datetime


Message = Progress | Stored | Unread


def parse(line: str) -> Message | None:
    """Return the message in one line of output, or None when the line is none, or of a type not known here."""
    if not line.startswith("{"):
        return None
    try:
        said = json.loads(line)
    except ValueError:
        return None
    match said.get("message_type"):
        case "status":
            return Progress(
                said.get("bytes_done", 0),
                said.get("total_bytes", 0),
                said.get("files_done", 0),
                said.get("total_files", 0),
            )
        case "summary" if "snapshot_id" in said:
            return Stored(
                said["snapshot_id"],
                said.get("total_files_processed", 0),
                said.get("total_bytes_processed", 0),
                said.get("data_added", 0),
                said.get("total_duration", 0.0),
            )
        case "error":
            return Unread(said.get("item", "?"), _reason(said.get("error")))
        case _:
            return None


def _reason(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error or "")
    if "message" in error:  # since 0.17
        return str(error["message"])
    return f"{error.get('Op', 'error')}, errno {error.get('Err', '?')}"


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The process that a lock is of."""

    host: str
    pid: int


def parse_lock(text: str) -> LockHolder:
    """Return whose lock `restic cat lock` told of."""
    said = json.loads(text)
    return LockHolder(said["hostname"], said["pid"])


def parse_snapshots(text: str) -> list[Snapshot]:
    """Return the snapshots of `restic snapshots --json`, oldest first."""
    found = [
        Snapshot(
            each["id"],
            datetime.fromisoformat(each["time"]).astimezone(UTC),
            frozenset(each.get("tags") or ()),
            tuple(each.get("paths") or ()),
            each.get("hostname", ""),
        )
        for each in json.loads(text) or []
    ]
    return sorted(found, key=lambda each: each.time)


def parse_keys(text: str) -> list[Key]:
    """Return the keys of `restic key list --json`, the oldest first."""
    found = [Key(each["id"], each["current"], each["hostName"], each["created"]) for each in json.loads(text)]
    return sorted(found, key=lambda each: each.created)


def parse_nodes(text: str, folder: str) -> list[Node]:
    """Return what lies directly in `folder` from `restic ls --json`, which tells of what is around it as well."""
    start = folder.rstrip("/") + "/"
    found = []
    for line in text.splitlines():
        said = json.loads(line) if line.startswith("{") else {}
        path = said.get("path", "")
        if path.startswith(start) and path != start and "/" not in path[len(start) :]:
            modified = datetime.fromisoformat(said["mtime"]).astimezone(UTC)
            mode = said.get("permissions") or filemode(said.get("mode", 0) & 0o7777)
            found.append(Node(said["name"], said.get("type", "?"), said.get("size", 0), mode, modified))
    return sorted(found, key=lambda each: each.name)


def parse_index(text: str) -> dict[str, list[tuple[str, str]]]:
    """Return the packs that `restic cat index` names, each with the ids and kinds (data, tree) of its blobs."""
    return {
        pack["id"]: [(blob["id"], blob["type"]) for blob in pack["blobs"]] for pack in json.loads(text).get("packs", ())
    }


def parse_found(text: str) -> set[str]:
    """Return the snapshots that `restic find --json` named for blobs."""
    return {each["snapshot"] for each in json.loads(text) or []}
