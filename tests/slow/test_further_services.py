"""Quotas of services that not every cloud has: the real ones beside the production cloud.

The lab's same-city cloud is the one that lacks them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests.adapters
from botocore.exceptions import ClientError

from orchestrator import cli
from orchestrator.cloud import further_quotas
from orchestrator.cloud.connection import Connection
from orchestrator.lab.infrastructure import DATABASE_USER, MESSAGE_USER, sql
from orchestrator.lab.openstack_config import keystone_url
from orchestrator.vault.admin import s3_client
from orchestrator.vault.s3 import Credential
from tests.integration.tenant_sites import TenantSite, purge
from tests.slow.further_services import DEFAULT_LISTENERS, SERVICES, Beneath, FurtherServices, install

pytestmark = pytest.mark.slow

CENTRE = "production"
CLASS = {
    "load_balancer": {"load_balancers": 2, "pools": 0, "members": "unlimited"},
    "dns": {"zones": 4, "zone_recordsets": 0, "zone_records": "unlimited"},
    "key_manager": {"secrets": 5, "orders": 0, "containers": "unlimited"},
    "shared_file_system": {"shares": 3, "snapshots": 0, "gigabytes": "unlimited"},
}
Tricenter = Callable[..., Any]


@pytest.fixture(scope="module")
def services(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FurtherServices]:
    """The four services beside the production cloud, in its catalogue until the module ends."""
    venv = install(lab.dir / "further-services")
    password = lab.lab.secret("openstack.password")
    server = f"mysql+pymysql://{DATABASE_USER}:{password}@127.0.0.1:{lab.lab.port('mariadb')}"
    broker = f"rabbit://{MESSAGE_USER}:{password}@127.0.0.1:{lab.lab.port('rabbitmq')}/{CENTRE}"
    beneath = Beneath(keystone_url(lab.lab, CENTRE), CENTRE, password, server, broker)
    made = FurtherServices(tmp_path_factory.mktemp("further"), venv, beneath)
    names = [made.database(each) for each in SERVICES]
    admin = TenantSite(tmp_path_factory.mktemp("admin"), lab.dir, lab.clouds_file).admin(CENTRE)
    try:
        for name in names:
            whose = f"GRANT ALL ON {name}.* TO {DATABASE_USER}@127.0.0.1"
            sql(lab.lab, f"DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} CHARACTER SET utf8mb3; {whose};")
        made.start()
        made.register(admin.identity)
        yield made
    finally:
        made.unregister(admin.identity)
        made.stop()
        sql(lab.lab, "".join(f"DROP DATABASE IF EXISTS {name};" for name in names))


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[TenantSite]:
    """Two small bureaus whose limits are all of one class."""
    made = TenantSite(tmp_path, lab.dir, lab.clouds_file)
    for _ in range(2):
        bureau = made.tenants[made.add()]
        bureau.update(networks={}, security_groups={}, members={}, quota={}, quota_class="small")
    made.overlay = {"quota_classes": {"small": CLASS}, "drift": {"heal": ["quota"]}}
    made.write()
    yield made
    for centre in (CENTRE, "same-city"):
        admin = made.admin(centre)
        for tenant in made.tenants:
            for project in list(admin.identity.projects(name=tenant)):
                further_quotas.forget(admin, project.id)
            purge(admin, tenant)
    for tenant in made.tenants:
        with suppress(ClientError):  # a test that made no bucket
            _vault(made).delete_bucket(Bucket=f"tenant-test-{tenant}")


def _vault(site: TenantSite) -> Any:
    """Return the same-city vault as its administrator sees it."""
    key = json.loads((site.lab_folder / "secrets" / "vault-same-city.admin.json").read_text())
    base = json.loads((site.lab_folder / "lab.json").read_text())["port_base"]
    return s3_client(f"http://127.0.0.1:{base + 30}", "us-east-1", Credential(key["access_key"], key["secret_key"]))


@pytest.fixture
def tricenter(site: TenantSite, capsys: pytest.CaptureFixture[str]) -> Tricenter:
    """Run `tricenter tenant … --output json` and return what it told."""

    def run(*arguments: str, centre: str = CENTRE) -> Any:
        capsys.readouterr()
        code = cli.run([*site.arguments, *arguments, "--centre", centre, "--output", "json"])
        told = capsys.readouterr()
        assert code == 0, told.err
        return json.loads(told.out)

    return run


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every HTTP request, seen below the SDK."""
    seen: list[str] = []
    send = requests.adapters.HTTPAdapter.send

    def noting(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(f"{request.method} {request.url}")
        return send(self, request, *args, **kwargs)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", noting)
    return seen


def limits(admin: Connection, project: str) -> dict[str, dict[str, Any]]:
    """Return what the services themselves say of the limits of a project, each in its own words."""
    shares = admin.shared_file_system.get(f"/quota-sets/{project}", microversion="2.25").json()["quota_set"]
    secrets = admin.key_manager.get(f"/project-quotas/{project}").json()["project_quotas"]
    balancers = admin.load_balancer.get(f"/lbaas/quotas/{project}").json()["quota"]
    names = admin.dns.get(f"/quotas/{project}", headers={"X-Auth-All-Projects": "true"}).json()
    said = {"octavia": balancers, "barbican": secrets, "manila": shares, "designate": names}
    return {name: {what: each for what, each in one.items() if each != project} for name, one in said.items()}


def to_services(services: FurtherServices, sent: list[str]) -> list[str]:
    urls = tuple(services.url(each) for each in SERVICES)
    return [each for each in sent if each.split()[1].startswith(urls)]


def project_of(admin: Connection, tenant: str) -> str:
    (project,) = admin.identity.projects(name=tenant)
    return str(project.id)


def test_limits_are_set_found_changed_and_healed(
    services: FurtherServices, site: TenantSite, tricenter: Tricenter, sent: list[str]
) -> None:
    tenant, other = site.tenants
    admin = site.admin(CENTRE)
    shown = {each["name"]: each["text"] for each in tricenter("plan", tenant)["actions"] if each["noun"] == "quota"}
    assert shown["load_balancer"] == "create quota load_balancer load_balancers=2 pools=0 members=unlimited"

    # Zero, unlimited and unset are three things at each of the services.
    assert tricenter("apply", "--yes")["summary"]["failed"] == 0
    project = project_of(admin, tenant)
    there = limits(admin, project)
    words = ("loadbalancer", "pool", "member", "listener")
    assert [there["octavia"][each] for each in words] == [2, 0, -1, DEFAULT_LISTENERS]
    assert [there["barbican"][each] for each in ("secrets", "orders", "containers", "consumers")] == [5, 0, -1, None]
    assert [there["manila"][each] for each in ("shares", "snapshots", "gigabytes", "share_networks")] == [3, 0, -1, 10]

    names = ("zones", "zone_recordsets", "zone_records", "recordset_records")
    assert [there["designate"][each] for each in names] == [4, 0, -1, 20]

    # A second plan is empty, and asks as much for two tenants as for one.
    counts = []
    for several in ((tenant,), (tenant, other)):
        sent.clear()
        assert tricenter("plan", *several)["actions"] == []
        assert to_services(services, sent)
        counts.append(len(sent))
    assert counts[0] == counts[1], sent

    # By hand: found, and healed; what the site leaves alone stays as somebody set it.
    admin.load_balancer.update_quota(project, pools=-1, listeners=4)
    admin.key_manager.delete_project_quota(project)
    further_quotas.set_shared_file_system(admin, project, {"snapshots": 9, "share_networks": 4})
    admin.dns.update_quota(project, zone_recordsets=-1, zone_records=0, recordset_records=8)
    drift = tricenter("drift", tenant, "--heal", "--yes")
    assert drift
    healed = limits(admin, project)
    assert [healed["octavia"][each] for each in words] == [2, 0, -1, 4]
    assert healed["barbican"] == there["barbican"]
    assert [healed["designate"][each] for each in names] == [4, 0, -1, 8]
    assert (healed["manila"]["snapshots"], healed["manila"]["share_networks"]) == (0, 4)
    assert tricenter("plan", "--fresh")["actions"] == []
    assert limits(admin, project_of(admin, other)) == there

    # Where a limit comes from; what only Barbican's own default holds is not told.
    rows = {each["name"]: each for each in tricenter("show", tenant) if each["noun"] == "quota"}
    assert rows["key_manager"]["values"] == {"secrets": 5, "orders": 0, "containers": -1}
    assert rows["load_balancer"]["origins"] == dict.fromkeys(("load_balancers", "pools", "members"), "class small")
    assert rows["shared_file_system"]["values"]["share_networks"] == 4


def test_a_limit_taken_away_by_hand_is_told_as_unset(
    services: FurtherServices, site: TenantSite, tricenter: Tricenter
) -> None:
    tenant, _ = site.tenants
    tricenter("apply", tenant, "--yes")
    admin = site.admin(CENTRE)
    admin.key_manager.delete_project_quota(project_of(admin, tenant))
    (action,) = tricenter("plan", tenant)["actions"]
    assert action["text"] == (
        "update quota key_manager.secrets unset → 5, key_manager.orders unset → 0, "
        "key_manager.containers unset → unlimited"
    )


def test_use_of_shares_is_told(services: FurtherServices, site: TenantSite, tricenter: Tricenter) -> None:
    from orchestrator.cloud.quota_use import Use, uses

    tenant, _ = site.tenants
    tricenter("apply", tenant, "--yes")
    admin = site.admin(CENTRE)
    found = uses(admin, project_of(admin, tenant))
    assert Use("shared_file_system", "shares", 0, 3) in found
    assert Use("shared_file_system", "gigabytes", 0, None) in found
    assert not {each.service for each in found} & {"load_balancer", "dns", "key_manager"}


def test_a_cloud_without_the_services_is_asked_nothing_of_them_and_told_plainly(
    services: FurtherServices, site: TenantSite, tricenter: Tricenter, sent: list[str]
) -> None:
    tenant, _ = site.tenants
    plan = tricenter("plan", tenant, centre="same-city")
    assert sorted((each["service"], each["tenants"]) for each in plan["notes"]) == [(name, 1) for name in sorted(CLASS)]
    assert not any(each["noun"] == "quota" for each in plan["actions"])
    tricenter("apply", tenant, "--yes", centre="same-city")
    assert tricenter("plan", tenant, centre="same-city")["actions"] == []
    assert to_services(services, sent) == []

    # Written for the tenant itself it is a conflict there, and a limit like others where the service is.
    site.tenants[tenant]["quota"] = {"load_balancer": {"listeners": 7}}
    site.write()
    (action,) = tricenter("plan", tenant, centre="same-city")["actions"]
    assert tricenter("drift", tenant, centre="same-city")["differences"] == []
    assert action["kind"] == "conflict"
    assert "listeners is written for the tenant itself" in action["reason"]
    assert f"tenants/{tenant}.yaml" in action["reason"]
    tricenter("apply", tenant, "--yes")
    admin = site.admin(CENTRE)
    assert limits(admin, project_of(admin, tenant))["octavia"]["listener"] == 7
