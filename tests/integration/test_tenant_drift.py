"""What people do to a tenant by hand, and what becomes of it; what the site no longer wants, and when it goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from orchestrator import cli
from orchestrator.app import App
from orchestrator.catalogue.drifts import read_drifts
from orchestrator.catalogue.lives import Life, change_life
from orchestrator.cloud.marks import TAG
from orchestrator.tenants.flows import TENANT_DRIFT
from policies.life import LifeState
from tests.integration.tenant_sites import TenantSite, purge

pytestmark = pytest.mark.integration

CENTRE = "same-city"
Tricenter = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[TenantSite]:
    """A site with one bureau that no other test knows, at one centre that has a cloud and a vault."""
    made = TenantSite(tmp_path, lab.dir, lab.clouds_file)
    made.add()
    made.write()
    yield made
    for tenant in made.tenants:
        purge(made.admin(CENTRE), tenant)
        with suppress(ClientError):  # a test that made no bucket
            store(made).delete_bucket(Bucket=f"tenant-test-{tenant}")


def store(site: TenantSite) -> Any:
    """Return the vault of the centre as its administrator sees it."""
    key = json.loads((site.lab_folder / "secrets" / f"vault-{CENTRE}.admin.json").read_text())
    base = json.loads((site.lab_folder / "lab.json").read_text())["port_base"]
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{base + 30}",
        region_name="us-east-1",
        aws_access_key_id=key["access_key"],
        aws_secret_access_key=key["secret_key"],
    )


@pytest.fixture
def tenant(site: TenantSite) -> str:
    return next(iter(site.tenants))


@pytest.fixture
def tricenter(site: TenantSite, capsys: pytest.CaptureFixture[str]) -> Tricenter:
    """Run `tricenter tenant … --centre same-city --output json`; return its exit code, what it told, and stderr."""

    def run(*arguments: str) -> tuple[int, Any, str]:
        capsys.readouterr()
        code = cli.run([*site.arguments, *arguments, "--centre", CENTRE, "--output", "json"])
        told = capsys.readouterr()
        return code, json.loads(told.out) if told.out.strip() else None, told.err

    return run


def test_what_the_site_no_longer_wants_goes_only_when_a_person_allows_it(
    site: TenantSite, tenant: str, tricenter: Tricenter
) -> None:
    assert tricenter("apply", "--yes")[0] == 0
    admin = site.admin(CENTRE)
    (domain,) = admin.identity.domains(name=tenant)
    (project,) = admin.identity.projects(domain_id=domain.id)
    site.tenants[tenant] |= {"networks": {}, "members": {}, "security_groups": {}}
    site.write()

    code, told, err = tricenter("apply", "--yes")
    assert code == 0, err
    assert told["summary"]["destroyed"] == 0
    names = {f"{each['noun']} {each['name']}" for target in told["targets"] for each in target["left"]}
    assert names == {
        "router interface office on public", "router public", "subnet office", "network office",
        "security group web", "security group closed", "user zhang",
    }  # fmt: skip

    by_hand = admin.network.create_network(name="by-hand", project_id=project.id)
    (network,) = admin.network.networks(name="office", project_id=project.id)
    port = admin.network.create_port(network_id=network.id, project_id=project.id, name="in-the-way")
    code, told, _ = tricenter("apply", "--yes", "--allow-destroy")
    assert code == 5
    assert told["summary"]["destroyed"] == 0
    assert any("in-the-way" in each["reason"] for target in told["targets"] for each in target["conflicts"])

    admin.network.delete_port(port)
    code, told, err = tricenter("apply", "--yes", "--allow-destroy")
    assert code == 0, err
    assert told["summary"]["destroyed"] == len(names)
    assert [each.id for each in admin.network.networks(project_id=project.id)] == [by_hand.id]
    assert list(admin.network.routers(project_id=project.id)) == []
    assert {each.name for each in admin.identity.users(domain_id=domain.id)} == {"tricenter"}
    code, told, _ = tricenter("plan", "--allow-destroy")
    assert (told["actions"], told["left"]) == ([], [])


HEALED = ("group", "role", "membership", "quota", "subnet", "router", "interface", "rule", "bucket")


def change_by_hand(site: TenantSite, tenant: str) -> None:
    """Do what people do at a console: two dozen changes, of every kind that there is."""
    admin = site.admin(CENTRE)
    identity, network = admin.identity, admin.network
    (domain,) = identity.domains(name=tenant)
    (project,) = identity.projects(domain_id=domain.id)
    users = {each.name: each for each in identity.users(domain_id=domain.id)}
    (group,) = identity.groups(domain_id=domain.id)
    roles = {each.name: each for each in identity.roles()}
    nets = {each.name: each for each in network.networks(project_id=project.id)}
    subnets = {each.name: each for each in network.subnets(project_id=project.id)}
    (router,) = network.routers(project_id=project.id)
    groups = {each.name: each for each in network.security_groups(project_id=project.id)}

    web = groups["web"]
    (https,) = (each for each in web.security_group_rules if each["port_range_min"] == 443)
    network.delete_security_group_rule(https["id"])
    network.create_security_group_rule(
        security_group_id=web.id, direction="ingress", ether_type="IPv4", protocol="tcp",
        port_range_min=3389, port_range_max=3389, project_id=project.id,
    )  # fmt: skip
    network.update_security_group(web.id, description="anything [managed-by=tricenter]")
    network.update_security_group(groups["closed"].id, name="geschlossen")

    admin.compute.put(f"/os-quota-sets/{project.id}", json={"quota_set": {"cores": 99, "instances": 1}})

    identity.update_user(users["li"].id, is_enabled=False)
    identity.update_user(users["zhang"].id, email="else@test.internal")
    identity.update_user(users["tricenter"].id, description="robot [managed-by=tricenter]")
    identity.delete(f"/groups/{group.id}/users/{users['zhang'].id}")
    identity.update_group(group.id, name="renamed-members")
    identity.delete(f"/projects/{project.id}/users/{users['zhang'].id}/roles/{roles['member'].id}")
    identity.put(f"/projects/{project.id}/users/{users['li'].id}/roles/{roles['manager'].id}")
    (credential,) = identity.application_credentials(user=users["tricenter"].id)
    identity.delete_application_credential(users["tricenter"].id, credential.id)

    network.update_network(nets["office"].id, name="kantoor")
    network.delete(f"/networks/{nets['lab'].id}/tags/{TAG}")
    network.update_subnet(subnets["office"].id, dns_nameservers=["9.9.9.9"])
    network.update_router(router.id, external_gateway_info={})
    network.remove_interface_from_router(router.id, subnet=subnets["lab"].id)

    identity.update_project(project.id, name="project-x", is_enabled=False)
    identity.update_domain(domain.id, description="something [managed-by=tricenter]", is_enabled=False)

    bucket = f"tenant-test-{tenant}"
    with pytest.raises(ClientError, match="InvalidBucketState"):  # a store that locks does not let it happen
        store(site).put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    store(site).put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}},
        },
    )  # fmt: skip


def found_of(told: Any) -> dict[str, str]:
    """Return what was found: "update user zhang: email" -> its fate."""
    found = {}
    for each in told["differences"]:
        fields = ",".join(change["field"] for change in each["changes"]) if each["kind"] == "update" else ""
        found[f"{each['kind']} {each['noun']} {each['name']}: {fields}".removesuffix(": ")] = each["fate"]
    return found


def test_two_dozen_changes_by_hand_are_all_found_and_healed_or_reported_as_policy_says(
    site: TenantSite, tenant: str, tricenter: Tricenter
) -> None:
    bureau = site.tenants[tenant]
    bureau["members"]["li"] = {"name": "李四", "role": "member"}
    bureau["networks"]["lab"] = {"zone": "public", "cidr": "10.77.2.0/24"}
    bureau["drift"] = {"heal": list(HEALED)}
    site.write()
    assert tricenter("apply", "--yes")[0] == 0
    assert tricenter("drift")[1]["differences"] == []
    change_by_hand(site, tenant)

    code, told, err = tricenter("drift")
    assert code == 0, err
    found = found_of(told)
    members = f"{tenant}-members"
    healed = {
        "create security rule web: ingress tcp 443 from anywhere",
        "update quota compute: instances,cores",
        f"update group {members}: name",
        f"create membership zhang in {members}",
        "create role user zhang: member",
        "remove role user li: manager",
        "update subnet office: dns",
        "update router public: external_network",
        "create router interface lab on public",
        f"update bucket tenant-test-{tenant}: lock_days",
    }
    reported = {
        "extra security rule web: ingress tcp 3389 from anywhere",
        "update security group web: description",
        "update security group closed: name",
        "update user li: enabled",
        "update user zhang: email",
        "update user tricenter: description",
        "create application credential tricenter",
        "update network office: name",
        "update network lab: tag",
        f"update project {tenant}: name,enabled",
        f"update domain {tenant}: description,enabled",
    }
    assert found == dict.fromkeys(healed, "heal") | dict.fromkeys(reported, "report")

    app = App(site.folder / "site", site.folder / "overlay.yaml")
    ended = app.runner.run(TENANT_DRIFT, {"centre": CENTRE})
    assert ended == {"tenants": 1, "drifted": 1, "healed": len(healed)}
    (run,) = app.catalogue.runs(flow="tenant-drift")
    steps = [each.step for each in app.catalogue.attempts(run.id)]
    assert sum(each.startswith(f"heal {tenant}: ") for each in steps) == len(healed)
    assert found_of(tricenter("drift")[1]) == dict.fromkeys(reported, "report")
    counted = {each.noun: (each.differing, each.healed) for each in read_drifts(app.catalogue)}
    assert (counted["rule"], counted["role"], counted["user"]) == ((1, 1), (0, 2), (3, 0))

    code, _, err = tricenter("apply", "--yes")
    assert code == 0, err
    kept = {"extra security rule web: ingress tcp 3389 from anywhere": "report"}
    assert found_of(tricenter("drift")[1]) == kept
    admin = site.admin(CENTRE)
    (domain,) = admin.identity.domains(name=tenant)
    (project,) = admin.identity.projects(domain_id=domain.id)
    assert (project.name, project.is_enabled) == (tenant, True)
    assert {each.name for each in admin.network.networks(project_id=project.id)} == {"office", "lab"}


def test_healing_by_hand_does_what_policy_says_and_nothing_else(
    site: TenantSite, tenant: str, tricenter: Tricenter
) -> None:
    site.tenants[tenant]["drift"] = {"default": "heal", "report": ["user"]}
    site.write()
    assert tricenter("apply", "--yes")[0] == 0
    admin = site.admin(CENTRE)
    (domain,) = admin.identity.domains(name=tenant)
    (user,) = admin.identity.users(domain_id=domain.id, name="zhang")
    admin.identity.update_user(user.id, is_enabled=False)
    admin.identity.update_domain(domain.id, description="x [managed-by=tricenter]")
    assert tricenter("drift", "--heal")[0] == 5  # nobody confirmed
    code, told, err = tricenter("drift", "--heal", "--yes")
    assert code == 0, err
    assert told["summary"]["updated"] == 1
    assert found_of(tricenter("drift")[1]) == {"update user zhang: enabled": "report"}

    app = App(site.folder / "site", site.folder / "overlay.yaml")
    moment = datetime.now(UTC)
    change_life(app.catalogue, Life(tenant, LifeState.SUSPENDED, moment, "a test", "nobody may log in"))
    site.tenants[tenant]["drift"] = {"default": "heal"}
    site.write()
    app = App(site.folder / "site", site.folder / "overlay.yaml")
    assert app.runner.run(TENANT_DRIFT, {"centre": CENTRE}) == {"tenants": 0, "drifted": 0, "healed": 0}
    assert admin.identity.get_user(user.id).is_enabled is False


def test_what_others_made_is_taken_over_by_its_mark_alone(site: TenantSite, tenant: str, tricenter: Tricenter) -> None:
    admin = site.admin(CENTRE)
    domain = admin.identity.create_domain(name=tenant, description="by hand")
    project = admin.identity.create_project(name=tenant, domain_id=domain.id)
    user = admin.identity.create_user(name="zhang", domain_id=domain.id, password=token_urlsafe(), email="old@x")
    net = admin.network.create_network(name="office", project_id=project.id)
    subnet = admin.network.create_subnet(
        name="office", network_id=net.id, project_id=project.id, ip_version=4, cidr="10.77.1.0/24"
    )
    lab = admin.network.create_network(name="lab", project_id=project.id)
    assert tricenter("apply", "--yes")[0] == 5

    code, told, err = tricenter("import", tenant, "--dry-run")
    assert code == 0, err
    assert [(each["noun"], each["id"]) for each in told["adoptable"]] == [("domain", domain.id)]
    assert admin.identity.get_domain(domain.id).description == "by hand"
    assert tricenter("import", tenant)[0] == 5  # nobody confirmed
    code, told, err = tricenter("import", tenant, "--yes")
    assert code == 0, err
    assert {each["id"] for each in told["adopted"]} == {domain.id, project.id, user.id, net.id, subnet.id}
    assert admin.identity.get_domain(domain.id).description == "by hand [managed-by=tricenter]"
    assert admin.identity.get_user(user.id).email == "old@x"
    assert "managed-by" not in (admin.network.get_network(lab.id).description or "")

    code, _, err = tricenter("apply", "--yes")
    assert code == 0, err
    assert admin.identity.get_user(user.id).email == "zhang@test.internal"
    assert {each.id for each in admin.network.networks(project_id=project.id)} == {net.id, lab.id}
    assert tricenter("import", tenant, "--yes")[1] == {"adopted": [], "left": []}
