"""Tenants on real clouds and vaults: what is applied is there, what is there is left alone, and kills do no harm."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests.adapters

from orchestrator import cli
from orchestrator.cloud.connection import Connection, connect
from orchestrator.cloud.marks import TAG
from tests.integration.tenant_sites import TenantSite, purge

pytestmark = pytest.mark.integration

PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[TenantSite]:
    """A site with one bureau that no other test knows; what it made is gone afterwards."""
    made = TenantSite(tmp_path, lab.dir, lab.clouds_file)
    made.add()
    made.write()
    yield made
    for cloud in ("production", "same-city"):
        for tenant in made.tenants:
            purge(made.admin(cloud), tenant)
    for centre, port in (("same-city", 30), ("provincial", 40)):
        key = json.loads((lab.dir / "secrets" / f"vault-{centre}.admin.json").read_text())
        base = json.loads((lab.dir / "lab.json").read_text())["port_base"]
        store = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{base + port}",
            region_name="us-east-1",
            aws_access_key_id=key["access_key"],
            aws_secret_access_key=key["secret_key"],
        )
        there = {each["Name"] for each in store.list_buckets()["Buckets"]}
        for tenant in made.tenants:
            if f"tenant-test-{tenant}" in there:
                store.delete_bucket(Bucket=f"tenant-test-{tenant}")
        store.close()


@pytest.fixture
def tenant(site: TenantSite) -> str:
    return next(iter(site.tenants))


@pytest.fixture
def tricenter(site: TenantSite, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run `tricenter tenant …` in this process; return its exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.run([*site.arguments, *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.fixture
def writes_sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every HTTP request to a cloud that may change something, seen below the SDK."""
    sent: list[str] = []
    send = requests.adapters.HTTPAdapter.send

    def noting(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        if request.method not in ("GET", "HEAD") and not request.url.endswith("/auth/tokens"):
            sent.append(f"{request.method} {request.url}")
        return send(self, request, *args, **kwargs)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", noting)
    return sent


def openstack(site: TenantSite, cloud: str, *arguments: str) -> Any:
    """Ask the command that everybody else uses."""
    done = subprocess.run(
        [PROGRAMS / "openstack", "--os-cloud", cloud, *arguments, "-f", "json"],
        env={**os.environ, "OS_CLIENT_CONFIG_FILE": str(site.clouds_file)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return json.loads(done.stdout)


def project_of(connection: Connection, tenant: str) -> Any:
    (domain,) = connection.identity.domains(name=tenant)
    (project,) = connection.identity.projects(domain_id=domain.id)
    return project


def test_apply_makes_what_the_site_says_and_a_second_one_writes_nothing(
    site: TenantSite, tenant: str, tricenter: Callable[..., tuple[int, str, str]], writes_sent: list[str]
) -> None:
    code, out, err = tricenter("apply", "--yes", "--output", "json")
    assert code == 0, err
    first = json.loads(out)["summary"]
    assert first["created"] > 40
    assert first["failed"] == 0

    project = openstack(site, "production", "project", "show", tenant, "--domain", tenant)
    assert set(project["tags"]) == {TAG, "unit-code=TEST-1", "mlps=2", "contact=nobody"}
    quota = openstack(site, "production", "quota", "show", project["id"])
    limits = {row["Resource"].replace("-", "_"): row["Limit"] for row in quota}
    assert (limits["instances"], limits["cores"]) == (3, 20)
    assert (limits["networks"], limits["floating_ips"]) == (2, 0)
    assert limits["gigabytes"] == -1
    (network,) = openstack(site, "production", "network", "list", "--project", project["id"])
    assert network["Name"] == "office"
    subnet = openstack(site, "production", "subnet", "show", network["Subnets"][0])
    assert (subnet["cidr"], subnet["dns_nameservers"]) == ("10.77.1.0/24", ["10.77.0.53"])
    (router,) = openstack(
        site, "same-city", "router", "list", "--tags", TAG, "--project-domain", tenant, "--project", tenant
    )
    shown = openstack(site, "same-city", "router", "show", router["ID"])
    assert len(shown["interfaces_info"]) == 1
    assert shown["external_gateway_info"]["network_id"]
    roles = openstack(site, "production", "role", "assignment", "list", "--names", "--project", project["id"])
    assert {(row["User"].split("@")[0] or row["Group"].split("@")[0], row["Role"]) for row in roles} == {
        ("zhang", "member"),
        ("tricenter", "member"),
        (f"{tenant}-members", "reader"),
    }

    writes_sent.clear()
    code, out, err = tricenter("apply", "--yes", "--output", "json")
    assert code == 0, err
    assert writes_sent == []
    again = json.loads(out)["summary"]
    assert (again["created"], again["updated"], again["writes"]) == (0, 0, 0)
    assert again["unchanged"] >= first["created"]


def test_security_groups_let_through_what_is_written_and_no_more(
    site: TenantSite, tenant: str, tricenter: Callable[..., tuple[int, str, str]]
) -> None:
    assert tricenter("apply", "--yes", "--centre", "production")[0] == 0
    admin = site.admin("production")
    project = project_of(admin, tenant)
    groups = {each.name: each for each in admin.network.security_groups(project_id=project.id)}
    rules = {
        name: {(rule["direction"], rule["protocol"], rule["port_range_min"]) for rule in group.security_group_rules}
        for name, group in groups.items()
    }
    assert rules["closed"] == {("egress", "tcp", 443)}
    assert rules["web"] == {("ingress", "tcp", 443), ("egress", None, None)}
    assert ("ingress", "tcp", 22) in rules["baseline"]
    assert TAG not in groups["default"].tags
    assert "tricenter" not in groups["default"].description


def test_changes_are_shown_with_both_values_and_made(
    site: TenantSite, tenant: str, tricenter: Callable[..., tuple[int, str, str]]
) -> None:
    assert tricenter("apply", "--yes", "--centre", "production")[0] == 0
    bureau = site.tenants[tenant]
    bureau["quota"]["compute"]["cores"] = 40
    bureau["members"]["zhang"]["role"] = "reader"
    bureau["security_groups"]["web"]["rules"][0]["ports"] = 8443
    site.write()
    code, out, _ = tricenter("plan", "--centre", "production")
    assert code == 0
    assert "~ update quota compute.cores 20 → 40" in out
    assert "+ create role user zhang: reader" in out
    assert "- remove role user zhang: member" in out
    assert "- remove security rule web: ingress tcp 443 from anywhere" in out
    code, out, err = tricenter("apply", tenant, "--yes", "--centre", "production")
    assert code == 0, err
    assert "2 created, 1 updated, 2 removed, 0 failed" in out
    assert "0 to create, 0 to update" in tricenter("plan", "--centre", "production")[1]
    assert site.admin("production").compute.get_quota_set(project_of(site.admin("production"), tenant).id).cores == 40


def test_the_credential_opens_the_project_and_is_made_anew_when_its_file_is_lost(
    site: TenantSite, tenant: str, tricenter: Callable[..., tuple[int, str, str]]
) -> None:
    assert tricenter("apply", "--yes", "--centre", "production")[0] == 0
    file = site.state / "secrets" / f"{tenant}.production.clouds.yaml"
    assert file.stat().st_mode & 0o077 == 0
    entered = connect(tenant, config_file=file)
    assert entered.session.get_project_id() == project_of(site.admin("production"), tenant).id
    assert [each.name for each in entered.network.networks(project_id=entered.session.get_project_id())] == ["office"]

    file.unlink()
    _, out, _ = tricenter("plan", "--centre", "production")
    assert "~ update application credential tricenter.secret_file missing → present" in out
    code, _, err = tricenter("apply", "--yes", "--centre", "production")
    assert code == 0, err
    connect(tenant, config_file=file)
    user = next(site.admin("production").identity.users(name="tricenter", domain_id=_domain(site, tenant)))
    assert len(list(site.admin("production").identity.application_credentials(user=user.id))) == 1


def test_a_first_password_is_handed_over_by_a_file_and_in_no_output(
    site: TenantSite, tenant: str, tricenter: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, err = tricenter("apply", "--yes", "--centre", "production")
    assert code == 0
    file = site.state / "secrets" / "handover" / f"{tenant}.production.zhang.password"
    password = file.read_text().strip()
    assert file.stat().st_mode & 0o077 == 0
    assert password not in out + err
    assert str(file.parent) in err
    login = site.admin("production").connect_as(
        username="zhang", password=password, user_domain_name=tenant, project_name=tenant, project_domain_name=tenant
    )
    assert login.authorize()
    assert password.encode() not in (site.state / "catalogue.sqlite").read_bytes()


def test_a_domain_of_somebody_else_is_a_conflict_and_never_touched(
    site: TenantSite, tenant: str, tricenter: Callable[..., tuple[int, str, str]], writes_sent: list[str]
) -> None:
    admin = site.admin("production")
    admin.identity.create_domain(name=tenant, description="somebody else's")
    writes_sent.clear()
    code, out, _ = tricenter("apply", "--yes", "--centre", "production")
    assert code == 5
    assert f"! conflict domain {tenant}" in out
    assert writes_sent == []
    (domain,) = admin.identity.domains(name=tenant)
    assert domain.description == "somebody else's"
    assert list(admin.identity.projects(domain_id=domain.id)) == []


def test_foreign_objects_in_the_project_are_left_alone(
    site: TenantSite, tenant: str, tricenter: Callable[..., tuple[int, str, str]]
) -> None:
    assert tricenter("apply", "--yes", "--centre", "production")[0] == 0
    admin = site.admin("production")
    project = project_of(admin, tenant)
    foreign = admin.network.create_network(name="lab2", project_id=project.id, description="by hand")
    (web,) = admin.network.security_groups(project_id=project.id, name="web")
    by_hand = admin.network.create_security_group_rule(
        security_group_id=web.id,
        project_id=project.id,
        direction="ingress",
        protocol="tcp",
        port_range_min=99,
        port_range_max=99,
    )
    assert "0 to create, 0 to update, " in tricenter("plan", "--centre", "production")[1]

    site.tenants[tenant]["networks"]["lab2"] = {"zone": "public", "cidr": "10.77.2.0/24"}
    site.write()
    code, out, _ = tricenter("apply", "--yes", "--centre", "production")
    assert code == 5
    assert "! conflict network lab2: exists and was not created by Tricenter" in out
    assert admin.network.get_network(foreign.id).description == "by hand"
    assert admin.network.get_security_group_rule(by_hand.id).port_range_min == 99
    assert list(admin.network.subnets(network_id=foreign.id)) == []


def test_a_fresh_plan_asks_four_more_things_for_a_further_tenant(
    site: TenantSite, tenant: str, tricenter: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = site.add()
    site.tenants[other]["networks"]["office"]["cidr"] = "10.78.1.0/24"
    site.write()
    assert tricenter("apply", "--yes", "--centre", "production")[0] == 0
    asked: list[str] = []
    send = requests.adapters.HTTPAdapter.send

    def noting(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(request.url)
        return send(self, request, *args, **kwargs)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", noting)
    counts = []
    for names in ([tenant], [tenant, other]):
        asked.clear()
        assert tricenter("plan", *names, "--fresh", "--centre", "production")[0] == 0
        counts.append(len(asked))
    assert counts[1] - counts[0] == 4, asked


def test_a_conflict_of_one_tenant_does_not_keep_another_from_being_finished(
    site: TenantSite, tenant: str, tricenter: Callable[..., tuple[int, str, str]]
) -> None:
    other = site.add()
    site.tenants[other]["networks"]["office"]["cidr"] = "10.78.1.0/24"
    site.write()
    site.admin("production").identity.create_domain(name=tenant, description="somebody else's")
    code, out, _ = tricenter("apply", "--yes", "--centre", "production", "--output", "json")
    assert code == 5
    states = {each["tenant"]: each["state"] for each in json.loads(out)["targets"]}
    assert states == {tenant: "conflict", other: "done"}
    assert project_of(site.admin("production"), other).name == other


def test_kills_in_the_middle_do_no_harm(
    site: TenantSite, tenant: str, tricenter: Callable[..., tuple[int, str, str]]
) -> None:
    assert [_apply_and_kill_after(site, steps) for steps in (3, 5, 6, 6, 6)] == [True] * 5
    code, _, err = tricenter("apply", "--yes", "--centre", "production", "--output", "json")
    assert code == 0, err
    assert "0 to create, 0 to update" in tricenter("plan", "--centre", "production")[1]
    admin = site.admin("production")
    project = project_of(admin, tenant)
    for listing in (
        admin.network.networks,
        admin.network.subnets,
        admin.network.routers,
        admin.network.security_groups,
    ):
        names = [each.name for each in listing(project_id=project.id)]
        assert len(names) == len(set(names)), names
    for each in admin.network.networks(project_id=project.id):
        assert TAG in each.tags


def _apply_and_kill_after(site: TenantSite, steps: int) -> bool:
    """Start an apply, kill -9 it when it has begun its `steps`-th step, and return whether it still ran."""
    before = _attempts(site)
    child = subprocess.Popen(
        [PROGRAMS / "tricenter", *site.arguments, "apply", "--yes", "--centre", "production"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + 120
    while child.poll() is None and _attempts(site) - before < steps and time.monotonic() < end:
        time.sleep(0.02)
    running = child.poll() is None
    if running:
        child.send_signal(signal.SIGKILL)
    child.wait(30)
    return running


def _attempts(site: TenantSite) -> int:
    file = site.state / "catalogue.sqlite"
    if not file.exists():
        return 0
    database = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)
    try:
        (count,) = database.execute("select count(*) from attempts").fetchone()
        return int(count)
    except sqlite3.OperationalError:
        return 0
    finally:
        database.close()


def _domain(site: TenantSite, tenant: str) -> str:
    (domain,) = site.admin("production").identity.domains(name=tenant)
    return str(domain.id)


def _other_clouds(site: TenantSite, **changes: str) -> None:
    """Point production somewhere else, the same-city cloud as it was."""
    from ruamel.yaml import YAML

    clouds = YAML(typ="safe").load(site.clouds_file.read_text())
    clouds["clouds"]["production"]["auth"].update(changes)
    file = site.folder / "clouds.yaml"
    file.write_text(json.dumps(clouds))
    site.overlay["clouds_file"] = str(file)
    site.write()


def test_a_wrong_password_stops_before_anything_is_written(
    site: TenantSite, tricenter: Callable[..., tuple[int, str, str]], writes_sent: list[str]
) -> None:
    _other_clouds(site, password="wrong")
    code, _, err = tricenter("apply", "--yes")
    assert code == 2
    assert "refused the login" in err
    assert writes_sent == []


def test_a_centre_that_is_down_is_named_and_the_others_are_finished(
    site: TenantSite, tenant: str, tricenter: Callable[..., tuple[int, str, str]]
) -> None:
    _other_clouds(site, auth_url="http://127.0.0.1:9/v3")
    began = time.monotonic()
    code, _, err = tricenter("plan", "--centre", "production")
    assert code == 6
    assert "production" in err
    assert time.monotonic() - began < 15
    code, out, err = tricenter("apply", "--yes", "--output", "json")
    assert code == 3
    assert "production" in err
    assert {each["centre"]: each["state"] for each in json.loads(out)["targets"]} == {
        "same-city": "done",
        "provincial": "done",
    }
    code, out, _ = tricenter("list", "--output", "json")
    assert json.loads(out)[0]["centres"] == {
        "production": "unreachable",
        "same-city": "in sync",
        "provincial": "in sync",
    }


def test_without_yes_and_without_a_person_nothing_is_written(
    tricenter: Callable[..., tuple[int, str, str]], writes_sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = tricenter("apply", "--centre", "production")
    assert code == 5
    assert "--yes" in err
    assert writes_sent == []


def test_an_unknown_tenant_is_told_with_the_nearest_name(
    tenant: str, tricenter: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, err = tricenter("plan", tenant[:-1])
    assert code == 2
    assert tenant in err


def test_show_tells_ids_and_quotas(
    site: TenantSite, tenant: str, tricenter: Callable[..., tuple[int, str, str]]
) -> None:
    assert tricenter("apply", "--yes", "--centre", "production")[0] == 0
    code, out, err = tricenter("show", tenant, "--centre", "production", "--output", "json")
    assert code == 0, err
    rows = {(row["noun"], row["name"]): row for row in json.loads(out)}
    assert rows["project", tenant]["id"] == project_of(site.admin("production"), tenant).id
    assert rows["quota", "compute"]["values"]["ram"] > 0
    assert rows["quota", "network"]["values"]["floating_ips"] == 0
    code, out, _ = tricenter("show", tenant, "--centre", "production")
    assert code == 0
    assert rows["network", "office"]["id"] in out.replace("\n", "")
