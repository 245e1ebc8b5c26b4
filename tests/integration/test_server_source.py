"""A whole server: its definition and whichever volumes it has, backed up, proved and brought back from the province."""

from __future__ import annotations

import io
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.app import App
from orchestrator.backups.commands import _tell_changed_servers
from orchestrator.batch import Ended
from orchestrator.catalogue.records import PointAt
from orchestrator.cloud import block_storage, compute, image, volumes
from orchestrator.cloud.connection import Connection
from orchestrator.cloud.server_definition import read_server
from orchestrator.secrets import write_private
from tests.integration.recovery_tenant import FLAVOR, Bureau, remove_bureau
from tests.integration.tenant_sites import TenantSite

pytestmark = pytest.mark.integration

ADDRESS = "10.77.1.30"
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
        "boot_index": 0, "uuid": town.volume("vda"), "source_type": "volume", "destination_type": "volume",
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
def points(town: Town) -> tuple[Any, Any]:
    """Two recovery points: of the server as it was made, and after a volume was attached to it."""
    town.run("backup", "run", town.portal)
    cloud, second = town.cloud, town.volume("vdb")
    server = compute.find_server(cloud, "portal-web")
    assert server
    cloud.compute.create_volume_attachment(server.id, volume_id=second)
    block_storage.wait_for_status(
        lambda: getattr(block_storage.get_volume(cloud, second), "status", None), frozenset({"in-use"}), "vdb", 60
    )
    town.run("backup", "run", town.portal)
    town.run("replicate", town.portal)
    newest, oldest = town.app.catalogue.points(town.name, "portal")
    return oldest, newest


def test_a_volume_that_is_attached_later_is_in_the_next_point_of_one_moment(
    town: Town, points: tuple[Any, Any]
) -> None:
    before, after = ([(each.source, each.kind) for each in point.sources] for point in points)
    assert before == [("web", "server"), ("web.vda", "volume")]
    assert after == [*before, ("web.vdb", "volume")]
    assert [each.consistent for each in points] == [True, True]
    assert block_storage.snapshots(town.cloud) == []
    assert {each.name for each in block_storage.volumes(town.cloud)} == {"portal-vda", "portal-vdb"}


def test_the_whole_server_comes_back_from_the_province_and_is_proved(
    town: Town, points: tuple[Any, Any], told: Callable[..., Any], tmp_path: Path
) -> None:
    words = ("backup", "restore", town.portal, "--centre", "provincial", "--point", points[1].id, "--source", "web")
    done = told(*words, "--target", str(tmp_path))
    proved = {name: each["proved"] for name, each in done["restored"].items()}
    assert proved == dict.fromkeys(("web", "web.vda", "web.vdb"), True)
    definition = json.loads((tmp_path / "web" / "server.json").read_text("utf-8"))
    assert (tmp_path / "web" / "server.json").read_bytes() == read_server(town.cloud, "portal-web").as_bytes()
    assert definition["flavor"]["name"] == FLAVOR
    assert definition["metadata"] == {"owner": "portal"}
    assert [(each["device"], each["name"]) for each in definition["volumes"]] == [
        ("vda", "portal-vda"), ("vdb", "portal-vdb"),
    ]  # fmt: skip
    ((port),) = definition["ports"]
    assert (port["network"], port["addresses"], port["security_groups"]) == ("office", [ADDRESS], ["web"])
    for device, content in town.contents.items():
        with (tmp_path / f"web.{device}" / "volume.raw").open("rb") as file:
            assert file.read(len(content)) == content
            assert file.seek(0, os.SEEK_END) == 1 << 30


def test_a_drill_proves_every_volume_and_no_failover_is_possible(
    town: Town, points: tuple[Any, Any], told: Callable[..., Any]
) -> None:
    drilled = told("drill", "run", f"{town.name}-portal", "--centre", "same-city", "--point", points[1].id)
    ((probes),) = [each["probes"] for each in drilled["systems"]]
    assert {each["name"]: each["passed"] for each in probes} == {
        "definition:web": True, "image:web.vda": True, "image:web.vdb": True,
    }  # fmt: skip
    checked = told("plan", "check", f"{town.name}-portal", "--centre", "same-city", "--kind", "failover", code=4)
    assert "a whole server, which no run puts in its place" in json.dumps(checked)


def test_what_was_attached_is_told_and_a_server_that_is_not_there_is_refused(
    town: Town, points: tuple[Any, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    app = town.app
    at = PointAt(points[1], "same-city", points[1].finished_at, None)
    _tell_changed_servers(app, [Ended(app.system(town.portal), at, None)])
    assert "+web.vdb" in capsys.readouterr().err
    town.site.tenants[town.name]["systems"]["portal"]["sources"]["web"]["server"] = "portal-wed"
    town.site.write()
    town.run("backup", "run", town.portal, "--dry-run", code=2)
    assert "portal-web" in capsys.readouterr().err
