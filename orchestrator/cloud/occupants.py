"""What stands in networks and uses security groups: the ports that would suffer if those were destroyed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from orchestrator.cloud.calls import listed
from orchestrator.cloud.connection import Connection
from orchestrator.cloud.network import INTERFACE_OWNERS

#: Ports that Neutron makes for itself, and takes away with the network.
SERVING = frozenset({"network:dhcp", "network:distributed", "network:dhcp_agent"})


@dataclass(frozen=True, slots=True)
class Occupant:
    """A port, as far as it stands in the way. `owner` is Neutron's word for what it is for: `compute:nova`."""

    name: str
    owner: str
    device_id: str
    network_id: str
    subnet_ids: frozenset[str]
    group_ids: frozenset[str]

    @property
    def is_interface(self) -> bool:
        """Whether it is a router's foot."""
        return self.owner in INTERFACE_OWNERS

    def __str__(self) -> str:
        return f"port {self.name} of {self.owner or 'nothing'} {self.device_id}".rstrip()


def occupants(connection: Connection, project_id: str, network_ids: Collection[str]) -> list[Occupant]:
    """Return the ports of a project, and whosoever's in these networks; without those that serve a network."""
    found = {
        port.id: port
        for query in ({"project_id": project_id}, *({"network_id": each} for each in sorted(network_ids)))
        for port in listed(connection, "list ports", lambda query=query: connection.network.ports(**query))  # type: ignore[misc]
    }
    return [
        Occupant(
            port.name or port.id,
            port.device_owner or "",
            port.device_id or "",
            port.network_id,
            frozenset(each["subnet_id"] for each in port.fixed_ips or ()),
            frozenset(port.security_group_ids or ()),
        )
        for port in found.values()
        if port.device_owner not in SERVING
    ]
