"""What a fresh cloud needs before a tenant can use it, made through its own APIs. Every step may be repeated."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from orchestrator.cloud.connection import connect
from orchestrator.errors import TricenterError
from orchestrator.lab import daemons, guests
from orchestrator.lab.layout import CloudCentre, Lab
from orchestrator.lab.openstack_config import GUEST_TRAIT

EXTERNAL_NETWORK = "public"
EXTERNAL_CIDR = {"production": "203.0.113.0/24", "same-city": "198.51.100.0/24"}
VOLUME_TYPE = "standard"
FLAVORS = {"m1.tiny": (1, 512, 1), "m1.small": (1, 2048, 20), "m1.medium": (2, 4096, 40)}  # cores, MiB, GiB
#: Flavors whose servers really boot. Their disk is a volume.
GUEST_FLAVORS = {"guest.small": (1, 256, 0), "guest.medium": (1, 512, 0)}
GUEST_AGGREGATE = "guests"
WORKERS_SECONDS = 120.0
CINDER_WORKERS = {"cinder-scheduler", "cinder-volume"}


def _services(lab: Lab, cloud: CloudCentre) -> dict[tuple[str, str], str]:
    """Return the URL of each service by its name and type."""
    base = {name: f"http://127.0.0.1:{lab.api_port(cloud, name)}" for name in (
        "placement", "glance", "nova-api", "neutron-api", "cinder-api",
    )}  # fmt: skip
    volumes = base["cinder-api"] + "/v3/%(project_id)s"
    return {
        ("glance", "image"): base["glance"],
        ("placement", "placement"): base["placement"],
        ("nova", "compute"): base["nova-api"] + "/v2.1",
        ("neutron", "network"): base["neutron-api"],
        ("cinderv3", "volumev3"): volumes,
        ("cinder", "block-storage"): volumes,
    }


def fill_catalogue(lab: Lab, cloud: CloudCentre) -> None:
    """Make the services' project, users, roles and catalogue entries. Needs Keystone only."""
    identity = connect(cloud, config_file=lab.clouds_file).identity
    project = identity.find_project("service", domain_id="default") or identity.create_project(
        name="service", domain_id="default"
    )
    roles = {role.name: role for role in identity.roles()}
    for name in ("service", "manager", "member", "reader"):
        if name not in roles:
            roles[name] = identity.create_role(name=name)
    users = {user.name: user for user in identity.users(domain_id="default")}
    for name in ("glance", "placement", "nova", "neutron", "cinder"):
        user = users.get(name) or identity.create_user(
            name=name, password=lab.secret("openstack.password"), domain_id="default"
        )
        for role in ("admin", "service"):
            identity.assign_project_role_to_user(project=project, user=user, role=roles[role])
    _fill_endpoints(identity, cloud, _services(lab, cloud))


def _fill_endpoints(identity: Any, cloud: CloudCentre, urls: dict[tuple[str, str], str]) -> None:
    services = {(service.name, service.type): service for service in identity.services()}
    endpoints = {(each.service_id, each.interface) for each in identity.endpoints()}
    for (name, kind), url in urls.items():
        service = services.get((name, kind)) or identity.create_service(name=name, type=kind)
        for interface in ("public", "internal", "admin"):
            if (service.id, interface) not in endpoints:
                identity.create_endpoint(service_id=service.id, interface=interface, region_id=cloud, url=url)


def finish(lab: Lab, cloud: CloudCentre) -> None:
    """Map the compute host and make what tenants find: flavors, a volume type, an external network."""
    connection = connect(cloud, config_file=lab.clouds_file)
    await_workers(lab, cloud, connection)
    config = str(lab.etc(cloud) / "nova" / "nova.conf")
    discover = [
        str(lab.venv / "bin" / "nova-manage"),
        "--config-file",
        config,
        "cell_v2",
        "discover_hosts",
        "--by-service",
    ]
    daemons.run(lab, f"{cloud}-discover", discover, seconds=120)
    storage = connection.block_storage
    if not storage.find_type(VOLUME_TYPE):
        storage.create_type(name=VOLUME_TYPE, extra_specs={"volume_backend_name": "files"})
    for name, (cores, ram, disk) in {**FLAVORS, **GUEST_FLAVORS}.items():
        if not connection.compute.find_flavor(name):
            connection.compute.create_flavor(name=name, vcpus=cores, ram=ram, disk=disk)
    _set_guests_apart(connection.compute, cloud)
    _make_external_network(connection.network, cloud)


def _set_guests_apart(compute: Any, cloud: CloudCentre) -> None:
    """Let exactly the flavors for guests that boot come to the host that boots them."""
    demand = {f"trait:{GUEST_TRAIT}": "required"}
    for name in GUEST_FLAVORS:
        compute.create_flavor_extra_specs(compute.find_flavor(name), demand)
    aggregate = compute.find_aggregate(GUEST_AGGREGATE) or compute.create_aggregate(name=GUEST_AGGREGATE)
    if guests.host(cloud) not in (aggregate.hosts or ()):
        compute.add_host_to_aggregate(aggregate, guests.host(cloud))
    compute.set_aggregate_metadata(aggregate, demand)


def _make_external_network(network: Any, cloud: CloudCentre) -> None:
    external = network.find_network(EXTERNAL_NETWORK) or network.create_network(
        name=EXTERNAL_NETWORK,
        is_router_external=True,
        provider_network_type="flat",
        provider_physical_network=EXTERNAL_NETWORK,
    )
    if not list(network.subnets(network_id=external.id)):
        network.create_subnet(
            network_id=external.id,
            name=EXTERNAL_NETWORK,
            ip_version=4,
            cidr=EXTERNAL_CIDR[cloud],
            is_dhcp_enabled=False,
        )


def _compute_hosts(cloud: CloudCentre) -> set[str]:
    return {f"{cloud}-compute-1", guests.host(cloud)}


def _nova_workers(cloud: CloudCentre) -> set[tuple[str, str]]:
    controllers = {(binary, f"{cloud}-compute-1") for binary in ("nova-conductor", "nova-scheduler")}
    return controllers | {("nova-compute", host) for host in _compute_hosts(cloud)}


def resume(lab: Lab, cloud: CloudCentre) -> None:
    """Return when a cloud that was filled before is at work again: its workers, and its networks.

    Neutron reads its policies at its first request, and meanwhile tells others that there is nothing: so that one is
    ours. Raises TricenterError.
    """
    connection = connect(cloud, config_file=lab.clouds_file)
    await_workers(lab, cloud, connection)
    give_up = time.monotonic() + WORKERS_SECONDS
    while not any(each.name == EXTERNAL_NETWORK for each in connection.network.networks()):
        if time.monotonic() > give_up:
            raise TricenterError(
                f"{cloud}: Neutron does not list {EXTERNAL_NETWORK}", hint=f"read {lab.logs}/{cloud}-neutron-api.log"
            )
        time.sleep(0.3)


def await_workers(lab: Lab, cloud: CloudCentre, connection: Any = None) -> None:
    """Return when Nova's and Cinder's workers have reported and the scheduler knows a host and a pool.

    Raises TricenterError naming what did not come in time.
    """
    connection = connection or connect(cloud, config_file=lab.clouds_file)
    steps: dict[str, Callable[[], bool]] = {
        "Nova's workers": lambda: (
            {(w.binary, w.host) for w in connection.compute.services() if w.state == "up"} >= _nova_workers(cloud)
        ),
        "the compute hosts' inventories": lambda: (
            {each.name for each in connection.placement.resource_providers()} >= _compute_hosts(cloud)
        ),
        "Cinder's workers": lambda: (
            {w.binary for w in connection.block_storage.services() if w.state == "up"} >= CINDER_WORKERS
        ),
        "Cinder's pool": lambda: any(True for _ in connection.block_storage.backend_pools()),
    }
    give_up = time.monotonic() + WORKERS_SECONDS
    for what, there in steps.items():
        while not there():
            if time.monotonic() > give_up:
                raise TricenterError(
                    f"{cloud}: {what} did not come up in {WORKERS_SECONDS:.0f} s",
                    hint=f"read {lab.logs}/{cloud}-nova-*.log and {cloud}-cinder-*.log there",
                )
            time.sleep(0.3)
