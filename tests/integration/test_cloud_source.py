"""A tenant's cloud, backed up as a definition, restored from the province, rebuilt at the other cloud: real clouds."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.app import App
from orchestrator.cloud import definition
from orchestrator.cloud.connection import Connection
from orchestrator.secrets import write_private
from orchestrator.tenants.rebuilding import differences
from tests.integration.tenant_sites import TenantSite, purge

pytestmark = pytest.mark.integration

CLOUDS = ("production", "same-city")
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
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEJ7pGv0o8cS0vYz2zq6cJ7iGq2vZB9P6e3WZl0k8m2t test"


@dataclass(frozen=True)
class Town:
    """A site of one bureau, applied at both clouds, whose only system is its definition at production."""

    site: TenantSite
    name: str

    @property
    def app(self) -> App:
        return App(self.site.folder / "site", self.site.folder / "overlay.yaml")

    def cloud(self, centre: str) -> Connection:
        cloud: Connection = self.app.tenant_cloud(centre, self.name)
        return cloud

    def run(self, *words: str, code: int = 0) -> None:
        assert cli.run([*self.site.arguments[:-1], *words]) == code, words


@pytest.fixture(scope="module")
def town(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    site = TenantSite(tmp_path_factory.mktemp("site"), Path(lab.dir), Path(lab.clouds_file))
    name = site.add()
    own = site.tenants[name]
    own["quota"] = {"network": {"networks": 10, "security_groups": 20}}
    own["systems"]["files"] = {
        "title": {"zh": "定义", "en": "Definition"}, "tier": "plain", "sources": {"own": {"kind": "cloud"}},
    }  # fmt: skip
    vaults = [f"file:{lab.dir}/secrets/vault-{each}.admin.json" for each in ("same-city", "provincial")]
    site.overlay = {
        "repository_password": "file:password",
        "centres": {
            centre: {"vault": {"credential": key}}
            for centre, key in zip(("same-city", "provincial"), vaults, strict=True)
        },
    }
    site.write()
    (site.folder / "site" / "tiers").mkdir()
    (site.folder / "site" / "tiers" / "plain.yaml").write_text(TIER, "utf-8")
    write_private(site.folder / "site" / "password", secrets.token_hex(8))
    made = Town(site, name)
    try:
        made.run("tenant", "apply", "--yes")
        _add_by_hand(made.cloud("production"))
        yield made
    finally:
        for each in CLOUDS:
            purge(site.admin(each), name)
        for centre in ("same-city", "provincial"):
            bucket = made.app.bucket(centre, name)
            for entry in bucket.list():
                bucket.delete(entry.key)


def _add_by_hand(cloud: Connection) -> None:
    """Make what the site does not know of: somebody of the bureau has made it."""
    network = cloud.network
    made = network.create_network(name="extra", description="made by hand")
    network.create_subnet(
        name="extra", network_id=made.id, ip_version=4, cidr="10.78.1.0/24", dns_nameservers=["10.77.0.53"]
    )
    group = network.create_security_group(name="extra", description="by hand")
    network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", ether_type="IPv4", protocol="tcp",
        port_range_min=8000, port_range_max=8080, remote_ip_prefix="10.0.0.0/8",
    )  # fmt: skip
    cloud.compute.create_keypair(name="operators", public_key=PUBLIC_KEY)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], town: Town) -> Callable[..., Any]:
    """Run a command in this process and return what it told as JSON."""

    def run(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        town.run(*words, "--output", "json", code=code)
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture(scope="module")
def document(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The definition, restored from the province."""
    town.run("backup", "run", f"{town.name}/files")
    town.run("replicate", f"{town.name}/files")
    target = tmp_path_factory.mktemp("back") / "new"
    town.run("backup", "restore", f"{town.name}/files", "--centre", "provincial", "--target", str(target))
    return target / "own" / "cloud.json"


def test_the_definition_comes_back_from_the_province_byte_for_byte(town: Town, document: Path) -> None:
    found = definition.read_definition(town.cloud("production"))
    assert document.read_bytes() == definition.as_bytes(found)
    assert definition.from_bytes(document.read_bytes()) == found
    assert {each["name"] for each in found["networks"]} == {"office", "extra"}
    assert {each["name"] for each in found["security_groups"]} == {"default", "baseline", "web", "closed", "extra"}
    assert found["key_pairs"] == [{"name": "operators", "type": "ssh", "public_key": PUBLIC_KEY}]
    assert found["quotas"]["network"]["networks"] == 10
    (router,) = found["routers"]
    assert (router["external_network"], router["subnets"]) == ("public", ["office"])


def test_an_unchanged_cloud_gives_the_same_bytes_and_adds_next_to_nothing(
    town: Town, document: Path, told: Callable[..., Any]
) -> None:
    (point,) = told("backup", "run", f"{town.name}/files")
    assert point["added_bytes"] < 5000
    drilled = told("drill", "run", f"{town.name}-files", "--centre", "same-city")
    ((probe,),) = [each["probes"] for each in drilled["systems"]]
    assert (probe["name"], probe["passed"]) == ("definition:own", True)
    assert hashlib.sha256(document.read_bytes()).hexdigest() in probe["expected"]


def test_what_the_other_cloud_lacks_is_planned_made_and_proved_equal(
    town: Town, document: Path, told: Callable[..., Any]
) -> None:
    words = ("tenant", "rebuild", town.name, "--definition", str(document), "--to", "same-city")
    there = definition.read_definition(town.cloud("same-city"))
    want = definition.from_bytes(document.read_bytes())
    assert differences(want, there) == (
        "missing key_pairs/operators",
        "missing networks/extra",
        "missing security_groups/extra",
        "missing subnets/extra",
    )
    planned = told(*words, "--dry-run")
    assert planned["key_pairs"] == ["operators"]
    assert {kind for kind, count in planned["summary"].items() if count} == {"create", "unchanged"}
    assert planned["summary"]["create"] == len(planned["actions"]) == 4
    assert definition.read_definition(town.cloud("same-city")) == there
    made = told(*words, "--yes")
    assert made["differences"] == []
    now = definition.read_definition(town.cloud("same-city"))
    assert differences(want, now) == ()
    for kind in ("networks", "subnets", "security_groups"):  # what was there is as it was
        assert all(each in now[kind] for each in there[kind])
    again = told(*words, "--yes")
    assert (again["summary"]["writes"], again["key_pairs"]) == (0, [])


def test_what_stands_there_otherwise_is_told_and_left_alone(
    town: Town, document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = json.loads(document.read_text("utf-8"))
    web = next(each for each in changed["security_groups"] if each["name"] == "web")
    web["description"] = "something else"
    other = tmp_path / "cloud.json"
    other.write_text(json.dumps(changed), "utf-8")
    before = definition.read_definition(town.cloud("production"))
    town.run("tenant", "rebuild", town.name, "--definition", str(other), "--to", "production", "--yes", code=4)
    assert "security_groups/web differs" in capsys.readouterr().err
    assert definition.read_definition(town.cloud("production")) == before
    other.write_text("{}")
    town.run("tenant", "rebuild", town.name, "--definition", str(other), "--to", "production", "--yes", code=4)
    assert "no cloud definition" in capsys.readouterr().err
