"""Neutron: a router's second foot in a subnet that another router is the gateway of, and the routes that lead there.

A subnet's gateway address is taken by the router that serves it, so a link stands in the subnet with a port and an
address of its own, and the serving router is told which network lies behind that address.
"""

from __future__ import annotations

from typing import Any

from openstack import exceptions as sdk_errors

from orchestrator.cloud.calls import created, listed
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import SDK_ERRORS, explained, is_conflict, repeat, status_of
from orchestrator.cloud.marks import is_ours, marked
from orchestrator.cloud.network import INTERFACE_OWNERS


def foot_address(connection: Connection, router_id: str, subnet_id: str) -> str | None:
    """Return the address of a router in a subnet, None when it has no foot there."""
    found = listed(connection, "list the ports of a router", lambda: connection.network.ports(device_id=router_id))
    addresses = (address for port in found if port.device_owner in INTERFACE_OWNERS for address in port.fixed_ips or ())
    return next((str(each["ip_address"]) for each in addresses if each["subnet_id"] == subnet_id), None)


def add_foot(
    connection: Connection, router_id: str, *, name: str, project_id: str, network_id: str, subnet_id: str
) -> None:
    """Put a router's foot into a subnet, with an address of its own. May be repeated, also after a kill."""
    if foot_address(connection, router_id, subnet_id):
        return
    network = connection.network

    def find() -> Any:
        return network.ports(name=name, project_id=project_id, network_id=network_id)

    def create() -> Any:
        return network.create_port(
            name=name,
            project_id=project_id,
            network_id=network_id,
            fixed_ips=[{"subnet_id": subnet_id}],
            description=marked(name),
        )

    left = [each for each in listed(connection, "list ports", find) if is_ours(each.description)]
    port_id = left[0].id if left else created(connection, f"create port {name}", create, find)
    with explained(cloud_name(connection), "add an interface to a router"):
        repeat(lambda: _attach(connection, router_id, subnet_id, port_id))


def add_route(connection: Connection, router_id: str, destination: str, next_hop: str) -> None:
    """Tell a router that `destination` lies behind `next_hop`. Other routes stay; one that is there is fine."""
    _change_routes(connection, "add_extraroutes", router_id, destination, next_hop)


def remove_route(connection: Connection, router_id: str, destination: str, next_hop: str) -> None:
    """Take such a route away. Other routes stay; one that is gone is fine."""
    _change_routes(connection, "remove_extraroutes", router_id, destination, next_hop)


def _attach(connection: Connection, router_id: str, subnet_id: str, port_id: str) -> None:
    try:
        connection.network.add_interface_to_router(router_id, port_id=port_id)
    except SDK_ERRORS as error:
        if (is_conflict(error) or status_of(error) == 400) and foot_address(connection, router_id, subnet_id):
            return
        raise


def _change_routes(connection: Connection, change: str, router_id: str, destination: str, next_hop: str) -> None:
    body = {"router": {"routes": [{"destination": destination, "nexthop": next_hop}]}}

    def send() -> None:
        response = connection.network.put(f"/routers/{router_id}/{change}", json=body)
        sdk_errors.raise_from_response(response)

    with explained(cloud_name(connection), "change the routes of a router"):
        repeat(send)
