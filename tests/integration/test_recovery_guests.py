"""A restored server really boots in a closed network, with the address that production's has at the same time.

Both are asked from inside their own networks: the page, and the database behind it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drills.probes import ProbeResult
from drills.server_probes import probe_server
from drills.servers import Built, Stand, build_servers, prepare_networks, prove_closed, start_server, vantage_of
from drills.vantage import Vantage, inside
from orchestrator.cloud import bubble, compute, ports, standby, sweep
from orchestrator.cloud.compute import NewServer
from orchestrator.cloud.connection import Connection
from orchestrator.cloud.volume_import import import_volume
from orchestrator.lab.guest_image.build import image as guest_image
from orchestrator.lab.registration import vantage as lab_vantage
from orchestrator.process import run
from orchestrator.secrets import Secret
from policies.probe import CommandProbe, HttpProbe, ServerProbe, ServerSqlProbe, TcpProbe
from policies.site import Cloud
from tests.integration.recovery_tenant import CENTRE, CIDR, Bureau, make_bureau, remove_bureau

pytestmark = pytest.mark.integration

ADDRESS, ROWS = "10.77.1.20", 120
BOOT_SECONDS = 120.0
INSERT = "insert into records (body) values ('later')"

TCP = TcpProbe.model_validate({"kind": "tcp", "server": "web", "port": 80, "within": "2m"})
HTTP = HttpProbe.model_validate({"kind": "http", "server": "web", "path": "/cgi-bin/rows", "contains": "120"})
SQL = ServerSqlProbe.model_validate(
    {
        "kind": "server-sql", "server": "web", "database": "app", "user": "app",
        "query": "select count(*) from records", "expect": str(ROWS), "within": "1m",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Recovered:
    stand: Stand
    built: Built


@pytest.fixture(scope="module")
def bureau(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    made = make_bureau(tmp_path_factory.mktemp("site"), lab, flavor="guest.small", alone=True)
    yield made
    remove_bureau(made)


@pytest.fixture(scope="module")
def cloud(bureau: Bureau) -> Connection:
    return bureau.cloud


@pytest.fixture(scope="module")
def way(lab: Any) -> Cloud:
    """How the site says that probes come into the networks of this cloud."""
    return Cloud(name="production", vantage=tuple(lab_vantage(lab.lab)))


@pytest.fixture(scope="module")
def disk(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The disk of a server as a restore gives it back: raw."""
    target = tmp_path_factory.mktemp("disk") / "disk.raw"
    run(["qemu-img", "convert", "-O", "raw", str(guest_image(lab.lab)), str(target)], deadline_seconds=120)
    return target


@pytest.fixture(scope="module")
def production(cloud: Connection, way: Cloud, disk: Path) -> Iterator[Vantage]:
    """Production's server runs, and has a row that was written after the recovery point; the place to ask it from."""
    drill = "live"
    segment = standby.find_networks(cloud, {"office": CIDR}, "tenant", CENTRE)["office"]
    # No DHCP service runs in the lab, and the configuration drive leaves out what one would tell.
    cloud.network.update_subnet(segment.subnet_id, is_dhcp_enabled=False)
    volume = import_volume(cloud, drill, "live-root", disk)
    place = {"network_id": segment.network_id, "subnet_id": segment.subnet_id, "address": ADDRESS}
    port = ports.ensure_port(cloud, drill, "live", **place, group_ids=())
    made = compute.request_server(cloud, NewServer("live", "guest.small", (volume,), (port.id,)), drill)
    compute.await_active(cloud, made)
    vantage = inside(way.vantage, segment.network_id, segment.cidr)
    for each in (TCP, SQL):
        found = ask(each, vantage)
        assert found.passed, (found, compute.console(cloud, made))
    command = ["psql", "-X", "-h", ADDRESS, "-U", "app", "-d", "app", "-c", INSERT]
    assert vantage.run(command, deadline_seconds=30).code == 0
    yield vantage
    sweep.delete_bubble(cloud, drill)


@pytest.fixture(scope="module")
def recovered(bureau: Bureau, cloud: Connection, production: Vantage, disk: Path) -> Iterator[Recovered]:
    drill = "20261123T080000Z-guests01"
    how: dict[str, Any] = {"centre": CENTRE, "drill": drill, "run_id": drill, "isolated": True}
    begin = time.monotonic()
    volumes = {"front": import_volume(cloud, drill, f"drill-{drill}-front", disk)}
    told("volume", begin)
    stand = prepare_networks(bureau.app, bureau.ref, bureau.plan, **how)
    built = build_servers(bureau.app, bureau.ref, stand, volumes)
    told("networks, ports, proof", begin)
    start_server(bureau.app, bureau.ref, stand, built, "web")
    told("ACTIVE", begin)
    yield Recovered(stand, built)
    sweep.delete_bubble(cloud, drill)


def told(what: str, begin: float) -> None:
    print(f"{time.monotonic() - begin:6.2f} s  {what}", file=sys.stderr)


def ask(each: ServerProbe | CommandProbe, vantage: Vantage) -> ProbeResult:
    return probe_server(each, {"web": ADDRESS}, vantage, BOOT_SECONDS, lambda reference: Secret(reference))


def test_the_restored_server_answers_from_its_bubble(
    bureau: Bureau, cloud: Connection, production: Vantage, recovered: Recovered, way: Cloud
) -> None:
    begin = time.monotonic()
    for each in (TCP, HTTP, SQL):
        found = ask(each, vantage_of(way, bureau.ref, recovered.stand, each))
        told(found.name, begin)
        assert found.passed, (found, compute.console(cloud, compute.servers(cloud)[0].id))
    later = ask(SQL.model_copy(update={"expect": str(ROWS + 1)}), production)
    assert later.passed, later


def test_neither_of_the_two_networks_leads_to_the_other(
    bureau: Bureau, production: Vantage, recovered: Recovered, way: Cloud
) -> None:
    assert prove_closed(bureau.app, recovered.stand).ports == {"office": 1}
    command = CommandProbe.model_validate(
        {"kind": "command", "command": ["psql", "-XAt", "-h", ADDRESS, "-U", "app", "-d", "app", "-c", INSERT]}
    )
    there = vantage_of(way, bureau.ref, recovered.stand, command)
    assert ask(command, there).passed
    assert ask(command, there).passed
    for vantage, rows in ((there, ROWS + 2), (production, ROWS + 1)):
        assert ask(SQL.model_copy(update={"expect": str(rows)}), vantage).passed


def test_a_page_may_be_green_while_its_database_is_dead(bureau: Bureau, recovered: Recovered, way: Cloud) -> None:
    there = vantage_of(way, bureau.ref, recovered.stand, SQL)
    page = HttpProbe.model_validate({"kind": "http", "server": "web"})
    dead = SQL.model_copy(update={"port": 5433, "within": page.within})
    assert ask(page, there).passed
    found = probe_server(dead, {"web": ADDRESS}, there, 8.0, lambda reference: Secret(reference))
    assert (found.passed, "OperationalError" in found.got) == (False, True), found


def test_a_server_stops_and_starts_and_production_goes_on(
    bureau: Bureau, cloud: Connection, production: Vantage, recovered: Recovered, way: Cloud
) -> None:
    (server,) = [each for each in compute.servers(cloud) if each.metadata.get("drill") == recovered.stand.drill]
    begin = time.monotonic()
    assert compute.stop_server(cloud, server.id).status == "SHUTOFF"
    told("stopped", begin)
    assert compute.start_server(cloud, server.id).status == "ACTIVE"
    assert ask(SQL.model_copy(update={"query": "select 1", "expect": "1"}), production).passed
    there = vantage_of(way, bureau.ref, recovered.stand, SQL)
    assert ask(SQL.model_copy(update={"query": "select 1", "expect": "1"}), there).passed
    told("answers again", begin)
    begin = time.monotonic()
    sweep.delete_bubble(cloud, recovered.stand.drill)
    told("deleted", begin)
    assert ask(SQL.model_copy(update={"expect": str(ROWS + 1)}), production).passed
    assert [each.name for each in compute.servers(cloud)] == ["live"]
    assert bubble.bubble_name(recovered.stand.drill, "office") not in {each.name for each in cloud.network.networks()}
