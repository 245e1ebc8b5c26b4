"""The definition of a server: names and no ids, the boot volume first, and nothing of what is not in a volume."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.cloud.block_storage import GIB
from orchestrator.cloud.server_definition import read_server
from orchestrator.errors import InvalidInput, UnknownName

FLAVOR = {"original_name": "m1.small", "vcpus": 1, "ram": 512, "disk": 0, "ephemeral": 0, "swap": 0, "extra_specs": {}}


class Cloud:
    """What a project holds, as the SDK hands it out."""

    def __init__(self) -> None:
        self.tricenter_cloud = "east"
        self.servers = [self.server("web", "s-1"), self.server("db", "s-2")]
        self.attached = {"s-1": [("/dev/vdaa", "v-3"), ("/dev/vdb", "v-2"), ("/dev/vda", "v-1")]}
        self.sizes = {"v-1": 2, "v-2": 5, "v-3": 1}
        self.ports = [self.port("p-1", "n-2", "10.2.0.5", ["g-2", "g-1"]), self.port("p-2", "n-1", "10.1.0.5", ["g-1"])]
        networks = [SimpleNamespace(id="n-1", name="ward"), SimpleNamespace(id="n-2", name="lab")]
        groups = [SimpleNamespace(id="g-1", name="default"), SimpleNamespace(id="g-2", name="web")]
        self.compute = SimpleNamespace(servers=lambda: list(self.servers), volume_attachments=self._attachments)
        self.block_storage = SimpleNamespace(get_volume=self._volume)
        self.network = SimpleNamespace(
            networks=lambda: networks,
            security_groups=lambda: groups,
            ports=lambda device_id: [each for each in self.ports if device_id == "s-1"],
        )

    @staticmethod
    def server(name: str, key: str, **more: Any) -> SimpleNamespace:
        told = {
            "id": key,
            "name": name,
            "description": "前端 front",
            "availability_zone": "az1",
            "flavor": dict(FLAVOR),
        }
        told |= {"key_name": "ops", "has_config_drive": True, "metadata": {"tier": "1", "tricenter-sealed": "run-1"}}
        return SimpleNamespace(**(told | {"image": None} | more))

    @staticmethod
    def port(key: str, network: str, address: str, groups: list[str]) -> SimpleNamespace:
        fixed = [{"subnet_id": "s", "ip_address": address}]
        return SimpleNamespace(
            id=key, name="", network_id=network, mac_address="fa:16:3e:00:00:01", fixed_ips=fixed,
            security_group_ids=groups, is_port_security_enabled=True,
        )  # fmt: skip

    def _attachments(self, server: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(device=device, volume_id=volume) for device, volume in self.attached.get(server, [])]

    def _volume(self, key: str) -> SimpleNamespace:
        return SimpleNamespace(
            id=key, name=f"web-{key[-1]}", size=self.sizes[key], description="", volume_type="fast",
            is_bootable=key == "v-1", metadata={},
        )  # fmt: skip


def test_the_volumes_are_in_the_order_of_their_devices_and_known_by_them():
    seen = read_server(Cloud(), "web")
    assert [(each.device, each.id, each.size_bytes) for each in seen.disks] == [
        ("vda", "v-1", 2 * GIB), ("vdb", "v-2", 5 * GIB), ("vdaa", "v-3", GIB),
    ]  # fmt: skip
    assert [each["name"] for each in seen.definition["volumes"]] == ["web-1", "web-2", "web-3"]


def test_the_definition_says_names_and_no_ids_and_nothing_of_a_run():
    text = read_server(Cloud(), "web").as_bytes().decode()
    told = json.loads(text)
    assert (told["flavor"]["name"], told["key_pair"], told["availability_zone"]) == ("m1.small", "ops", "az1")
    assert told["metadata"] == {"tier": "1"}
    assert {(each["network"], *each["addresses"], *each["security_groups"]) for each in told["ports"]} == {
        ("lab", "10.2.0.5", "default", "web"), ("ward", "10.1.0.5", "default"),
    }  # fmt: skip
    assert not [each for each in ("s-1", "v-1", "n-1", "g-1", "p-1") if f'"{each}"' in text]


def test_one_state_is_always_the_same_bytes():
    cloud, other = Cloud(), Cloud()
    other.ports.reverse()
    other.attached["s-1"].reverse()
    assert read_server(cloud, "web").as_bytes() == read_server(other, "web").as_bytes()
    other.sizes["v-2"] += 1
    assert read_server(cloud, "web").as_bytes() != read_server(other, "web").as_bytes()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"image": {"id": "i-1"}}, "boots from an image"),
        ({"flavor": FLAVOR | {"ephemeral": 20}}, "ephemeral disk of 20 GiB"),
    ],
)
def test_data_that_is_in_no_volume_is_refused_with_a_way_out(more, said):
    cloud = Cloud()
    cloud.servers = [cloud.server("web", "s-1", **more)]
    with pytest.raises(InvalidInput, match=said) as caught:
        read_server(cloud, "web")
    assert "boots from a volume" in caught.value.hint


def test_a_server_without_volumes_of_a_twin_name_or_of_none_is_told():
    cloud = Cloud()
    with pytest.raises(InvalidInput, match="has no volume"):
        read_server(cloud, "db")
    with pytest.raises(UnknownName) as caught:
        read_server(cloud, "wed")
    assert "web" in caught.value.hint
    cloud.servers.append(cloud.server("web", "s-3"))
    with pytest.raises(InvalidInput, match="2 servers named 'web'"):
        read_server(cloud, "web")
