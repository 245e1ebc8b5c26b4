"""A drill's bubble: networks with production's own addresses, and with no way in or out.

Everything in it carries the drill's mark from the request that makes it, so that any process can find and delete it
whichever one was killed while making it. That the bubble is closed is read back from Neutron and never assumed.
Deleting stands in `sweep`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.cloud.calls import listed
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import create_once, explained, repeat
from orchestrator.cloud.marks import is_of_drill, marked_for
from orchestrator.cloud.ports import Port, ports, project_of
from orchestrator.errors import CheckFailed, Refused

#: Owners of ports that lead out of a network, or serve it: a closed one has none of them.
ROUTER_OWNER = "network:"


@dataclass(frozen=True, slots=True)
class Segment:
    """A network with its one subnet, as servers are put into it. `name` is the tenant's name of the network."""

    name: str
    network_id: str
    subnet_id: str
    cidr: str


@dataclass(frozen=True, slots=True)
class Isolation:
    """What Neutron said when it was asked whether networks are closed: how many ports, all of the drill's servers."""

    networks: tuple[Segment, ...]
    ports: Mapping[str, int]


def ensure_bubble(connection: Connection, drill: str, wanted: Mapping[str, str]) -> dict[str, Segment]:
    """Return the drill's closed networks: for each of `wanted`, a tenant's network name with the CIDR it shall have.

    May be repeated, and continues what a killed attempt began. Not for two at the same time for one drill and
    project: Neutron would give each a network of its own. The caller holds a lease around it.
    """
    return {name: _ensure_segment(connection, drill, name, cidr) for name, cidr in wanted.items()}


def prove_isolated(connection: Connection, drill: str, segments: Iterable[Segment]) -> Isolation:
    """Read back from Neutron that networks lead nowhere, and return what was seen.

    Raises CheckFailed naming every way out that was found: an external or shared network, one that was given to other
    projects, a gateway, a host route, a router's, a DHCP server's or anybody else's port.
    """
    checked = tuple(segments)
    faults, counts = [], {}
    for segment in checked:
        inside = ports(connection, segment.network_id)
        counts[segment.name] = len(inside)
        faults += [f"{segment.name}: {fault}" for fault in _ways_out(connection, drill, segment, inside)]
    if faults:
        raise CheckFailed(
            f"the bubble of drill {drill} is not closed: {'; '.join(faults)}",
            hint="nothing may be started in it; find out who changed it, and start the drill again",
        )
    return Isolation(checked, counts)


def bubble_name(drill: str, name: str) -> str:
    """Return what something of a drill's bubble is called in the cloud."""
    return f"drill-{drill}-{name}"


def _ensure_segment(connection: Connection, drill: str, name: str, cidr: str) -> Segment:
    network_id = _ensure_network(connection, drill, name)
    called, service = bubble_name(drill, name), connection.network

    def find() -> Any | None:
        return next(iter(service.subnets(network_id=network_id)), None)

    def create() -> Any:
        return service.create_subnet(
            name=called,
            network_id=network_id,
            ip_version=4,
            cidr=cidr,
            gateway_ip=None,
            is_dhcp_enabled=False,  # and the config drive holds the addresses, which it else leaves to DHCP
            description=marked_for(drill),
        )

    with explained(cloud_name(connection), f"create subnet {called}"):
        found = repeat(find) or create_once(create, find)
    if found.cidr != cidr:
        raise Refused(
            f"the drill's network {called} has the subnet {found.cidr}, and {cidr} is wanted",
            hint="the tenant's networks were changed during the drill; start another one",
        )
    return Segment(name, network_id, found.id, cidr)


def _ensure_network(connection: Connection, drill: str, name: str) -> str:
    called, project, service = bubble_name(drill, name), project_of(connection), connection.network

    def find() -> Any | None:
        same = service.networks(name=called, project_id=project)
        return next((each for each in same if is_of_drill(drill, each.description)), None)

    def create() -> Any:
        return service.create_network(
            name=called, description=marked_for(drill, "closed network of a drill"), **_port_security(service, name)
        )

    with explained(cloud_name(connection), f"create network {called}"):
        found = repeat(find)
        return str((found if found is not None else create_once(create, find)).id)


def _port_security(service: Any, name: str) -> dict[str, bool]:
    """Return the port security of the tenant's own network of this name, nothing when the cloud's default holds."""
    for each in service.networks(name=name):
        if each.is_port_security_enabled is not None:
            return {"is_port_security_enabled": bool(each.is_port_security_enabled)}
    return {}


def _ways_out(connection: Connection, drill: str, segment: Segment, inside: list[Port]) -> Iterator[str]:
    service = connection.network
    with explained(cloud_name(connection), f"look at network {segment.name}"):
        network = repeat(lambda: service.find_network(segment.network_id))
        subnets = repeat(lambda: list(service.subnets(network_id=segment.network_id)))
    if network is None:
        yield "it is gone"
        return
    if network.is_router_external or network.is_shared:
        yield "it is external or shared"
    if not is_of_drill(drill, network.description) or network.project_id != project_of(connection):
        yield "it is not this drill's"
    grants = listed(connection, "list grants", lambda: service.rbac_policies(object_id=segment.network_id))
    if any(each.object_id == segment.network_id for each in grants):
        yield "it was given to other projects"
    if [each.id for each in subnets] != [segment.subnet_id]:
        yield f"it has {len(subnets)} subnets, and one is the drill's"
    for each in subnets:
        if each.gateway_ip or each.host_routes or each.is_dhcp_enabled:
            yield f"subnet {each.cidr} has a gateway, routes or DHCP"
    for port in inside:
        if port.owner.startswith(ROUTER_OWNER) or not is_of_drill(drill, port.description):
            yield f"port {port.name or port.id} of {port.owner or 'nothing'} {port.device_id}".rstrip()
