"""The servers that a site describes, booted for real at production: what a drill recovers must have been alive once."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator import process
from orchestrator.cloud.connection import connect
from orchestrator.errors import InvalidInput, TricenterError
from orchestrator.lab.layout import Lab
from orchestrator.lab.progress import Progress
from orchestrator.lab.registration import vantage
from orchestrator.lab.seed_volume import tenant_account
from policies.site import Site, SystemRef
from policies.tenant import Server, VolumeSource

ACTIVE_SECONDS = 120.0
ANSWER_SECONDS = 120.0
POLL_SECONDS = 0.5
FETCH = "import sys; from orchestrator.lab.sockets import fetch; print(fetch(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class GuestServer:
    """One server of a system, as the site has it."""

    system: SystemRef
    name: str
    server: Server

    def __str__(self) -> str:
        return f"{self.system}/{self.name}"

    @property
    def called(self) -> str:
        """What it is called in the cloud, also where a recovery makes it anew."""
        return f"{self.system.name}-{self.name}"

    @property
    def cidr(self) -> str:
        return str(self.system.tenant.networks[self.server.network].cidr)

    def volumes(self) -> list[str]:
        """Return the names of its volumes, the one that it boots from first."""
        sources = [self.system.system.sources[name] for name in (self.server.boot, *self.server.volumes)]
        return [source.volume for source in sources if isinstance(source, VolumeSource)]


@dataclass(frozen=True, slots=True)
class Seen:
    """How a server is: what the cloud says, and what it answers itself. Empty when there is none, or no answer."""

    server: GuestServer
    status: str = ""
    host: str = ""
    page: str = ""
    rows: str = ""


def servers(site: Site, systems: Collection[str] = ()) -> list[GuestServer]:
    """Return the servers of these systems, of all when none is named, each after those that it starts after."""
    found = []
    for system in site.systems():
        if not systems or str(system) in systems:
            found += [GuestServer(system, name, system.system.servers[name]) for name in _order(system)]
    return found


def _order(system: SystemRef) -> Iterator[str]:
    left = dict(system.system.servers)
    while left:
        for name in [each for each, server in left.items() if not set(server.after) & set(left)]:
            del left[name]
            yield name


def start(lab: Lab, wanted: Collection[GuestServer], progress: Progress) -> None:
    """Boot the servers that do not run, and return when each answers. May be repeated.

    Raises InvalidInput when a tenant was not applied or its volumes were not seeded, TricenterError when a server
    does not come up.
    """
    for each in wanted:
        with progress.stage(str(each)), tenant_account(lab, each.system.tenant.tenant) as inside:
            _ensure(inside, each)
    for each in wanted:
        with progress.stage(f"{each}: 应答 answers"), tenant_account(lab, each.system.tenant.tenant) as inside:
            _await_answer(lab, each, _network(inside, each).id)


def delete(lab: Lab, wanted: Collection[GuestServer], progress: Progress) -> None:
    """Shut the servers down and delete them with their ports. Their volumes stay. May be repeated."""
    for each in wanted:
        with progress.stage(str(each)), tenant_account(lab, each.system.tenant.tenant) as inside:
            compute = inside.compute
            for found in _named(inside, each):
                if found.status == "ACTIVE":
                    compute.stop_server(found)
                    compute.wait_for_server(found, status="SHUTOFF", wait=ACTIVE_SECONDS, interval=POLL_SECONDS)
                compute.delete_server(found)
                compute.wait_for_delete(found, wait=ACTIVE_SECONDS, interval=POLL_SECONDS)
            for port in list(inside.network.ports(name=each.called)):
                inside.network.delete_port(port)


def look(lab: Lab, wanted: Collection[GuestServer]) -> list[Seen]:
    """Return how each server is, with its first page and the number of rows that its database has."""
    seen = []
    for each in wanted:
        with tenant_account(lab, each.system.tenant.tenant) as inside:
            found = next(iter(_named(inside, each)), None)
            if found is None:
                seen.append(Seen(each))
                continue
            network = _network(inside, each).id
            page, rows = (ask(lab, each, network, path) for path in ("/", "/cgi-bin/rows"))
            seen.append(Seen(each, found.status, _host(lab, found.id), page, rows))
    return seen


def ask(lab: Lab, server: GuestServer, network: str, path: str) -> str:
    """Return what a server answers to a GET, asked inside its network; nothing when it does not."""
    prefix = [word.format(network=network, cidr=server.cidr) for word in vantage(lab)]
    url = f"http://{server.server.address}{path}"
    answer = process.run([*prefix, sys.executable, "-c", FETCH, url], deadline_seconds=20, check=False)
    return answer.stdout.strip() if answer.code == 0 else ""


def _ensure(inside: Any, each: GuestServer) -> None:
    for found in _named(inside, each):
        if found.status == "ACTIVE":
            return
        if found.status == "SHUTOFF":
            inside.compute.start_server(found)
            _await_active(inside, each, found)
            return
        inside.compute.delete_server(found)  # left half-made by a run that was killed
        inside.compute.wait_for_delete(found, wait=ACTIVE_SECONDS, interval=POLL_SECONDS)
    made = inside.compute.create_server(
        name=each.called,
        flavor_id=_flavor(inside, each).id,
        networks=[{"port": _port(inside, each).id}],
        block_device_mapping=[
            {
                "boot_index": 0 if place == 0 else -1,
                "uuid": _volume(inside, each, name).id,
                "source_type": "volume",
                "destination_type": "volume",
                "delete_on_termination": False,
            }
            for place, name in enumerate(each.volumes())
        ],
    )
    _await_active(inside, each, made)


def _await_active(inside: Any, each: GuestServer, server: Any) -> None:
    give_up = time.monotonic() + ACTIVE_SECONDS
    while (now := inside.compute.get_server(server.id)).status != "ACTIVE":
        if now.status == "ERROR" or time.monotonic() > give_up:
            fault = (now.fault or {}).get("message", "")
            raise TricenterError(f"the server {each} is {now.status} {fault}".strip(), hint="tricenter lab status")
        time.sleep(POLL_SECONDS)


def _await_answer(lab: Lab, each: GuestServer, network: str) -> None:
    give_up = time.monotonic() + ANSWER_SECONDS
    while not ask(lab, each, network, "/cgi-bin/rows"):
        if time.monotonic() > give_up:
            raise TricenterError(
                f"the server {each} runs and does not answer after {ANSWER_SECONDS:.0f} s",
                hint=f"look at its console: openstack --os-cloud production console log show {each.called}",
            )
        time.sleep(POLL_SECONDS)


def _named(inside: Any, each: GuestServer) -> list[Any]:
    return [found for found in inside.compute.servers(name=each.called) if found.name == each.called]


def _network(inside: Any, each: GuestServer) -> Any:
    found = inside.network.find_network(each.server.network)
    if found is None:
        raise _not_applied(each, f"network {each.server.network}")
    return found


def _port(inside: Any, each: GuestServer) -> Any:
    network = _network(inside, each)
    for found in inside.network.ports(name=each.called, network_id=network.id):
        return found
    groups = [inside.network.find_security_group(name) for name in each.server.security_groups]
    if None in groups:
        raise _not_applied(each, "security groups")
    return inside.network.create_port(
        name=each.called,
        network_id=network.id,
        fixed_ips=[{"ip_address": str(each.server.address)}],
        **({"security_groups": [group.id for group in groups]} if groups else {}),
    )


def _flavor(inside: Any, each: GuestServer) -> Any:
    found = inside.compute.find_flavor(each.server.flavor)
    if found is None:
        raise InvalidInput(f"the cloud has no flavor {each.server.flavor}", hint="the lab's are in docs/lab.md")
    return found


def _volume(inside: Any, each: GuestServer, name: str) -> Any:
    found = [volume for volume in inside.block_storage.volumes(name=name) if volume.name == name]
    if not found:
        raise InvalidInput(f"{each}: there is no volume {name} yet", hint="tricenter lab seed")
    return found[0]


def _not_applied(each: GuestServer, what: str) -> InvalidInput:
    return InvalidInput(
        f"{each}: the tenant has no {what} at production yet",
        hint=f"tricenter tenant apply {each.system.tenant.tenant}",
    )


def _host(lab: Lab, server: str) -> str:
    return str(connect("production", config_file=lab.clouds_file).compute.get_server(server).hypervisor_hostname or "")
