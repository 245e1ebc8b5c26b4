"""A tenant's own networks at a centre where a system becomes active: ports with the addresses that clients know.

An address may still belong to the port of a server that was active here before, and is off now. Such a port is
parked: it gives its address away and is shut, so that the old server cannot come back with it; undo gives both back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.cloud import compute
from orchestrator.cloud.bubble import Segment
from orchestrator.cloud.calls import listed
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import explained, repeat
from orchestrator.cloud.marks import is_of_drill
from orchestrator.cloud.ports import Port, ensure_port, ports, project_of
from orchestrator.errors import InvalidInput, Refused

#: What a parked port's description says: by which drill, and the subnet and address that it had.
PARKED = re.compile(r"\[parked-by=(?P<drill>\S+) (?P<subnet>[0-9a-f-]+)=(?P<address>[0-9.]+)\]")


def find_networks(connection: Connection, wanted: Mapping[str, str], tenant: str, centre: str) -> dict[str, Segment]:
    """Return the tenant's own networks by name, each with its subnet of the CIDR in `wanted`.

    Raises InvalidInput when a network, or such a subnet in it, is not there.
    """
    service, project = connection.network, project_of(connection)
    nets = listed(connection, "list networks", lambda: service.networks(project_id=project))
    subnets = listed(connection, "list subnets", lambda: service.subnets(project_id=project))
    found = {}
    for name, cidr in wanted.items():
        ids = {each.id for each in nets if each.name == name}
        match = next((each for each in subnets if each.network_id in ids and each.cidr == cidr), None)
        if match is None:
            lacks = f"no subnet {cidr} in its network {name}" if ids else f"no network {name}"
            raise InvalidInput(
                f"tenant {tenant} has {lacks} at {centre}", hint=f"tricenter tenant apply {tenant} --centre {centre}"
            )
        found[name] = Segment(name, match.network_id, match.id, cidr)
    return found


def find_groups(connection: Connection, names: Sequence[str], tenant: str, centre: str) -> dict[str, str]:
    """Return the ids of the tenant's security groups by name. Raises InvalidInput when one is not there."""
    project = project_of(connection)
    seen = listed(connection, "list groups", lambda: connection.network.security_groups(project_id=project))
    ids = {each.name: str(each.id) for each in seen}
    if absent := [name for name in names if name not in ids]:
        raise InvalidInput(
            f"tenant {tenant} has no security group {', '.join(absent)} at {centre}",
            hint=f"tricenter tenant apply {tenant} --centre {centre}",
        )
    return {name: ids[name] for name in names}


def ensure_standby_port(
    connection: Connection, drill: str, name: str, segment: Segment, address: str, group_ids: Sequence[str]
) -> Port:
    """Return the drill's port with this address in a tenant's own network; a stopped server's port is parked for it.

    Raises Refused when a server that is not off, or something that is no server, has the address.
    """
    for each in ports(connection, segment.network_id):
        if each.has(address) and not is_of_drill(drill, each.description):
            _park(connection, drill, each, address)
    place = {"network_id": segment.network_id, "subnet_id": segment.subnet_id}
    return ensure_port(connection, drill, name, **place, address=address, group_ids=group_ids)


def unpark_ports(connection: Connection, drill: str) -> tuple[str, ...]:
    """Give the addresses back to the ports that `drill` has parked, and return those addresses. May be repeated.

    The drill's own ports with these addresses must be gone: `sweep.delete_bubble`. Raises Refused when one is not.
    """
    given = []
    for port, place in _parked(connection, drill):
        values = {
            "fixed_ips": [{"subnet_id": place["subnet"], "ip_address": place["address"]}],
            "is_admin_state_up": True,
            "description": PARKED.sub("", port.description).strip(),
        }
        _update(connection, port, values, f"give {place['address']} back to port {port.name or port.id}")
        given.append(place["address"])
    return tuple(given)


def forget_parked(connection: Connection, drill: str) -> tuple[str, ...]:
    """Let the parked ports stay as they are, for good, and return the ids of the servers that have them."""
    kept = []
    for port, _ in _parked(connection, drill):
        _update(connection, port, {"description": PARKED.sub("", port.description).strip()}, "forget a parked port")
        kept.append(port.device_id)
    return tuple(kept)


def _park(connection: Connection, drill: str, port: Port, address: str) -> None:
    server = compute.get_server(connection, port.device_id) if port.owner.startswith("compute:") else None
    nobody = not port.owner and not port.device_id
    if not nobody and (server is None or server.status != "SHUTOFF"):
        holder = f"server {server.name}, which is {server.status}" if server else f"{port.owner} {port.device_id}"
        raise Refused(
            f"the address {address} belongs to {holder}",
            hint="stop that server first: two of one address must not run",
        )
    ((subnet, _),) = [each for each in port.addresses if each[1] == address]
    mark = f"[parked-by={drill} {subnet}={address}]"
    values = {"fixed_ips": [], "is_admin_state_up": False, "description": f"{port.description} {mark}".strip()}
    _update(connection, port, values, f"take {address} from port {port.name or port.id}")


def _parked(connection: Connection, drill: str) -> list[tuple[Port, Mapping[str, str]]]:
    found = [(each, PARKED.search(each.description)) for each in ports(connection)]
    return [(port, match.groupdict()) for port, match in found if match and match["drill"] == drill]


def _update(connection: Connection, port: Port, values: dict[str, Any], what: str) -> None:
    with explained(cloud_name(connection), what):
        repeat(lambda: connection.network.update_port(port.id, **values))
