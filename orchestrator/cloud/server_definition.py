"""The definition of one server: everything that somebody needs who must build it again, and which volumes it has.

Read with the tenant's own credential. It says names and never ids, and what a run notes on a server for a while is
left out: one state of a server is always the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.cloud.block_storage import GIB
from orchestrator.cloud.calls import listed
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.definition import as_bytes, said
from orchestrator.cloud.faults import explained, repeat
from orchestrator.cloud.marks import unmarked
from orchestrator.errors import CheckFailed, InvalidInput, UnknownName

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Disk:
    """A volume of a server: at which of its devices (`vda`), its id, its name, which may be none, and its size."""

    device: str
    id: str
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """A server as it is: its definition, and its volumes in the order of their devices, the one it boots from first."""

    id: str
    definition: Mapping[str, Any]
    disks: tuple[Disk, ...]

    def as_bytes(self) -> bytes:
        """Return the definition as the one text that it has. Pure."""
        return as_bytes(dict(self.definition))

    def as_evidence(self) -> dict[str, Any]:
        return {"disks": {each.device: each.name for each in self.disks}}


def read_server(connection: Connection, name: str) -> ServerSeen:
    """Return the server of this name in the project.

    Raises UnknownName with the nearest; InvalidInput for several of the name, and for one whose data is not all in
    volumes: what is on a disk of the compute host cannot be read through the cloud.
    """
    servers = listed(connection, "list servers", connection.compute.servers)
    same = [each for each in servers if each.name == name]
    if not same:
        raise UnknownName("server", name, (each.name for each in servers))
    if len(same) > 1:
        ids = ", ".join(each.id for each in same)
        raise InvalidInput(f"there are {len(same)} servers named {name!r}: {ids}", hint="rename all but one")
    (found,) = same
    _check_all_in_volumes(found)
    disks, volumes = _disks(connection, found.id)
    definition = {
        "format": FORMAT,
        "name": found.name,
        "description": found.description or "",
        "availability_zone": found.availability_zone,
        "flavor": {key: found.flavor.get(key) for key in ("vcpus", "ram", "disk", "swap")}
        | {"name": found.flavor.get("original_name"), "extra_specs": dict(found.flavor.get("extra_specs") or {})},
        "key_pair": found.key_name,
        "config_drive": bool(found.has_config_drive),
        "metadata": said(found.metadata),
        "volumes": volumes,
        "ports": _ports(connection, found.id),
    }
    if not disks:
        raise InvalidInput(
            f"the server {found.name} has no volume", hint="name a server that boots from a volume, or no server"
        )
    return ServerSeen(found.id, definition, disks)


def attached(connection: Connection, server_id: str) -> list[tuple[str, str]]:
    """Return device and id of each volume that a server has, the one it boots from first. One request."""
    found = listed(connection, "list a server's volumes", lambda: connection.compute.volume_attachments(server_id))
    if nowhere := [each.volume_id for each in found if not each.device]:
        raise CheckFailed(f"the cloud does not say at which device a server has {', '.join(nowhere)}")
    pairs = ((each.device.rpartition("/")[2], str(each.volume_id)) for each in found)
    return sorted(pairs, key=lambda pair: (len(pair[0]), pair[0]))


def _check_all_in_volumes(found: Any) -> None:
    """Raise InvalidInput for disks that live and die with the server's place on its compute host."""
    hint = "make the server anew so that it boots from a volume, or back up what it holds as a path or database source"
    if (found.image or {}).get("id"):
        raise InvalidInput(
            f"the server {found.name} boots from an image, and its disk is no volume: there is no snapshot to read",
            hint=hint,
        )
    if found.flavor.get("ephemeral"):
        raise InvalidInput(
            f"the server {found.name} has an ephemeral disk of {found.flavor['ephemeral']} GiB by its flavor "
            f"{found.flavor.get('original_name')}: it is no volume, and would be missing",
            hint=hint,
        )


def _disks(connection: Connection, server_id: str) -> tuple[tuple[Disk, ...], list[dict[str, Any]]]:
    disks, told = [], []
    for device, volume_id in attached(connection, server_id):
        volume = _volume(connection, volume_id)
        disks.append(Disk(device, volume.id, volume.name or "", volume.size * GIB))
        told.append(
            {
                "device": device,
                "name": volume.name or "",
                "description": unmarked(volume.description),
                "size": volume.size,
                "type": volume.volume_type,
                "bootable": bool(volume.is_bootable),
                "metadata": said(volume.metadata),
            }
        )
    return tuple(disks), told


def _volume(connection: Connection, volume_id: str) -> Any:
    with explained(cloud_name(connection), f"look at volume {volume_id}"):
        return repeat(lambda: connection.block_storage.get_volume(volume_id))


def _ports(connection: Connection, server_id: str) -> list[dict[str, Any]]:
    """Return what the server has of the network. Neutron knows no order of them, so they are in that of their text."""
    network = connection.network
    names = {each.id: each.name for each in listed(connection, "list networks", network.networks)}
    groups = {each.id: each.name for each in listed(connection, "list security groups", network.security_groups)}
    ports = [
        {
            "name": each.name,
            "network": names.get(each.network_id),
            "mac_address": each.mac_address,
            "addresses": sorted(address["ip_address"] for address in each.fixed_ips or ()),
            "security_groups": sorted(groups.get(group, "") for group in each.security_group_ids or ()),
            "port_security": each.is_port_security_enabled,
        }
        for each in listed(connection, "list ports", lambda: network.ports(device_id=server_id))
    ]
    return sorted(ports, key=lambda each: json.dumps(each, sort_keys=True))
