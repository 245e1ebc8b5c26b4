"""What a recovery makes in a tenant's project of a real cloud, as a member: made once, closed, and all gone again."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from drills.servers import Built, Stand, addresses, build_servers, prepare_networks, prove_closed, start_server
from orchestrator.backups.places.volume import VolumePlace
from orchestrator.cloud import block_storage, bubble, compute, image, ports, standby, sweep, volume_swap
from orchestrator.cloud.compute import NewServer
from orchestrator.cloud.connection import Connection
from orchestrator.cloud.volume_import import drill_volume, import_volume
from orchestrator.engine.journal import decode, encode
from orchestrator.errors import CheckFailed, InvalidInput, PartlyDone, Refused, UnknownName
from orchestrator.process import Child
from tests.integration.recovery_tenant import CENTRE, CIDR, Bureau, disk, make_bureau, remove_bureau

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def bureau(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    made = make_bureau(tmp_path_factory.mktemp("site"), lab)
    yield made
    remove_bureau(made)


@pytest.fixture(scope="module")
def cloud(bureau: Bureau) -> Connection:
    return bureau.cloud


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disk(tmp_path_factory.mktemp("disk") / "disk.raw")


@pytest.fixture
def drill(cloud: Connection) -> Iterator[str]:
    name = f"20261123T080000Z-{secrets.token_hex(4)}"
    yield name
    sweep.delete_bubble(cloud, name)


@pytest.fixture
def own(cloud: Connection) -> bubble.Segment:
    """The tenant's own network."""
    return standby.find_networks(cloud, {"office": CIDR}, "tenant", CENTRE)["office"]


@pytest.fixture
def production(cloud: Connection, own: bubble.Segment, raw: Path) -> Iterator[compute.Server]:
    """A server with web's address in the tenant's own network."""
    live = f"live-{secrets.token_hex(3)}"
    yield boot(cloud, live, own, raw, "10.77.1.20")
    standby.unpark_ports(cloud, live)
    sweep.delete_bubble(cloud, live)


def boot(cloud: Connection, drill: str, segment: bubble.Segment, raw: Path, address: str) -> compute.Server:
    volume = import_volume(cloud, drill, f"{drill}-root", raw)
    place = {"network_id": segment.network_id, "subnet_id": segment.subnet_id, "address": address}
    port = ports.ensure_port(cloud, drill, f"{drill}-port", **place, group_ids=())
    wanted = NewServer(f"{drill}-web", "m1.tiny", (volume,), (port.id,))
    return compute.await_active(cloud, compute.request_server(cloud, wanted, drill))


def restore(bureau: Bureau, drill: str, raw: Path) -> Mapping[str, str]:
    cloud = bureau.cloud
    return {each: import_volume(cloud, drill, f"drill-{drill}-{each}", raw) for each in bureau.ref.system.sources}


def recover(bureau: Bureau, drill: str, raw: Path, *, isolated: bool = True) -> tuple[Stand, Built]:
    """Recover the system without starting it; every step twice, as after a crash."""
    volumes = {each: restore(bureau, drill, raw) for each in (1, 2)}
    assert volumes[1] == volumes[2]
    app, ref = bureau.app, bureau.ref
    how: dict[str, Any] = {"centre": CENTRE, "drill": drill, "run_id": drill, "isolated": isolated}
    stand = prepare_networks(app, ref, bureau.plan, **how)
    assert prepare_networks(app, ref, bureau.plan, **how) == stand == decode(encode(stand))
    built = build_servers(app, ref, stand, volumes[1])
    assert build_servers(app, ref, stand, volumes[1]) == built == decode(encode(built))
    return stand, built


def test_a_system_stands_in_its_bubble_beside_production_with_the_same_address(
    bureau: Bureau, cloud: Connection, production: compute.Server, drill: str, raw: Path
) -> None:
    stand, built = recover(bureau, drill, raw)
    assert addresses(stand) == {"web": "10.77.1.20", "db": "10.77.1.21"}
    with pytest.raises(CheckFailed, match="web starts after db, which is not started"):
        start_server(bureau.app, bureau.ref, stand, built, "web")
    for name in ("db", "db", "web"):
        started = start_server(bureau.app, bureau.ref, stand, built, name)
        assert started == decode(encode(started))
    seen = {each.name: each for each in compute.servers(cloud) if each.metadata.get("drill") == drill}
    assert set(seen) == {f"drill-{drill}-registry-web", f"drill-{drill}-registry-db"}
    assert set(seen[f"drill-{drill}-registry-db"].volume_ids) == set(built.servers["db"].volumes)
    proof = prove_closed(bureau.app, stand)
    assert proof.ports == {"office": 2}
    assert cloud.compute.get_server(production.id).status == "ACTIVE"

    other = f"other-{secrets.token_hex(3)}"
    bubble.ensure_bubble(cloud, other, {"office": CIDR})
    gone = sweep.delete_bubble(cloud, drill)
    assert {each.split()[0] for each in gone} == {"server", "port", "volume", "network"}
    assert sweep.delete_bubble(cloud, drill) == ()
    assert sweep.what_is_left(cloud, other) == (f"network drill-{other}-office",)
    found = compute.get_server(cloud, production.id)
    assert found is not None
    assert (found.status, found.volume_ids) == ("ACTIVE", production.volume_ids)
    standby.find_networks(cloud, {"office": CIDR}, "tenant", CENTRE)
    sweep.delete_bubble(cloud, other)


@pytest.mark.parametrize("moment", ["begun", "uploaded", "volume data", "networks", "built", "started db"])
def test_nothing_is_left_of_one_that_was_killed(
    bureau: Bureau, cloud: Connection, drill: str, raw: Path, moment: str
) -> None:
    site = bureau.site.folder
    argv = [sys.executable, "-m", "tests.integration.recovery_driver", str(site / "site"), str(site / "overlay.yaml")]
    with Child([*argv, f"{bureau.name}/registry", drill, str(raw)]) as child:
        for line in child.lines():
            if line.startswith(moment):
                break
        else:
            pytest.fail(f"it never came to {moment!r}: {child.stderr}")
        time.sleep(secrets.randbelow(200) / 1000)
        os.kill(child.pid, signal.SIGKILL)
    swept = sweep.delete_bubble(cloud, drill)
    assert swept or moment == "begun"
    assert sweep.what_is_left(cloud, drill) == ()
    left = json.dumps(
        [
            [each.name for each in block_storage.volumes(cloud)],
            [each.name for each in compute.servers(cloud)],
            [each.name for each in cloud.network.networks()],
            [each.name for each in cloud.image.images()],
        ]
    )
    assert drill not in left


def test_a_way_out_of_a_bubble_is_found(bureau: Bureau, cloud: Connection, drill: str, own: bubble.Segment) -> None:
    segment = bubble.ensure_bubble(cloud, drill, {"office": CIDR})["office"]
    assert bubble.prove_isolated(cloud, drill, [segment]).ports == {"office": 0}
    router = cloud.network.create_router(name="way-out")
    port = cloud.network.create_port(network_id=segment.network_id, name="foreign")
    cloud.network.add_interface_to_router(router, port_id=port.id)
    try:
        with pytest.raises(CheckFailed, match="not closed: office: port foreign of network:router_interface"):
            bubble.prove_isolated(cloud, drill, [segment])
        with pytest.raises(PartlyDone, match=f"still there.*network drill-{drill}-office"):
            sweep.delete_bubble(cloud, drill, deadline_seconds=2)
    finally:
        cloud.network.remove_interface_from_router(router, port_id=port.id)
        cloud.network.delete_router(router)
    cloud.network.update_subnet(segment.subnet_id, host_routes=[{"destination": "10.0.0.0/8", "nexthop": "10.77.1.9"}])
    with pytest.raises(CheckFailed, match="a gateway, routes or DHCP"):
        bubble.prove_isolated(cloud, drill, [segment])
    with pytest.raises(CheckFailed, match="not this drill's"):
        bubble.prove_isolated(cloud, drill, [own])
    with pytest.raises(Refused, match=r"10\.99\.0\.0/24 is wanted"):
        bubble.ensure_bubble(cloud, drill, {"office": "10.99.0.0/24"})


def test_half_an_import_is_done_again(cloud: Connection, drill: str, raw: Path) -> None:
    image.upload(cloud, "root", iter([raw.read_bytes()[:70000]]), tags=(f"drill={drill}",))
    told: list[tuple[int, int]] = []
    made = import_volume(cloud, drill, "root", raw, size_bytes=(1 << 30) + 1, on_bytes=lambda *each: told.append(each))
    assert told[-1][0] == told[-1][1] > raw.stat().st_size
    volume = drill_volume(cloud, drill, "root")
    assert volume is not None
    assert (volume.id, volume.size_bytes) == (made, 2 << 30)
    assert cloud.block_storage.get_volume(made).is_bootable
    assert image.tagged(cloud, f"drill={drill}") == []
    with pytest.raises(CheckFailed, match="are wanted"):
        import_volume(cloud, drill, "root", raw)
    with pytest.raises(InvalidInput):
        import_volume(cloud, drill, "none", raw.with_name("none"))


def test_a_restored_volume_takes_a_name_and_gives_it_back(cloud: Connection, drill: str, raw: Path) -> None:
    name, run = f"registry-{drill}", drill
    old, new = (import_volume(cloud, drill, each, raw) for each in (name, "restored"))
    for _ in range(2):
        replaced = volume_swap.replace_volume(cloud, name, new, run)
        assert replaced == volume_swap.Replaced(name, new, old) == decode(encode(replaced))
        assert [each.id for each in block_storage.volumes(cloud, name)] == [new]
    for _ in range(2):
        volume_swap.undo_replace_volume(cloud, name, run)
        assert [each.id for each in block_storage.volumes(cloud, name)] == [old]
        assert [each.id for each in block_storage.volumes(cloud, "restored")] == [new]
    volume_swap.replace_volume(cloud, name, new, run)
    for _ in range(2):
        assert volume_swap.commit_replace_volume(cloud, name, run) == ()
    assert block_storage.get_volume(cloud, old) is None
    volume_swap.undo_replace_volume(cloud, name, run)
    assert [each.id for each in block_storage.volumes(cloud, name)] == [new]


def test_a_stopped_server_gives_its_address_away_and_gets_it_back(
    bureau: Bureau, cloud: Connection, production: compute.Server, drill: str, raw: Path
) -> None:
    with pytest.raises(Refused, match=r"10\.77\.1\.20 belongs to server .*ACTIVE"):
        recover(bureau, drill, raw, isolated=False)
    for _ in range(2):
        assert compute.stop_server(cloud, production.id).status == "SHUTOFF"
    stand, built = recover(bureau, drill, raw, isolated=False)
    for name in ("db", "web"):
        started = start_server(bureau.app, bureau.ref, stand, built, name)
        assert started.name == f"registry-{name}"
    sweep.delete_bubble(cloud, drill)
    for wanted in (("10.77.1.20",), ()):
        assert standby.unpark_ports(cloud, drill) == wanted
    assert compute.start_server(cloud, production.id).status == "ACTIVE"
    (port,) = [each for each in ports.ports(cloud) if each.has("10.77.1.20")]
    assert port.device_id == production.id
    assert "parked" not in port.description


def test_what_is_committed_is_no_drills_any_more(bureau: Bureau, cloud: Connection, drill: str, raw: Path) -> None:
    stand, built = recover(bureau, drill, raw, isolated=False)
    started = start_server(bureau.app, bureau.ref, stand, built, "db")
    for _ in range(2):
        sweep.keep_all(cloud, drill)
    assert sweep.delete_bubble(cloud, drill) == ()
    found = compute.get_server(cloud, started.id)
    assert found is not None
    assert found.status == "ACTIVE"
    compute.delete_servers(cloud, [found])
    for each in ports.ports(cloud):
        if each.name.startswith("registry-"):
            ports.delete_port(cloud, each)
    for volume in block_storage.volumes(cloud):
        if drill in volume.name:
            block_storage.delete_volume(cloud, volume.id, deadline_seconds=60)


def test_a_server_that_finds_no_host_says_why(bureau: Bureau, cloud: Connection, drill: str, raw: Path) -> None:
    admin = bureau.site.admin(CENTRE)
    name = f"test.{drill}"
    flavor = admin.compute.create_flavor(name=name, ram=64 << 20, vcpus=1, disk=0)
    segment = bubble.ensure_bubble(cloud, drill, {"office": CIDR})["office"]
    place = {"network_id": segment.network_id, "subnet_id": segment.subnet_id, "address": "10.77.1.20"}
    port = ports.ensure_port(cloud, drill, "p", **place, group_ids=())
    wanted = NewServer("huge", name, (import_volume(cloud, drill, "root", raw),), (port.id,))
    try:
        made = compute.request_server(cloud, wanted, drill)
        with pytest.raises(CheckFailed, match=r"came to ERROR: .*[Nn]o valid host"):
            compute.await_active(cloud, made)
    finally:
        admin.compute.delete_flavor(flavor)
    with pytest.raises(UnknownName, match="flavor"):
        compute.flavor_id(cloud, "m1.tny")


def test_a_network_that_is_not_there_says_how_it_comes(cloud: Connection) -> None:
    with pytest.raises(InvalidInput, match="no network lab at") as caught:
        standby.find_networks(cloud, {"lab": CIDR}, "bureau", CENTRE)
    assert caught.value.hint == f"tricenter tenant apply bureau --centre {CENTRE}"
    with pytest.raises(InvalidInput, match=r"no subnet 10\.1\.0\.0/24 in its network office"):
        standby.find_networks(cloud, {"office": "10.1.0.0/24"}, "bureau", CENTRE)


class Killed(BaseException):
    """The process is gone right after something was done."""


@pytest.mark.parametrize(
    "last",
    [(compute, "stop_server"), (compute, "delete_servers"), (volume_swap, "hand_over"), None],
    ids=["stopped", "deleted", "handed over", "not at all"],
)
def test_a_sandboxs_volume_is_taken_over_once_wherever_that_was_killed(
    bureau: Bureau,
    cloud: Connection,
    drill: str,
    own: bubble.Segment,
    raw: Path,
    monkeypatch: pytest.MonkeyPatch,
    last: tuple[Any, str] | None,
) -> None:
    server = boot(cloud, drill, own, raw, "10.77.1.40")
    proved, heir = server.volume_ids[0], f"20261123T090000Z-{secrets.token_hex(4)}"
    place = VolumePlace(CENTRE, bureau.ref.tenant.tenant, "registry-root")
    how = {"drill": drill, "name": f"{drill}-root"}
    try:
        if last:
            module, name = last
            act = getattr(module, name)

            def killed(*args: Any, **kwargs: Any) -> None:
                act(*args, **kwargs)
                raise Killed

            with monkeypatch.context() as patch:
                patch.setattr(module, name, killed)
                with pytest.raises(Killed):
                    place.adopt(bureau.app, heir, **how)
        assert place.adopt(bureau.app, heir, **how) == proved
        assert place.adopt(bureau.app, heir, **how) == proved == place.volume_id(bureau.app, heir)
        assert compute.get_server(cloud, server.id) is None
        assert place.adopt(bureau.app, f"{heir}-other", **how) is None  # there is nothing left to take
        sweep.delete_bubble(cloud, drill)
        assert block_storage.get_volume(cloud, proved) is not None  # it is not the sandbox's any more
    finally:
        sweep.delete_bubble(cloud, heir)
