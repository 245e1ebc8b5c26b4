"""The hosts whose guests boot: their names, their configuration, and the order of a site's servers."""

from __future__ import annotations

import configparser
import socket
from pathlib import Path

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.lab import guest_servers, guests, inside, links
from orchestrator.lab.layout import CLOUDS, Lab
from orchestrator.lab.openstack_config import GUEST_TRAIT, render
from orchestrator.lab.registration import vantage
from policies.load import load_site
from policies.site import Site

DALIAN = Path(__file__).parents[3] / "examples" / "dalian"
NETWORK = "269725c9-81b2-40d4-8413-eca7accd191c"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "lab")


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(DALIAN)


def test_devices_of_two_labs_have_names_that_differ_and_that_the_kernel_takes(tmp_path: Path) -> None:
    names = {links.bridge_of(Lab(tmp_path / each), NETWORK) for each in ("one", "two")}
    assert len(names) == 2
    assert all(len(name) <= 15 for name in names)
    highest_pid = 4_194_304
    assert len(f"{links.prefix(Lab(tmp_path))}v{highest_pid:x}") <= 15


def test_only_the_guests_host_has_the_trait_and_no_compute_host_sees_a_database(lab: Lab) -> None:
    for cloud in CLOUDS:
        files = render(lab, cloud)
        hosts = {}
        for name in ("nova-cpu.conf", "nova-guests.conf"):
            config = configparser.RawConfigParser(strict=False)
            config.read_string(files[f"nova/{name}"])
            hosts[config["DEFAULT"]["host"]] = config
            assert not config.has_section("database")
            assert not config.has_section("api_database")
        fake, real = hosts[f"{cloud}-compute-1"], hosts[guests.host(cloud)]
        assert real["compute"]["provider_config_location"] == str(lab.etc(cloud) / "nova" / "provider_config")
        assert "provider_config_location" not in fake["compute"]
        assert fake["DEFAULT"]["state_path"] != real["DEFAULT"]["state_path"]  # each has an identity of its own there
        assert f"[{GUEST_TRAIT}]" in files["nova/provider_config/guests.yaml"]
        assert "enable_isolated_aggregate_filtering = true" in files["nova/nova.conf"]


def test_the_sockets_of_a_lab_in_a_deep_folder_are_short_enough(tmp_path: Path) -> None:
    deep = Lab(tmp_path / ("deep" * 40))
    assert all(len(str(deep.sockets(cloud) / "nova-compute-guests")) < 107 for cloud in CLOUDS)
    assert len({deep.sockets(cloud) for cloud in CLOUDS} | {deep.sockets()}) == 3


def test_guests_are_ended_after_the_server_that_would_take_that_for_a_shutdown(lab: Lab) -> None:
    for cloud in CLOUDS:
        assert guests.running_guests(cloud).last
        assert not guests.compute(lab, cloud).last


def test_servers_come_after_what_they_start_after(site: Site) -> None:
    hall = [each for each in guest_servers.servers(site) if each.system.tenant.tenant == "government-services"]
    assert {str(each) for each in hall} == {
        "government-services/sign-on/identity",
        "government-services/permit-store/database",
        "government-services/hall-web/web",
    }
    assert [each.volumes() for each in guest_servers.servers(site, ["government-services/sign-on"])] == [
        ["sign-on-disk"]
    ]


def test_the_vantage_names_the_network_and_its_subnet(lab: Lab) -> None:
    words = [word.format(network=NETWORK, cidr="10.7.0.0/24") for word in vantage(lab)]
    assert words[-3:] == [NETWORK, "10.7.0.0/24", "--"]
    assert str(lab.folder) in words


def test_two_who_look_inside_one_network_get_addresses_that_differ() -> None:
    network = inside._subnet("10.7.0.0/28")
    first = inside._candidates(NETWORK, network)
    second = inside._candidates(NETWORK, network)
    other = inside._candidates(f"{NETWORK}x", network)
    try:
        assert str(first[0][0]) == "10.7.0.14"
        assert not {each for each, _ in first} & {each for each, _ in second}
        assert [each for each, _ in other] == [each for each, _ in first]
    finally:
        for _, claim in (*first, *second, *other):
            assert isinstance(claim, socket.socket)
            claim.close()


@pytest.mark.parametrize("text", ["10.7.0.1/24", "nothing", "10.7.0.0/33"])
def test_what_is_no_subnet_is_said(text: str) -> None:
    with pytest.raises(InvalidInput, match="no IPv4 subnet"):
        inside._subnet(text)


def test_a_subnet_without_room_is_refused_before_anything_is_made(lab: Lab) -> None:
    before = Path("/proc/self/ns/net").readlink()
    with pytest.raises(InvalidInput):
        inside.enter(lab, NETWORK, inside._subnet("10.7.0.0/30"))
    assert Path("/proc/self/ns/net").readlink() == before
