"""A whole server: its definition and whichever volumes it has, backed up, proved and brought back from the province."""

from __future__ import annotations

import io
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.app import App
from orchestrator.backups.commands import _tell_changed_servers
from orchestrator.batch import Ended
from orchestrator.catalogue.records import Point, PointAt
from orchestrator.cloud import block_storage, compute, image, volumes
from orchestrator.cloud.connection import Connection
from orchestrator.cloud.server_definition import read_server
from orchestrator.secrets import write_private
from tests.integration.recovery_tenant import FLAVOR, Bureau, remove_bureau
from tests.integration.tenant_sites import TenantSite

pytestmark = pytest.mark.integration

ADDRESS = "10.77.1.30"
#: As the hosts that fake their guests name disks: the one that a server boots from, and the next.
BOOT, LATER = "sda", "sdb"
TIER = """
tier: plain
title: {zh: 普通, en: Plain}
backup_every: 1h
copies:
  same-city: {rpo: 2h, rto: 4h, retention: {keep_within: 14d, lock: 0s}}
  provincial: {rpo: 1d, rto: 1d, retention: {keep_within: 35d, lock: 0s}}
drill: {every: 365d}
gbt20988_level: 3
"""


@dataclass
class Town:
    """A site of one bureau with a server at production, and what stands in its volumes by their devices."""

    site: TenantSite
    name: str
    contents: dict[str, bytes]

    @property
    def app(self) -> App:
        return App(self.site.folder / "site", self.site.folder / "overlay.yaml")

    @property
    def cloud(self) -> Connection:
        cloud: Connection = self.app.tenant_cloud("production", self.name)
        return cloud

    @property
    def portal(self) -> str:
        return f"{self.name}/portal"

    def run(self, *words: str, code: int = 0) -> None:
        assert cli.run([*self.site.arguments[:-1], *words]) == code, words

    def volume(self, device: str) -> str:
        """Make a volume of 1 GiB that begins with bytes of its own, and return its id."""
        name, cloud = f"portal-{device}", self.cloud
        self.contents[device] = os.urandom(2 << 20)
        picture = volumes.image_from_stream(cloud, name, io.BytesIO(self.contents[device]))
        made = volumes.volume_from_image(cloud, picture, name, size_bytes=1 << 30)
        image.delete_image(cloud, picture)
        return made


@pytest.fixture(scope="module")
def town(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    site = TenantSite(tmp_path_factory.mktemp("site"), Path(lab.dir), Path(lab.clouds_file))
    name = site.add()
    site.tenants[name]["systems"] = {
        "portal": {
            "title": {"zh": "门户", "en": "Portal"},
            "tier": "plain",
            "sources": {"web": {"kind": "server", "server": "portal-web"}},
            "hooks": {"freeze": {"run": ["/bin/true"]}, "thaw": {"run": ["/bin/true"]}},
        }
    }
    keys = {each: f"file:{lab.dir}/secrets/vault-{each}.admin.json" for each in ("same-city", "provincial")}
    site.overlay = {
        "repository_password": "file:password",
        "centres": {centre: {"vault": {"credential": key}} for centre, key in keys.items()},
    }
    site.write()
    (site.folder / "site" / "tiers").mkdir()
    (site.folder / "site" / "tiers" / "plain.yaml").write_text(TIER, "utf-8")
    write_private(site.folder / "site" / "password", secrets.token_hex(8))
    made = Town(site, name, {})
    try:
        made.run("tenant", "apply", "--yes", "--centre", "production")
        for centre in ("same-city", "provincial"):
            made.app.vault_admin(centre).ensure_bucket(made.app.vault(centre).bucket(name), lock_days=0)
        _boot(made)
        yield made
    finally:
        remove_bureau(Bureau(site, name))
        for centre in ("same-city", "provincial"):
            bucket = made.app.bucket(centre, name)
            for entry in bucket.list():
                bucket.delete(entry.key)


def _boot(town: Town) -> None:
    """Start the server `portal-web` from a volume, in the tenant's own network, as somebody of the bureau would."""
    cloud = town.cloud
    (network,) = (each for each in cloud.network.networks() if each.name == "office")
    groups = [each.id for each in cloud.network.security_groups() if each.name == "web"]
    port = cloud.network.create_port(
        network_id=network.id, fixed_ips=[{"subnet_id": network.subnet_ids[0], "ip_address": ADDRESS}],
        security_groups=groups,
    )  # fmt: skip
    disk = {
        "boot_index": 0, "uuid": town.volume(BOOT), "source_type": "volume", "destination_type": "volume",
        "delete_on_termination": False,
    }  # fmt: skip
    server = cloud.compute.create_server(
        name="portal-web", flavor_id=compute.flavor_id(cloud, FLAVOR), networks=[{"port": port.id}],
        block_device_mapping=[disk], metadata={"owner": "portal"},
    )  # fmt: skip
    compute.await_active(cloud, server.id)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], town: Town) -> Callable[..., Any]:
    """Run a command in this process and return what it told as JSON."""

    def run(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        town.run(*words, "--output", "json", code=code)
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture(scope="module")
def point(town: Town) -> Point:
    """A recovery point of the server, at both centres. One of its two volumes was attached after it was booted.

    There is one only: to read a volume of the lab takes seconds of both CPUs.
    """
    cloud, second = town.cloud, town.volume(LATER)
    server = compute.find_server(cloud, "portal-web")
    assert server
    assert [each.device for each in read_server(cloud, "portal-web").disks] == [BOOT]
    cloud.compute.create_volume_attachment(server.id, volume_id=second)
    block_storage.wait_for_status(
        lambda: getattr(block_storage.get_volume(cloud, second), "status", None), frozenset({"in-use"}), LATER, 60
    )
    town.run("backup", "run", town.portal)
    town.run("replicate", town.portal)
    (made,) = town.app.catalogue.points(town.name, "portal")
    return made


def test_whichever_volumes_it_has_are_in_the_point_of_one_moment(town: Town, point: Point) -> None:
    assert [(each.source, each.kind) for each in point.sources] == [
        ("web", "server"), (f"web.{BOOT}", "volume"), (f"web.{LATER}", "volume"),
    ]  # fmt: skip
    assert point.consistent
    assert block_storage.snapshots(town.cloud) == []
    assert {each.name for each in block_storage.volumes(town.cloud)} == {f"portal-{BOOT}", f"portal-{LATER}"}


def test_the_whole_server_comes_back_from_the_province_and_is_proved(
    town: Town, point: Point, told: Callable[..., Any], tmp_path: Path
) -> None:
    words = ("backup", "restore", town.portal, "--centre", "provincial", "--point", point.id, "--source", "web")
    done = told(*words, "--target", str(tmp_path))
    proved = {name: each["proved"] for name, each in done["restored"].items()}
    assert proved == dict.fromkeys(("web", f"web.{BOOT}", f"web.{LATER}"), True)
    definition = json.loads((tmp_path / "web" / "server.json").read_text("utf-8"))
    assert (tmp_path / "web" / "server.json").read_bytes() == read_server(town.cloud, "portal-web").as_bytes()
    assert definition["flavor"]["name"] == FLAVOR
    assert definition["metadata"] == {"owner": "portal"}
    assert [(each["device"], each["name"]) for each in definition["volumes"]] == [
        (BOOT, f"portal-{BOOT}"), (LATER, f"portal-{LATER}"),
    ]  # fmt: skip
    ((port),) = definition["ports"]
    assert (port["network"], port["addresses"], port["security_groups"]) == ("office", [ADDRESS], ["web"])
    for device, content in town.contents.items():
        with (tmp_path / f"web.{device}" / "volume.raw").open("rb") as file:
            assert file.read(len(content)) == content
            assert file.seek(0, os.SEEK_END) == 1 << 30


def test_a_drill_proves_every_volume_and_no_failover_is_possible(
    town: Town, point: Point, told: Callable[..., Any]
) -> None:
    drilled = told("drill", "run", f"{town.name}-portal", "--centre", "same-city", "--point", point.id)
    ((probes),) = [each["probes"] for each in drilled["systems"]]
    assert {each["name"]: each["passed"] for each in probes} == {
        "definition:web": True, f"image:web.{BOOT}": True, f"image:web.{LATER}": True,
    }  # fmt: skip
    checked = told("plan", "check", f"{town.name}-portal", "--centre", "same-city", "--kind", "failover", code=4)
    assert "a whole server, which no run puts in its place" in json.dumps(checked)


def test_what_was_attached_is_told_and_a_server_that_is_not_there_is_refused(
    town: Town, point: Point, capsys: pytest.CaptureFixture[str]
) -> None:
    app = town.app
    # The same server, an hour before its volume came: another backup would tell no more.
    app.catalogue.add_point(
        replace(point, id="before", sources=point.sources[:2], data_time=point.data_time - timedelta(hours=1))
    )
    at = PointAt(point, "same-city", point.finished_at, None)
    _tell_changed_servers(app, [Ended(app.system(town.portal), at, None)])
    assert f"since point before: +web.{LATER}" in capsys.readouterr().err
    town.site.tenants[town.name]["systems"]["portal"]["sources"]["web"]["server"] = "portal-wed"
    town.site.write()
    town.run("backup", "run", town.portal, "--dry-run", code=2)
    assert "portal-web" in capsys.readouterr().err
