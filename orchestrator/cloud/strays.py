"""Everything at a cloud with the project that it belongs to: for finding what belongs to none, or was left behind.

Acts as the cloud's admin; one list call for each kind of thing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from orchestrator.cloud.calls import listed, sent
from orchestrator.cloud.connection import Connection
from orchestrator.cloud.marks import is_ours
from orchestrator.cloud.network import INTERFACE_OWNERS
from orchestrator.cloud.occupants import SERVING

_DRILL = re.compile(r"\[drill=([^\]]+)\]")


@dataclass(frozen=True, slots=True)
class Thing:
    """Something at a cloud. `drill` names the drill that made it; `created_at` is the service's word, "" for none."""

    noun: str
    name: str
    id: str
    project_id: str
    ours: bool
    drill: str
    created_at: str
    delete: Callable[[], None]

    def __str__(self) -> str:
        return f"{self.noun} {self.name or self.id}"


def things(connection: Connection) -> list[Thing]:
    """Return all that belongs to projects, in the order in which it can be deleted. Raises Unreachable, Refused.

    What services make for themselves is left out: DHCP ports, feet of routers, which go with their network or router.
    """
    compute, storage, network = connection.compute, connection.block_storage, connection.network
    return [
        *_of(connection, "compute", "server", "servers", lambda: compute.servers(all_projects=True)),
        *_of(connection, "network", "floating IP", "floatingips", network.ips),
        *_of(connection, "block_storage", "snapshot", "snapshots", lambda: storage.snapshots(all_projects=True)),
        *_of(connection, "block_storage", "volume", "volumes", lambda: storage.volumes(all_projects=True)),
        *_of(connection, "image", "image", "images", connection.image.images),
        *_of(connection, "network", "port", "ports", lambda: filter(_is_own_port, network.ports())),
        *_of(connection, "network", "router", "routers", network.routers),
        *_of(connection, "network", "network", "networks", network.networks),
        *_of(connection, "network", "security group", "security-groups", network.security_groups),
    ]


def _is_own_port(port: Any) -> bool:
    return port.device_owner not in (*SERVING, *INTERFACE_OWNERS, "network:floatingip", "network:router_gateway")


def _of(
    connection: Connection, service: str, noun: str, collection: str, listing: Callable[[], Iterable[Any]]
) -> Iterator[Thing]:
    for each in listed(connection, f"list {collection}", listing):
        name = getattr(each, "name", "") or getattr(each, "floating_ip_address", "") or ""
        owner = getattr(each, "project_id", None) or getattr(each, "owner_id", None) or ""
        ours, drill = _marks(each)
        path = f"/{collection}/{each.id}"
        delete = partial(sent, connection, service, "DELETE", path, f"delete {noun} {name or each.id}")
        created = str(getattr(each, "created_at", "") or "")
        yield Thing(noun, name, each.id, owner, ours, drill, created, delete)


def _marks(found: Any) -> tuple[bool, str]:
    """Return whether Tricenter made it, and for which drill: by description, tags or metadata, whichever it has."""
    description, tags = getattr(found, "description", "") or "", tuple(getattr(found, "tags", ()) or ())
    metadata = getattr(found, "metadata", None) or {}
    words = dict(each.partition("=")[::2] for each in tags)
    match = _DRILL.search(description)
    drill = match.group(1) if match else str(metadata.get("drill") or words.get("drill") or "")
    ours = is_ours(description, tags) or metadata.get("managed-by") == "tricenter"
    return ours, drill
