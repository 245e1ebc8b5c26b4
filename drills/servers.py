"""The servers of a system at a centre: their networks, their ports and volumes, and the order in which they start.

A stand is where they stand: a closed bubble with production's own addresses, or the tenant's own networks at the
centre, with the addresses that the plan maps to. Every function looks before it makes and may be repeated. Nova has no
server that was made and not started, so a server is built as its port and volumes, and comes into being as it starts.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from drills.vantage import HERE, Vantage, inside
from orchestrator.backups.access import Access
from orchestrator.catalogue import leases
from orchestrator.cloud import block_storage, bubble, compute, standby
from orchestrator.cloud.bubble import Isolation, Segment
from orchestrator.cloud.compute import NewServer
from orchestrator.cloud.ports import ensure_port
from orchestrator.cloud.waiting import pause
from orchestrator.errors import Busy, CheckFailed, InvalidInput, UnknownName
from policies.addresses import address_at, network_at
from policies.plan import Plan
from policies.probe import CommandProbe, ServerProbe
from policies.site import Cloud, SystemRef
from policies.tenant import System

#: How long one system waits for another of the same drill and tenant that is making the same networks.
LEASE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Stand:
    """Where the servers of one system stand in one drill.

    `networks` by the tenant's names; `addresses` by the servers' names. `prefix` begins the name of each server.
    """

    centre: str
    tenant: str
    system: str
    drill: str
    isolated: bool
    prefix: str
    networks: dict[str, Segment]
    addresses: dict[str, str]

    def name(self, server: str) -> str:
        """Return what a server is called in the cloud."""
        return f"{self.prefix}{self.system}-{server}"


@dataclass(frozen=True, slots=True)
class Built:
    """The servers of a system, ready to start, by name. `isolation` is the proof that a bubble is closed."""

    servers: dict[str, NewServer]
    isolation: Isolation | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """A server that runs: its name in the cloud, id and address, and how long it took to become ACTIVE."""

    name: str
    id: str
    address: str
    seconds: float
    volumes: tuple[str, ...] = field(default=())


def prepare_networks(
    access: Access, ref: SystemRef, plan: Plan, *, centre: str, drill: str, run_id: str, isolated: bool
) -> Stand:
    """Return where the system's servers stand: a closed bubble made for the drill, or the tenant's own networks.

    Raises InvalidInput when the tenant's networks are not at the centre, AddressMisfit when an address has no place
    there, and CheckFailed when the bubble is not closed.
    """
    servers, tenant = ref.system.servers, ref.tenant
    names = dict.fromkeys(each.network for each in servers.values())
    cloud = access.tenant_cloud(centre, tenant.tenant)
    if isolated:
        own = {name: str(tenant.networks[name].cidr) for name in names}
        with _alone(access, f"bubble {centre}:{tenant.tenant} of {drill}", run_id):
            networks = bubble.ensure_bubble(cloud, drill, own)
        bubble.prove_isolated(cloud, drill, networks.values())
        addresses = {name: str(each.address) for name, each in servers.items()}
    else:
        mapped = {name: str(network_at(plan, tenant, name, centre)) for name in names}
        networks = standby.find_networks(cloud, mapped, tenant.tenant, centre)
        addresses = {
            name: str(address_at(plan, tenant, each.network, each.address, centre)) for name, each in servers.items()
        }
    prefix = f"drill-{drill}-" if isolated else ""
    return Stand(centre, tenant.tenant, ref.name, drill, isolated, prefix, networks, addresses)


def build_servers(access: Access, ref: SystemRef, stand: Stand, volumes: Mapping[str, str]) -> Built:
    """Make the ports of the servers, and check all that their start needs. `volumes` are ids by source name.

    A stopped server's port that has an address in the tenant's own networks is parked (`standby.unpark_ports` is its
    undo). Raises UnknownName for a flavor that the cloud does not have, InvalidInput for a security group, Refused for
    an address that is taken, CheckFailed for a volume that is no free one, or a bubble that is not closed.
    """
    cloud = access.tenant_cloud(stand.centre, stand.tenant)
    _check_volumes(cloud, stand, ref.system, volumes)
    built = {}
    for name, server in ref.system.servers.items():
        compute.flavor_id(cloud, server.flavor)
        groups = standby.find_groups(cloud, server.security_groups, stand.tenant, stand.centre)
        segment, address, called = stand.networks[server.network], stand.addresses[name], stand.name(name)
        if stand.isolated:
            place = {"network_id": segment.network_id, "subnet_id": segment.subnet_id, "address": address}
            port = ensure_port(cloud, stand.drill, called, **place, group_ids=tuple(groups.values()))
        else:
            port = standby.ensure_standby_port(cloud, stand.drill, called, segment, address, tuple(groups.values()))
        disks = tuple(volumes[source] for source in (server.boot, *server.volumes))
        built[name] = NewServer(called, server.flavor, disks, (port.id,))
    return Built(built, prove_closed(access, stand) if stand.isolated else None)


def start_server(
    access: Access,
    ref: SystemRef,
    stand: Stand,
    built: Built,
    server: str,
    *,
    deadline_seconds: float = compute.ACTIVE_SECONDS,
) -> Started:
    """Start a server and wait until it is ACTIVE; those that may start with it are asked for at once, too.

    Raises CheckFailed when one that it is `after` does not run, or when it comes to ERROR, with Nova's reason.
    """
    begin = time.monotonic()
    cloud = access.tenant_cloud(stand.centre, stand.tenant)
    for other in ref.system.servers[server].after:
        first = compute.find_server(cloud, stand.name(other), stand.drill)
        if first is None or first.status != "ACTIVE":
            state = first.status if first else "not started"
            raise CheckFailed(f"{server} starts after {other}, which is {state}", hint=f"start {other} first")
    (wave,) = [each for each in start_order(ref.system) if server in each]
    ids = {name: compute.request_server(cloud, built.servers[name], stand.drill) for name in wave}
    found = compute.start_server(cloud, ids[server], deadline_seconds=deadline_seconds)
    seconds = round(time.monotonic() - begin, 3)
    return Started(found.name, found.id, stand.addresses[server], seconds, built.servers[server].volumes)


def start_order(system: System) -> tuple[tuple[str, ...], ...]:
    """Return the servers in waves: those of one wave may start at once, when all of the waves before run. Pure."""
    left = {name: set(each.after) for name, each in system.servers.items()}
    waves = []
    while left:
        wave = tuple(name for name, after in left.items() if not after & left.keys())
        assert wave, "an order without a circle: `policies.fit_systems` holds it"
        waves.append(wave)
        left = {name: after for name, after in left.items() if name not in wave}
    return tuple(waves)


def addresses(stand: Stand) -> dict[str, str]:
    """Return the addresses of the servers by name: what probes and name switches need."""
    return dict(stand.addresses)


def prove_closed(access: Access, stand: Stand) -> Isolation:
    """Read back that the stand's bubble is closed, and return the evidence. Raises CheckFailed naming every way out."""
    cloud = access.tenant_cloud(stand.centre, stand.tenant)
    return bubble.prove_isolated(cloud, stand.drill, stand.networks.values())


def vantage_of(cloud: Cloud | None, ref: SystemRef, stand: Stand, each: ServerProbe | CommandProbe) -> Vantage:
    """Return where a probe is asked from: inside the network of the server that it asks, when the cloud has a way in.

    A command is run in the network of the system's first server. Raises InvalidInput for a bubble without a way in.
    """
    prefix = cloud.vantage if cloud else ()
    if not prefix:
        if stand.isolated:
            raise InvalidInput(
                f"the probes of {ref} cannot reach into a closed network at {stand.centre}: there is no way in",
                hint=f"name a command as centres.{stand.centre}.cloud.vantage in site.yaml",
            )
        return HERE
    server = next(iter(ref.system.servers)) if isinstance(each, CommandProbe) else each.server
    if server not in ref.system.servers:
        raise UnknownName(f"server of {ref}", server, ref.system.servers)
    segment = stand.networks[ref.system.servers[server].network]
    return inside(prefix, segment.network_id, segment.cidr)


def _check_volumes(cloud: Any, stand: Stand, system: System, volumes: Mapping[str, str]) -> None:
    for source in _sources(system):
        if source not in volumes:
            raise CheckFailed(f"the volume source {source} was not restored", hint="start the run again")
        volume = block_storage.get_volume(cloud, volumes[source])
        ours = {each.id for each in compute.servers(cloud) if each.metadata.get("drill") == stand.drill}
        if volume is None or (volume.status != "available" and not set(volume.attached_to) & ours):
            state = f"{volume.status}, attached to {volume.attached_to}" if volume else "gone"
            raise CheckFailed(f"the volume of {source} is {state}", hint="start the run again")


def _sources(system: System) -> Iterable[str]:
    return dict.fromkeys(source for each in system.servers.values() for source in (each.boot, *each.volumes))


@contextmanager
def _alone(access: Access, name: str, run_id: str) -> Iterator[None]:
    """Let one system at a time make the networks that it shares with others of its tenant."""
    end = time.monotonic() + LEASE_SECONDS
    while True:
        try:
            with leases.hold(access.catalogue, name, run_id, exclusive=True):
                yield
                return
        except Busy:
            if time.monotonic() > end:
                raise
            pause()
