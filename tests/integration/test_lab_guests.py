"""Guests that really boot: from a volume, with a web server and a database that answer, in networks that are closed."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from orchestrator import process
from orchestrator.cloud.connection import connect
from orchestrator.lab import guests, links
from orchestrator.lab.guest_image.publish import publish
from orchestrator.lab.layout import CloudCentre, Lab
from orchestrator.lab.registration import vantage
from tests.conftest import RunningLab

pytestmark = pytest.mark.integration

CLOUD: CloudCentre = "same-city"
CIDR, ADDRESS = "10.7.0.0/24", "10.7.0.20"
READY_SECONDS = 120


@dataclass(frozen=True)
class Guest:
    """A server in a network of its own; all of them have the same address."""

    lab: Lab
    name: str
    network: str
    server: str
    volume: str

    def inside(self, *command: str) -> process.Finished:
        prefix = [word.format(network=self.network, cidr=CIDR) for word in vantage(self.lab)]
        return process.run([*prefix, *command], deadline_seconds=30, check=False)

    def get(self, path: str, *options: str) -> str:
        return self.inside("curl", "-sf", "-m", "5", *options, f"http://{ADDRESS}{path}").stdout.strip()

    def sql(self, query: str) -> str:
        place = f"host={ADDRESS} user=app dbname=app connect_timeout=5"
        return self.inside("psql", "-XAt", place, "-c", query).stdout.strip()


def until(what: Callable[[], Any], seconds: float = READY_SECONDS) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.3)
    return found


def status(found: Any, good: str) -> bool:
    assert found.status.lower() != "error", getattr(found, "fault", None)
    return bool(found.status == good)


@pytest.fixture(scope="module")
def cloud(lab: RunningLab) -> Any:
    return connect(CLOUD, config_file=lab.clouds_file)


@pytest.fixture(scope="module")
def pair(lab: RunningLab, cloud: Any) -> Iterator[tuple[Guest, Guest]]:
    """Two servers with the same address in two networks, booted at the same time from two volumes of the image."""
    image, mark = publish(lab.lab, CLOUD), token_hex(3)
    with ExitStack() as stack:
        made = [start(lab.lab, cloud, image, f"guest-{mark}-{number}", stack) for number in (1, 2)]
        for each in made:
            until(lambda each=each: status(cloud.compute.get_server(each.server), "ACTIVE"))
        for each in made:
            until(lambda each=each: each.sql("select 1"))
        yield made[0], made[1]


def start(lab: Lab, cloud: Any, image: str, name: str, stack: ExitStack) -> Guest:
    network = cloud.network.create_network(name=name)
    stack.callback(cloud.network.delete_network, network)
    cloud.network.create_subnet(network_id=network.id, ip_version=4, cidr=CIDR, gateway_ip=None)
    volume = cloud.block_storage.create_volume(name=name, size=1, image_id=image)
    stack.callback(cloud.block_storage.delete_volume, volume)
    until(lambda: status(cloud.block_storage.get_volume(volume.id), "available"))
    port = cloud.network.create_port(network_id=network.id, fixed_ips=[{"ip_address": ADDRESS}])
    stack.callback(cloud.network.delete_port, port)
    disk = {"boot_index": 0, "uuid": volume.id, "source_type": "volume", "destination_type": "volume"}
    server = cloud.compute.create_server(
        name=name,
        flavor_id=cloud.compute.find_flavor("guest.small").id,
        networks=[{"port": port.id}],
        block_device_mapping=[disk],
    )
    stack.callback(cloud.compute.wait_for_delete, server, interval=0.3, wait=READY_SECONDS)
    stack.callback(cloud.compute.delete_server, server)
    return Guest(lab, name, network.id, server.id, volume.id)


def test_the_web_server_and_the_database_answer_and_keep_what_they_are_told(pair):
    first, _ = pair
    assert f"hostname {first.name}" in first.get("/")
    assert ADDRESS in first.get("/")
    before = int(first.get("/cgi-bin/rows"))
    assert first.get("/cgi-bin/record", "--data", "申请 it's one") == "stored"
    assert first.sql("select count(*) from records") == str(before + 1)
    assert first.sql("select body from records order by id desc limit 1") == "申请 it's one"
    assert first.get("/cgi-bin/record").endswith("申请 it's one")


def test_two_networks_with_the_same_addresses_do_not_know_of_each_other(pair):
    first, second = pair
    assert (first.name in first.get("/"), second.name in second.get("/")) == (True, True)
    first.get("/cgi-bin/record", "--data", "only in the first")
    assert "only in the first" not in second.get("/cgi-bin/record")
    seen = first.inside("sh", "-c", "ip route; ip -br link").stdout
    assert "default" not in seen  # no way out
    assert sorted(line.split("@")[0].split()[0] for line in seen.splitlines() if "UP" in line) == ["leg0", "lo"]
    bridges = [Path("/sys/class/net") / links.bridge_of(each.lab, each.network) for each in pair]
    ports = [{port.name for port in (bridge / "brif").iterdir()} for bridge in bridges]
    assert not ports[0] & ports[1]
    for bridge in bridges:  # this machine is in neither
        addresses = process.run(["ip", "-o", "addr", "show", "dev", bridge.name], deadline_seconds=10).stdout
        assert addresses == ""


def test_a_snapshot_of_the_running_disk_holds_what_was_committed(pair, cloud):
    first, _ = pair
    assert first.get("/cgi-bin/record", "--data", "before the snapshot") == "stored"
    storage = cloud.block_storage
    snapshot = storage.create_snapshot(volume_id=first.volume, name=first.name, is_forced=True)
    until(lambda: status(storage.get_snapshot(snapshot.id), "available"))
    copy = storage.create_volume(name=f"{first.name}-copy", size=1, snapshot_id=snapshot.id)
    until(lambda: status(storage.get_volume(copy.id), "available"))
    file = next((first.lab.cloud_data(CLOUD) / "volumes").glob(f"*/volume-{copy.id}"))
    try:
        assert b"before the snapshot\n" in file.read_bytes()
        assert first.get("/cgi-bin/record", "--data", "after it") == "stored"  # the guest goes on on another file
        assert b"after it\n" not in file.read_bytes()
    finally:
        storage.delete_volume(copy)
        storage.wait_for_delete(copy, interval=0.3, wait=READY_SECONDS)
        storage.delete_snapshot(snapshot)
        storage.wait_for_delete(snapshot, interval=0.3, wait=READY_SECONDS)
    assert first.get("/cgi-bin/record", "--data", "and without it") == "stored"


def test_only_flavors_that_ask_for_it_come_to_the_host_that_boots(pair, cloud):
    first, _ = pair
    assert cloud.compute.get_server(first.server).hypervisor_hostname == guests.host(CLOUD)
    other = cloud.compute.create_server(
        name=f"{first.name}-fake",
        flavor_id=cloud.compute.find_flavor("m1.tiny").id,
        image_id=publish(first.lab, CLOUD),
        networks="none",
    )
    try:
        until(lambda: status(cloud.compute.get_server(other.id), "ACTIVE"))
        assert cloud.compute.get_server(other.id).hypervisor_hostname == f"{CLOUD}-compute-1"
    finally:
        cloud.compute.delete_server(other)
        cloud.compute.wait_for_delete(other, interval=0.3, wait=READY_SECONDS)


def test_the_place_inside_has_the_commands_own_code_and_goes_with_it(pair, tmp_path):
    first, _ = pair
    assert first.inside("sh", "-c", "exit 7").code == 7
    assert first.inside("no-such-program").code == 127
    prefix = [word.format(network=first.network, cidr=CIDR) for word in vantage(first.lab)]
    pids = [process.spawn([*prefix, "sleep", "60"], log=tmp_path / "log") for _ in range(2)]
    legs = [Path("/sys/class/net") / f"{links.prefix(first.lab)}v{pid:x}" for pid in pids]
    ask = [sys.executable, "-c", "import socket; print(socket.gethostname())"]
    until(lambda: all(leg.exists() for leg in legs), seconds=20)
    until(lambda: all(Path(f"/proc/{pid}/comm").read_text() == "sleep\n" for pid in pids), seconds=20)
    taken = {address_of(pid) for pid in pids}
    assert len(taken) == 2  # each has an address of its own
    assert first.inside(*ask).code == 0
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    until(lambda: not any(leg.exists() for leg in legs), seconds=20)


def address_of(pid: int) -> str:
    shown = process.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-br", "-4", "addr"], deadline_seconds=10)
    return next(line.split()[2] for line in shown.stdout.splitlines() if line.startswith("leg0"))
