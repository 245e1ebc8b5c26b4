"""A restored volume takes the name of the standby's own one, which is kept beside it until the switch is committed.

The volume that is active under a name is what backups read. So the new one gets the name, and the old one is called
NAME.before-RUN; undo exchanges them back, commit deletes the old one. Each may be repeated, and continues.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.cloud import block_storage, volumes
from orchestrator.cloud.block_storage import Volume
from orchestrator.cloud.calls import sent
from orchestrator.cloud.connection import Connection, answered_within, cloud_name
from orchestrator.cloud.faults import explained, repeat
from orchestrator.cloud.waiting import wait_for
from orchestrator.errors import CheckFailed

RELEASED_SECONDS = 60.0

#: Metadata of a volume that has taken a name: by which run, and what it was called before.
RUN, EARLIER = "tricenter-swap", "tricenter-earlier-name"


@dataclass(frozen=True, slots=True)
class Replaced:
    """`old` is the id of the volume that had the name, None when there was none."""

    name: str
    new: str
    old: str | None


def replace_volume(connection: Connection, name: str, new_id: str, run: str) -> Replaced:
    """Give `name` to the volume `new_id`, and keep what had it as NAME.before-RUN.

    Raises CheckFailed when the new one is gone.
    """
    new = block_storage.get_volume(connection, new_id)
    if new is None:
        raise CheckFailed(f"the volume {new_id} that shall become {name} is gone", hint="start the run again")
    for each in block_storage.volumes(connection, name):
        if each.id != new_id:
            _rename(connection, each, kept_name(name, run))
    if new.metadata.get(RUN) != run:
        _rename(connection, new, new.name, {RUN: run, EARLIER: new.name})
    _rename(connection, new, name)
    old = block_storage.volumes(connection, kept_name(name, run))
    return Replaced(name, new_id, old[0].id if old else None)


def hand_over(connection: Connection, volume_id: str, name: str, marks: Mapping[str, str]) -> str | None:
    """Give a volume that no server has any more another name and another run's marks, and return its id.

    None when it is gone. May be repeated. Raises Unreachable when a server still has it after the deadline.
    """
    with answered_within(connection, RELEASED_SECONDS + 5):
        found = wait_for(
            lambda: block_storage.get_volume(connection, volume_id),
            lambda volume: volume is None or volume.status not in ("in-use", "detaching"),
            f"volume {volume_id} is to be released by its server",
            RELEASED_SECONDS,
        )
    if found is None or found.status != "available":
        return None
    _rename(connection, found, name, dict(marks))
    return volume_id


def undo_replace_volume(connection: Connection, name: str, run: str) -> None:
    """Give `name` back to the volume that had it before `run`, and the run's volume its earlier name."""
    for each in block_storage.volumes(connection, name):
        if each.metadata.get(RUN) == run:
            _rename(connection, each, each.metadata[EARLIER])
    for each in block_storage.volumes(connection, kept_name(name, run)):
        _rename(connection, each, name)


def commit_replace_volume(connection: Connection, name: str, run: str) -> tuple[str, ...]:
    """Delete what had the name before `run`, and return the names of those that are kept: a server still has them."""
    kept = []
    for each in block_storage.volumes(connection, kept_name(name, run)):
        if each.attached_to:
            kept.append(each.name)
        else:
            block_storage.delete_volume(connection, each.id, deadline_seconds=volumes.DELETE_SECONDS)
    for each in block_storage.volumes(connection, name):
        for key in (RUN, EARLIER):
            if key in each.metadata:
                path = f"/volumes/{each.id}/metadata/{key}"
                sent(connection, "block_storage", "DELETE", path, f"unmark volume {name}")
    return tuple(kept)


def kept_name(name: str, run: str) -> str:
    """Return what a volume is called that had `name` before `run`."""
    return f"{name}.before-{run}"


def _rename(connection: Connection, volume: Volume, name: str, metadata: dict[str, str] | None = None) -> None:
    values = {"name": name, **({"metadata": {**volume.metadata, **metadata}} if metadata else {})}
    with explained(cloud_name(connection), f"rename volume {volume.name} to {name}"):
        repeat(lambda: connection.block_storage.update_volume(volume.id, **values))
