"""Cinder: volumes and snapshots of the project that the connection acts in.

What is asynchronous is waited for, with a deadline. Deleting what is gone is fine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from openstack import exceptions as sdk_errors

from orchestrator.cloud.calls import listed, sent
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import explained, repeat
from orchestrator.cloud.waiting import pause
from orchestrator.errors import CheckFailed, Unreachable

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Volume:
    id: str
    name: str
    size_bytes: int
    status: str
    volume_type: str | None
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    attached_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    id: str
    name: str
    volume_id: str
    status: str
    metadata: Mapping[str, str] = field(default_factory=dict)


def volumes(connection: Connection, name: str | None = None) -> list[Volume]:
    """Return the volumes of the project, or those of a name."""
    query = {"name": name} if name else {}
    found = listed(connection, "list volumes", lambda: connection.block_storage.volumes(details=True, **query))
    return [_volume(each) for each in found]


def snapshots(connection: Connection, name: str | None = None) -> list[Snapshot]:
    """Return the snapshots of the project, or those of a name."""
    query = {"name": name} if name else {}
    found = listed(connection, "list snapshots", lambda: connection.block_storage.snapshots(details=True, **query))
    return [_snapshot(each) for each in found]


def get_volume(connection: Connection, volume_id: str) -> Volume | None:
    """Return a volume, None when there is none."""
    found = _get(connection, lambda: connection.block_storage.get_volume(volume_id), f"look at volume {volume_id}")
    return _volume(found) if found else None


def get_snapshot(connection: Connection, snapshot_id: str) -> Snapshot | None:
    """Return a snapshot, None when there is none."""
    ask = f"look at snapshot {snapshot_id}"
    found = _get(connection, lambda: connection.block_storage.get_snapshot(snapshot_id), ask)
    return _snapshot(found) if found else None


def delete_volume(connection: Connection, volume_id: str, *, deadline_seconds: float) -> None:
    """Delete a volume and wait until it is gone."""
    volume = get_volume(connection, volume_id)
    if volume is None:
        return
    if volume.status != "deleting":
        sent(connection, "block_storage", "DELETE", f"/volumes/{volume_id}", f"delete volume {volume.name}")
    wait_until_gone(lambda: get_volume(connection, volume_id), f"volume {volume.name}", deadline_seconds)


def delete_snapshot(connection: Connection, snapshot_id: str, *, deadline_seconds: float) -> None:
    """Delete a snapshot and wait until it is gone."""
    snapshot = get_snapshot(connection, snapshot_id)
    if snapshot is None:
        return
    if snapshot.status != "deleting":
        sent(connection, "block_storage", "DELETE", f"/snapshots/{snapshot_id}", f"delete snapshot {snapshot.name}")
    wait_until_gone(lambda: get_snapshot(connection, snapshot_id), f"snapshot {snapshot.name}", deadline_seconds)


def wait_for_status(ask: Callable[[], str | None], wanted: frozenset[str], what: str, deadline_seconds: float) -> str:
    """Wait until the status that `ask` returns is one of `wanted`, and return it.

    Raises CheckFailed for a status of failure or when the thing vanished, Unreachable when the deadline passes.
    """
    end = time.monotonic() + deadline_seconds
    while True:
        status = ask()
        if status in wanted:
            return status
        if status is None:
            raise CheckFailed(f"{what} vanished while it was waited for", hint="somebody deleted it; try again")
        if "error" in status or status in ("killed", "deleted"):
            raise CheckFailed(f"{what} came to the status {status!r}", hint="look at the log of this cloud's service")
        if time.monotonic() > end:
            raise Unreachable(f"{what} is still {status!r} after {deadline_seconds:.0f} s", hint="try again later")
        pause()


def wait_until_gone(ask: Callable[[], Volume | Snapshot | None], what: str, deadline_seconds: float) -> None:
    """Wait until `ask` returns None. Raises as `wait_for_status` does."""
    end = time.monotonic() + deadline_seconds
    while (found := ask()) is not None:
        if found.status.startswith("error"):
            raise CheckFailed(f"{what} cannot be deleted: status {found.status!r}", hint="look at the cinder log")
        if time.monotonic() > end:
            raise Unreachable(f"{what} is not gone after {deadline_seconds:.0f} s", hint="try again later")
        pause()


def _get(connection: Connection, ask: Callable[[], Any], what: str) -> Any | None:
    def ask_or_none() -> Any | None:
        try:
            return ask()
        except sdk_errors.NotFoundException:
            return None

    with explained(cloud_name(connection), what):
        return repeat(ask_or_none)


def _volume(found: Any) -> Volume:
    servers = tuple(each["server_id"] for each in found.attachments or ())
    return Volume(
        found.id,
        found.name or "",
        found.size * GIB,
        found.status,
        found.volume_type,
        found.description or "",
        dict(found.metadata or {}),
        servers,
    )


def _snapshot(found: Any) -> Snapshot:
    return Snapshot(found.id, found.name or "", found.volume_id, found.status, dict(found.metadata or {}))
