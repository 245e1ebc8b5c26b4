"""Where servers stand when their system is recovered elsewhere: the network there, and their address in it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from policies.plan import Plan
from policies.tenant import Tenant


class AddressMisfit(ValueError):
    """An address has no place in the network that it is mapped to."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def network_at(plan: Plan, tenant: Tenant, network: str, centre: str) -> IPv4Network:
    """Return what the addresses of a tenant's network are at `centre`: the plan's, or production's own."""
    own = tenant.networks[network].cidr
    elsewhere = plan.networks.get(f"{tenant.tenant}/{network}")
    if elsewhere is None:
        return own
    return {"same-city": elsewhere.same_city, "provincial": elsewhere.provincial}.get(centre) or own


def networks_at(plans: Iterable[Plan], tenant: Tenant, centre: str) -> dict[str, IPv4Network]:
    """Return a tenant's networks at `centre` by name: as a plan maps them, or production's own.

    Plans agree on what they map: `policies.fit_plans` holds them to it.
    """
    found = {name: network.cidr for name, network in tenant.networks.items()}
    for plan in plans:
        for name in tenant.networks:
            if f"{tenant.tenant}/{name}" in plan.networks:
                found[name] = network_at(plan, tenant, name, centre)
    return found


def address_at(plan: Plan, tenant: Tenant, network: str, address: IPv4Address, centre: str) -> IPv4Address:
    """Return what `address`, production's, is at `centre`: it keeps its place in the network.

    No two addresses of a network become one. Raises AddressMisfit when the address is none of the network's hosts,
    or when the network there is too small for its place.
    """
    own, there = tenant.networks[network].cidr, network_at(plan, tenant, network, centre)
    if not _is_host(own, address):
        raise AddressMisfit(
            f"{address} is no host of {tenant.tenant}/{network} ({own})",
            hint=f"mend the server's address in the tenant {tenant.tenant}",
        )
    place = int(address) - int(own.network_address)
    if place >= there.num_addresses or not _is_host(there, there[place]):
        raise AddressMisfit(
            f"{address} of {tenant.tenant}/{network} has no place in {there} at {centre}",
            hint=f"map the network to one that is as large as {own}, in the plan {plan.plan}",
        )
    return there[place]


def _is_host(network: IPv4Network, address: IPv4Address) -> bool:
    """Tell whether a server may have the address: the first and the last one are none, but in the smallest networks."""
    if network.prefixlen >= 31:
        return address in network
    return address in network and address not in (network.network_address, network.broadcast_address)
