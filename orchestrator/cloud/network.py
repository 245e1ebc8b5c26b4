"""Neutron: networks, subnets, routers and their interfaces. Security groups stand in `security`.

Objects are created by the admin in the tenant's project. Names are not unique in Neutron, so a create whose answer
was lost is looked for by project, name and mark before it is sent again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from orchestrator.cloud.calls import created, listed, sent
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import SDK_ERRORS, explained, is_conflict, repeat, status_of
from orchestrator.cloud.marks import TAG, is_ours, marked

INTERFACE_OWNERS = (
    "network:router_interface",
    "network:router_interface_distributed",
    "network:ha_router_replicated_interface",
)

#: For how long an empty list of networks is asked for again, and how often.
EMPTY_SECONDS = 8.0
EMPTY_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Network:
    id: str
    name: str
    project_id: str
    description: str
    tags: tuple[str, ...]
    external: bool
    ours: bool


@dataclass(frozen=True, slots=True)
class Subnet:
    id: str
    name: str
    project_id: str
    network_id: str
    cidr: str
    dns: tuple[str, ...]
    description: str
    tags: tuple[str, ...]
    ours: bool


@dataclass(frozen=True, slots=True)
class Router:
    id: str
    name: str
    project_id: str
    external_network_id: str | None
    description: str
    tags: tuple[str, ...]
    ours: bool
    #: What lies behind which address, beside the networks it stands in: destination and next hop.
    routes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Interface:
    """A router's foot in a subnet, and the address that it has there."""

    router_id: str
    subnet_id: str
    address: str = field(default="", compare=False)


# --- reads


def networks(connection: Connection) -> list[Network]:
    """Return all networks. An empty list is asked for again for some seconds before it is believed.

    A Neutron that has just started, and serves several requests at once, knows no administrator until it has read its
    policies: to everybody it says, with status 200, that there is nothing. Believed, all would be made a second time.
    """
    again = Retrying(
        retry=retry_if_result(lambda found: not found),
        wait=wait_fixed(EMPTY_PAUSE_SECONDS),
        stop=stop_after_delay(EMPTY_SECONDS),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else [],
    )
    found: list[Any] = again(listed, connection, "list networks", connection.network.networks)
    return [_network(each) for each in found]


def subnets(connection: Connection) -> list[Subnet]:
    return [_subnet(each) for each in listed(connection, "list subnets", connection.network.subnets)]


def routers(connection: Connection) -> list[Router]:
    return [_router(each) for each in listed(connection, "list routers", connection.network.routers)]


def interfaces(connection: Connection) -> list[Interface]:
    """Return the interfaces of all routers of the cloud, in one request."""
    found = listed(
        connection,
        "list router interfaces",
        lambda: connection.network.ports(device_owner=list(INTERFACE_OWNERS)),
    )
    return [
        Interface(port.device_id, address["subnet_id"], address["ip_address"])
        for port in found
        for address in port.fixed_ips or ()
        if port.device_owner in INTERFACE_OWNERS
    ]


# --- writes; each may be repeated


def create_network(connection: Connection, name: str, project_id: str, description: str) -> str:
    network = connection.network
    return created(
        connection,
        f"create network {name}",
        lambda: network.create_network(name=name, project_id=project_id, description=marked(description)),
        lambda: network.networks(name=name, project_id=project_id),
    )


def create_subnet(
    connection: Connection,
    name: str,
    project_id: str,
    *,
    network_id: str,
    cidr: str,
    dns: tuple[str, ...],
    description: str,
) -> str:
    network = connection.network
    return created(
        connection,
        f"create subnet {name}",
        lambda: network.create_subnet(
            name=name,
            project_id=project_id,
            network_id=network_id,
            ip_version=4,
            cidr=cidr,
            dns_nameservers=list(dns),
            description=marked(description),
        ),
        lambda: network.subnets(name=name, project_id=project_id, network_id=network_id),
    )


def create_router(
    connection: Connection, name: str, project_id: str, *, external_network_id: str | None, description: str
) -> str:
    network = connection.network
    gateway = {"external_gateway_info": {"network_id": external_network_id}} if external_network_id else {}
    return created(
        connection,
        f"create router {name}",
        lambda: network.create_router(name=name, project_id=project_id, description=marked(description), **gateway),
        lambda: network.routers(name=name, project_id=project_id),
    )


def update(connection: Connection, noun: str, object_id: str, **values: Any) -> None:
    """Change a network, subnet, router or security group. A description is given the mark."""
    if "description" in values:
        values["description"] = marked(values["description"])
    change = getattr(connection.network, f"update_{noun}")
    with explained(cloud_name(connection), f"update {noun}"):
        repeat(lambda: change(object_id, **values))


def add_tag(connection: Connection, collection: str, object_id: str) -> None:
    """Set our tag on one of `networks`, `subnets`, `routers` or `security-groups`; other tags stay."""
    sent(connection, "network", "PUT", f"/{collection}/{object_id}/tags/{TAG}", f"tag one of the {collection}")


def add_interface(connection: Connection, router_id: str, subnet_id: str) -> None:
    """Put a router's foot into a subnet. One that stands there already is fine."""

    def add() -> None:
        try:
            connection.network.add_interface_to_router(router_id, subnet=subnet_id)
        except SDK_ERRORS as error:
            there = Interface(router_id, subnet_id)
            if (is_conflict(error) or status_of(error) == 400) and there in interfaces(connection):
                return
            raise

    with explained(cloud_name(connection), "add an interface to a router"):
        repeat(add)


def remove_interface(connection: Connection, router_id: str, subnet_id: str) -> None:
    """Take a router's foot out of a subnet. One that is out already is fine."""

    def remove() -> None:
        try:
            connection.network.remove_interface_from_router(router_id, subnet=subnet_id)
        except SDK_ERRORS as error:
            if status_of(error) != 404 and Interface(router_id, subnet_id) in interfaces(connection):
                raise

    with explained(cloud_name(connection), "take an interface from a router"):
        repeat(remove)


def delete(connection: Connection, collection: str, object_id: str) -> None:
    """Delete one of `networks`, `subnets`, `routers` or `security-groups`. One that is gone already is fine.

    Raises Refused when it is in use.
    """
    sent(connection, "network", "DELETE", f"/{collection}/{object_id}", f"delete one of the {collection}")


def _network(found: Any) -> Network:
    tags = tuple(found.tags or ())
    return Network(
        found.id,
        found.name,
        found.project_id,
        found.description or "",
        tags,
        bool(found.is_router_external),
        is_ours(found.description, tags),
    )


def _subnet(found: Any) -> Subnet:
    tags = tuple(found.tags or ())
    return Subnet(
        found.id,
        found.name,
        found.project_id,
        found.network_id,
        found.cidr,
        tuple(found.dns_nameservers or ()),
        found.description or "",
        tags,
        is_ours(found.description, tags),
    )


def _router(found: Any) -> Router:
    tags = tuple(found.tags or ())
    return Router(
        found.id,
        found.name,
        found.project_id,
        (found.external_gateway_info or {}).get("network_id"),
        found.description or "",
        tags,
        is_ours(found.description, tags),
        tuple((each["destination"], each["nexthop"]) for each in found.routes or ()),
    )
