import configparser
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from orchestrator.lab import openstack_config
from orchestrator.lab.layout import CLOUDS, CloudCentre, Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path, 30_000)


def parsed(text: str) -> configparser.ConfigParser:
    """Strict: a section or a key that stands twice is an error."""
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.read_string(text)
    return parser


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_file_parses_and_names_this_machine_only(lab: Lab, cloud: CloudCentre) -> None:
    files = openstack_config.render(lab, cloud)
    for path, text in files.items():
        if path.endswith((".conf", ".ini")):
            parsed(text)
        assert set(re.findall(r"(?:@|//)(\d+\.\d+\.\d+\.\d+)", text)) <= {"127.0.0.1"}
        assert not re.search(r"[{}]{2}", text)


def test_nova_compute_sees_no_database(lab: Lab) -> None:
    files = openstack_config.render(lab, "production")
    whole, compute = parsed(files["nova/nova.conf"]), parsed(files["nova/nova-cpu.conf"])
    assert set(whole.sections()) - set(compute.sections()) == {"database", "api_database"}
    assert "mysql" not in files["nova/nova-cpu.conf"]


def test_two_clouds_share_no_database_queue_or_folder(lab: Lab) -> None:
    one, two = (parsed(openstack_config.render(lab, cloud)["cinder/cinder.conf"]) for cloud in CLOUDS)
    for section, key in (
        ("database", "connection"),
        ("DEFAULT", "transport_url"),
        ("DEFAULT", "state_path"),
        ("keystone_authtoken", "auth_url"),
        ("files", "nfs_mount_point_base"),
    ):
        assert one[section][key] != two[section][key]


def test_the_compute_driver_can_be_another(lab: Lab) -> None:
    text = openstack_config.render(lab, "production", compute_driver="libvirt.LibvirtDriver")["nova/nova.conf"]
    assert parsed(text)["DEFAULT"]["compute_driver"] == "libvirt.LibvirtDriver"


def test_clouds_file_has_an_entry_a_cloud_and_is_private(lab: Lab) -> None:
    path = openstack_config.write_clouds_file(lab)
    clouds = YAML(typ="safe", pure=True).load(path)["clouds"]
    assert {name: entry["auth"]["auth_url"] for name, entry in clouds.items()} == {
        "production": "http://127.0.0.1:30000/v3",
        "same-city": "http://127.0.0.1:30010/v3",
    }
    assert path.stat().st_mode & 0o777 == 0o600
