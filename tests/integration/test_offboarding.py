"""A bureau is suspended, comes back, and is let go: last backup, quarantine, purge, proof, certificate. Real clouds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.app import App
from orchestrator.catalogue.lives import read_life
from orchestrator.cloud import identity, key_pairs
from orchestrator.cloud.belongings import belongings
from orchestrator.cloud.connection import Connection
from orchestrator.secrets import make_password, write_private
from orchestrator.tenants import life as acts
from policies.life import LifeState
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

Tricenter = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[TenantSite]:
    """A site of one bureau, applied at both clouds, whose system is its definition; somebody made a volume there."""
    made = TenantSite(tmp_path, Path(lab.dir), Path(lab.clouds_file))
    name = made.add()
    made.tenants[name]["quota"] = {"network": {"networks": 10, "security_groups": 20}}
    made.tenants[name]["systems"]["files"] = {
        "title": {"zh": "定义", "en": "Definition"}, "tier": "plain", "sources": {"own": {"kind": "cloud"}},
    }  # fmt: skip
    made.overlay = {
        "repository_password": "file:password",
        "centres": {
            centre: {"vault": {"credential": f"file:{lab.dir}/secrets/vault-{centre}.admin.json"}}
            for centre in ("same-city", "provincial")
        },
    }
    made.write()
    (made.folder / "site" / "tiers").mkdir()
    (made.folder / "site" / "tiers" / "plain.yaml").write_text(TIER, "utf-8")
    write_private(made.folder / "site" / "password", make_password().reveal())
    try:
        assert cli.run([*made.arguments, "apply", "--yes"]) == 0
        yield made
    finally:
        for each in CLOUDS:
            purge(made.admin(each), name)
        for centre in ("same-city", "provincial"):
            bucket = _app(made).bucket(centre, name)
            for entry in bucket.list():
                bucket.delete(entry.key)


@pytest.fixture
def tenant(site: TenantSite) -> str:
    return next(iter(site.tenants))


@pytest.fixture
def tricenter(site: TenantSite, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tricenter:
    """Run `tricenter tenant … --output json` as a person; return its exit code, what it told, and stderr."""

    def run(*words: str, person: str = "li") -> tuple[int, Any, str]:
        monkeypatch.setenv("SUDO_USER", person)
        capsys.readouterr()
        code = cli.run([*site.arguments, *words, "--output", "json"])
        told = capsys.readouterr()
        return code, json.loads(told.out) if told.out.strip() else None, told.err

    return run


def _app(site: TenantSite) -> App:
    return App(site.folder / "site", site.folder / "overlay.yaml")


def _enabled(admin: Connection, tenant: str) -> dict[str, bool]:
    (domain,) = admin.identity.domains(name=tenant)
    return {each.name: each.is_enabled for each in admin.identity.users(domain_id=domain.id)}


def _project(admin: Connection, tenant: str) -> str:
    (domain,) = admin.identity.domains(name=tenant)
    (project,) = admin.identity.projects(domain_id=domain.id)
    return str(project.id)


def test_a_suspended_bureau_cannot_log_in_and_no_apply_lets_it(
    site: TenantSite, tenant: str, tricenter: Tricenter
) -> None:
    admin = site.admin("production")
    assert _enabled(admin, tenant) == {"zhang": True, "tricenter": True}
    code, told, err = tricenter("suspend", tenant, "--reason", "investigation", "--yes")
    assert (code, told["state"]) == (0, "suspended"), err
    assert _enabled(admin, tenant) == {"zhang": False, "tricenter": True}
    assert tricenter("apply", tenant, "--yes")[0] == 5
    assert tricenter("apply", "--yes")[0] == 0  # all others; there are none
    assert tricenter("drift", "--heal", "--yes")[0] == 0
    assert _enabled(admin, tenant)["zhang"] is False
    assert tricenter("resume", tenant)[0] == 0
    assert _enabled(admin, tenant)["zhang"] is True
    assert tricenter("resume", tenant)[0] == 5


def test_a_bureau_goes_and_nothing_of_it_is_left(
    site: TenantSite, tenant: str, tricenter: Tricenter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    admin = site.admin("production")
    project = _project(admin, tenant)
    admin.network.create_network(name="by-hand", project_id=project)
    (domain,) = admin.identity.domains(name=tenant)
    (zhang,) = admin.identity.users(domain_id=domain.id, name="zhang")
    key_pairs.add_key_pair(
        admin, zhang.id, "laptop", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ4r5mYqNdhY1T2Tq0uSx0Xq8n3mXyHk0w2QeB7m1aF"
    )
    cloud = _app(site).tenant_cloud("production", tenant)
    volume = cloud.block_storage.create_volume(name="own", size=1)
    cloud.block_storage.wait_for_status(volume, "available", interval=0.5, wait=60)
    cloud.block_storage.create_snapshot(volume_id=volume.id, name="own-snapshot")

    asked = ("offboard", "ask", tenant, "--reason", "merged")
    assert tricenter("offboard", "purge", tenant, "--yes")[0] == 5  # nobody asked
    assert tricenter(*asked)[0] == 0
    assert tricenter("offboard", "approve", tenant, "--yes")[0] == 5  # who asked may not approve
    code, told, err = tricenter("offboard", "approve", tenant, "--yes", person="wang")
    assert (code, told["state"]) == (0, "quarantined"), err
    life = read_life(_app(site).catalogue, tenant)
    assert life is not None
    assert {each["centre"] for each in life.details["points"]} == {"same-city", "provincial"}
    assert _enabled(admin, tenant) == {"zhang": False, "tricenter": True}

    for user in life.details["locked_out"]["production"]:  # as if it had been cut off before the last
        admin.identity.update_user(user, is_enabled=True)
    assert tricenter("offboard", "approve", tenant, "--yes")[0] == 5
    assert tricenter("offboard", "approve", tenant, "--yes", person="wang")[0] == 0
    assert _enabled(admin, tenant) == {"zhang": False, "tricenter": True}
    assert tricenter("offboard", "purge", tenant, "--yes")[0] == 5  # for 30 days

    assert tricenter("offboard", "cancel", tenant)[0] == 0
    assert _enabled(admin, tenant) == {"zhang": True, "tricenter": True}
    assert tricenter(*asked, "--quarantine", "0s", "--no-backup-of", "files")[0] == 0
    assert tricenter("offboard", "approve", tenant, "--yes", person="wang")[0] == 0

    code, told, _ = tricenter("offboard", "purge", tenant, "--dry-run")
    named = {(each["centre"], each["noun"], each["name"]) for each in told["lost"]}
    assert code == 0
    assert named >= {
        ("production", "volume", "own"), ("production", "snapshot", "own-snapshot"),
        ("production", "network", "by-hand"), ("production", "user", "zhang"),
        ("production", "key pair", "zhang: laptop"),
        ("same-city", "network", "office"), ("same-city", "domain", tenant),
    }  # fmt: skip
    assert _enabled(admin, tenant)  # a dry run deletes nothing

    cut = acts.belongings.forget_quotas
    monkeypatch.setattr(acts.belongings, "forget_quotas", _cut_off)  # as a kill between project and identities
    assert tricenter("offboard", "purge", tenant, "--yes")[0] != 0
    life = read_life(_app(site).catalogue, tenant)
    assert life is not None
    assert life.state is LifeState.PURGING
    assert tricenter("offboard", "cancel", tenant)[0] == 5  # too late
    monkeypatch.setattr(acts.belongings, "forget_quotas", cut)

    code, told, err = tricenter("offboard", "purge", tenant, "--yes")
    assert (code, told["state"]) == (0, "gone"), err
    for each in CLOUDS:
        assert not list(site.admin(each).identity.domains(name=tenant))
    assert belongings(admin, project) == []
    assert key_pairs.key_pairs(admin, zhang.id) == []
    certified = {(each["centre"], each["noun"], each["name"]) for each in told["certificate"]["purged"]}
    assert named <= certified  # also what went before the cut
    assert told["certificate"]["no_backup"] == ["files"]
    papers = [tmp_path / "out" / f"{tenant}-deletion.{kind}" for kind in ("html", "pdf")]
    assert cli.run([*site.arguments, "offboard", "certificate", tenant, "--to", str(tmp_path / "out")]) == 0
    assert papers[1].read_bytes().startswith(b"%PDF")
    assert told["digest"] in papers[0].read_text("utf-8")
    assert tricenter("apply", tenant, "--yes")[0] == 5
    assert not list((site.state / "secrets").glob(f"{tenant}.*.clouds.yaml"))


def _cut_off(*_: Any) -> None:
    raise SystemError("cut off")


def test_a_domain_that_others_made_is_not_purged(site: TenantSite, tenant: str, tricenter: Tricenter) -> None:
    admin = site.admin("production")
    assert (
        tricenter("offboard", "ask", tenant, "--reason", "x", "--quarantine", "0s", "--no-backup-of", "files")[0] == 0
    )
    assert tricenter("offboard", "approve", tenant, "--yes", person="wang")[0] == 0
    domain = next(each for each in identity.domains(admin) if each.name == tenant)
    admin.identity.update_domain(domain.id, description="somebody else's")
    code, _, err = tricenter("offboard", "purge", tenant, "--yes")
    assert code == 5
    assert "was not created by Tricenter" in err
    assert [each.id for each in admin.identity.domains(name=tenant)] == [domain.id]
