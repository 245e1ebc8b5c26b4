"""Neutron's ports: a server's place in a network, with a fixed address.

Neutron gives an address in a network to one port only, so the address itself makes a port unique, whoever asks twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.cloud.calls import listed, sent
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import create_once, explained, repeat
from orchestrator.cloud.marks import is_of_drill, is_ours, marked_for
from orchestrator.errors import Refused


@dataclass(frozen=True, slots=True)
class Port:
    """`owner` is what Neutron says the port is for: `compute:…`, `network:router_interface`; empty for nothing yet."""

    id: str
    name: str
    network_id: str
    addresses: tuple[tuple[str, str], ...]
    device_id: str
    owner: str
    description: str
    ours: bool

    def has(self, address: str) -> bool:
        return any(each == address for _, each in self.addresses)


def ports(connection: Connection, network_id: str | None = None) -> list[Port]:
    """Return the ports of the project, or all of a network that the project owns, whosoever they are."""
    query: dict[str, Any] = {"network_id": network_id} if network_id else {"project_id": project_of(connection)}
    return [_port(each) for each in listed(connection, "list ports", lambda: connection.network.ports(**query))]


def project_of(connection: Connection) -> str:
    """Return the id of the project that the connection acts in."""
    with explained(cloud_name(connection), "read the project of the login"):
        return str(repeat(connection.session.get_project_id))


def ensure_port(
    connection: Connection,
    drill: str,
    name: str,
    *,
    network_id: str,
    subnet_id: str,
    address: str,
    group_ids: Sequence[str],
) -> Port:
    """Return the drill's port with this address, made unless it is there.

    Raises Refused, naming who has it, when the address belongs to a port that is not this drill's.
    """

    def holder() -> Any | None:
        found = connection.network.ports(network_id=network_id, fixed_ips=f"ip_address={address}")
        return next(iter(found), None)

    def create() -> Any:
        # Without groups Neutron takes the project's group "default", as it does for any server of the tenant.
        groups = {"security_group_ids": list(group_ids)} if group_ids else {}
        return connection.network.create_port(
            name=name,
            network_id=network_id,
            fixed_ips=[{"subnet_id": subnet_id, "ip_address": address}],
            description=marked_for(drill),
            **groups,
        )

    with explained(cloud_name(connection), f"create port {name} with {address}"):
        present = repeat(holder)
        port = _port(present if present is not None else create_once(create, holder))
    if not is_of_drill(drill, port.description) or port.name != name:
        raise Refused(
            f"the address {address} belongs to port {port.name or port.id} of {port.owner or 'nothing'} "
            f"{port.device_id}".strip(),
            hint="stop and detach what has the address, or map the network elsewhere in the plan",
        )
    return port


def delete_port(connection: Connection, port: Port) -> None:
    """Delete a port. One that is gone is fine."""
    sent(connection, "network", "DELETE", f"/ports/{port.id}", f"delete port {port.name or port.id}")


def _port(found: Any) -> Port:
    addresses = tuple((each["subnet_id"], each["ip_address"]) for each in found.fixed_ips or ())
    return Port(
        found.id,
        found.name or "",
        found.network_id,
        addresses,
        found.device_id or "",
        found.device_owner or "",
        found.description or "",
        is_ours(found.description, tuple(found.tags or ())),
    )
