"""Deleting everything that a drill made in a project: found by the drill's mark, and looked for again afterwards.

Also the opposite: when what a drill made is to stay, its marks are taken away, so that no sweep finds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from orchestrator.cloud import block_storage, compute, image, ports
from orchestrator.cloud.block_storage import Snapshot, Volume
from orchestrator.cloud.calls import listed, sent
from orchestrator.cloud.connection import Connection, answered_within, cloud_name
from orchestrator.cloud.faults import explained, repeat
from orchestrator.cloud.marks import drill_metadata, is_of_drill, unmarked_of_drill
from orchestrator.cloud.waiting import pause
from orchestrator.errors import PartlyDone, Refused, TricenterError

SWEEP_SECONDS = 300.0
#: What a killed process had asked for a moment ago may still be on its way through the cloud's API.
SETTLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Left:
    """One thing that carries a drill's mark, and how it is deleted. `delete` is None while the cloud is deleting it."""

    noun: str
    name: str
    id: str
    delete: Callable[[], None] | None

    def __str__(self) -> str:
        return f"{self.noun} {self.name or self.id}"


def delete_bubble(connection: Connection, drill: str, *, deadline_seconds: float = SWEEP_SECONDS) -> tuple[str, ...]:
    """Delete EVERYTHING that carries the drill's mark in the project, and return what that was, as text.

    May be repeated; what is gone is fine. Nothing without the mark is touched. Raises PartlyDone naming what is left
    when the deadline passes, Unreachable when the cloud does not answer.
    """
    end, seen = time.monotonic() + deadline_seconds, dict[str, None]()
    said: dict[str, TricenterError] = {}
    with answered_within(connection, deadline_seconds + 5):
        while True:
            left = _settled(connection, drill)
            seen.update(dict.fromkeys(map(str, left)))
            if not left:
                return tuple(seen)
            if time.monotonic() > end:
                why = "; ".join(dict.fromkeys(str(each) for each in said.values()))
                raise PartlyDone(
                    f"drill {drill}: still there in cloud {cloud_name(connection)!r}: {', '.join(map(str, left))}"
                    + (f" ({why})" if why else ""),
                    hint="look at what holds them; the same command again deletes the rest",
                )
            _delete(left, said)
            pause()


def what_is_left(connection: Connection, drill: str) -> tuple[str, ...]:
    """Return everything in the project that carries the drill's mark, as text."""
    return tuple(str(each) for each in _marked(connection, drill))


def keep_all(connection: Connection, drill: str) -> None:
    """Take the drill's mark from its servers, ports and volumes: they stay, as the tenant's own. May be repeated.

    For a switchover or failover that is committed. Raises Refused while the drill has networks of its own, which are
    closed and cannot become the tenant's.
    """
    if closed := list(_networks(connection, drill)):
        raise Refused(
            f"drill {drill} stands in closed networks ({', '.join(map(str, closed))}), and cannot stay there",
            hint="recover into the tenant's own networks, and keep those servers",
        )
    marks = drill_metadata(drill).items()
    for port in ports.ports(connection):
        if is_of_drill(drill, port.description):
            _describe_port(connection, port, unmarked_of_drill(drill, port.description))
    for volume in block_storage.volumes(connection):
        if marks <= volume.metadata.items():
            path = f"/volumes/{volume.id}/metadata/drill"
            sent(connection, "block_storage", "DELETE", path, f"unmark volume {volume.name}")
    for server in compute.servers(connection):
        if marks <= server.metadata.items():
            compute.unmark_server(connection, server.id)


def _describe_port(connection: Connection, port: ports.Port, description: str) -> None:
    with explained(cloud_name(connection), f"unmark port {port.name}"):
        repeat(lambda: connection.network.update_port(port.id, description=description))


def _settled(connection: Connection, drill: str) -> list[Left]:
    """Return what is left; nothing only when two looks, a moment apart, found nothing."""
    if left := list(_marked(connection, drill)):
        return left
    pause(SETTLE_SECONDS)
    return list(_marked(connection, drill))


def _delete(left: list[Left], said: dict[str, TricenterError]) -> None:
    """Ask for the deletion of the servers, and of the rest when none is left: they hold ports and volumes.

    What the cloud refuses is kept in `said`: mostly something else is still being deleted that holds it.
    """
    servers = [each for each in left if each.noun == "server"]
    for each in servers or left:
        said.pop(each.id, None)
        try:
            if each.delete:
                each.delete()
        except Refused as error:
            said[each.id] = error


def _marked(connection: Connection, drill: str) -> Iterator[Left]:
    """Yield what carries the mark, servers first, networks after their ports, security groups last."""
    for find in (_servers, _ports, _images, _snapshots, _volumes, _networks, _groups):
        yield from find(connection, drill)


def _servers(connection: Connection, drill: str) -> Iterator[Left]:
    for each in compute.servers(connection):
        if drill_metadata(drill).items() <= each.metadata.items():
            act = None if each.task == "deleting" else partial(compute.request_deletion, connection, each)
            yield Left("server", each.name, each.id, act)


def _ports(connection: Connection, drill: str) -> Iterator[Left]:
    for each in ports.ports(connection):
        if is_of_drill(drill, each.description):
            yield Left("port", each.name, each.id, partial(ports.delete_port, connection, each))


def _images(connection: Connection, drill: str) -> Iterator[Left]:
    for each in image.tagged(connection, f"drill={drill}"):
        yield Left("image", each.name, each.id, partial(image.delete_image, connection, each.id))


def _snapshots(connection: Connection, drill: str) -> Iterator[Left]:
    for each in block_storage.snapshots(connection):
        if drill_metadata(drill).items() <= each.metadata.items():
            yield _stored(connection, "snapshot", each)


def _volumes(connection: Connection, drill: str) -> Iterator[Left]:
    for each in block_storage.volumes(connection):
        if drill_metadata(drill).items() <= each.metadata.items():
            yield _stored(connection, "volume", each)


def _networks(connection: Connection, drill: str) -> Iterator[Left]:
    service, project = connection.network, ports.project_of(connection)
    for each in listed(connection, "list networks", lambda: service.networks(project_id=project)):
        if is_of_drill(drill, each.description):  # its subnets go with it
            yield Left("network", each.name, each.id, _deletion(connection, "network", "networks", each))


def _groups(connection: Connection, drill: str) -> Iterator[Left]:
    service, project = connection.network, ports.project_of(connection)
    for each in listed(connection, "list security groups", lambda: service.security_groups(project_id=project)):
        if is_of_drill(drill, each.description):
            yield Left("security group", each.name, each.id, _deletion(connection, "network", "security-groups", each))


def _stored(connection: Connection, noun: str, found: Snapshot | Volume) -> Left:
    act = _deletion(connection, "block_storage", f"{noun}s", found)
    return Left(noun, found.name, found.id, None if found.status == "deleting" else act)


def _deletion(connection: Connection, service: str, collection: str, found: Any) -> Callable[[], None]:
    return partial(sent, connection, service, "DELETE", f"/{collection}/{found.id}", f"delete {found.name}")
