"""A whole tenant on real clouds: its class of quota, links between zones, what its project is labelled with."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.cloud.credentials import credential_file, stored_id
from orchestrator.tenants import rotating
from tests.integration.tenant_sites import TenantSite, purge

pytestmark = pytest.mark.integration

Command = Callable[..., tuple[int, str, str]]


class NounSite(TenantSite):
    """A site with two zones and quota classes, at a cloud with flavors that are not for everybody."""

    @property
    def private_flavors(self) -> list[str]:
        return [f"{name}-{which}" for name in self.tenants for which in ("own", "other")]

    def _site(self) -> dict[str, Any]:
        made = super()._site()
        made["zones"]["internet"] = {"title": {"zh": "互联网", "en": "Internet"}, "kind": "internet"}
        made["quota_classes"] = {
            "small": {"compute": {"cores": 4, "instances": 2}, "network": {"routers": 3}},
            "medium": {"inherits": "small", "multiplier": 2, "block_storage": {"gigabytes": "unlimited", "backups": 0}},
        }
        return made


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[NounSite]:
    """A bureau in two zones that no other test knows, at production only; what it made is gone afterwards."""
    made = NounSite(tmp_path, lab.dir, lab.clouds_file)
    tenant = made.tenants[made.add()]
    tenant["contact"] = "王敏/李强,0411"
    tenant["networks"]["portal"] = {"zone": "internet", "cidr": "10.77.2.0/24"}
    tenant |= {"quota_class": "medium", "quota_multiplier": 3, "quota": {"compute": {"instances": 5}}}
    tenant["zone_links"] = [{"between": ["office", "portal"], "approval": "市数据局-2026-017"}]
    tenant["flavors"] = made.private_flavors[:1]
    made.write()
    admin = made.admin("production")
    for each in made.private_flavors:
        admin.compute.create_flavor(name=each, ram=64, vcpus=1, disk=1, is_public=False)
    yield made
    for each in made.private_flavors:
        admin.compute.delete_flavor(admin.compute.find_flavor(each))
    for name in made.tenants:
        _unroute(made, name)
        purge(made.admin("production"), name)


@pytest.fixture
def tenant(site: NounSite) -> str:
    return next(iter(site.tenants))


@pytest.fixture
def tricenter(site: NounSite, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `tricenter tenant … --centre production` in this process; return its exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.run([*site.arguments, *arguments, "--centre", "production"])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def _project(site: NounSite, tenant: str) -> Any:
    admin = site.admin("production")
    (domain,) = admin.identity.domains(name=tenant)
    (project,) = admin.identity.projects(domain_id=domain.id)
    return project


def _unroute(site: NounSite, tenant: str) -> None:
    admin = site.admin("production")
    for domain in admin.identity.domains(name=tenant):
        for project in admin.identity.projects(domain_id=domain.id):
            for router in admin.network.routers(project_id=project.id):
                admin.network.update_router(router, routes=[])


def _routers(site: NounSite, tenant: str) -> dict[str, Any]:
    admin = site.admin("production")
    return {each.name: each for each in admin.network.routers(project_id=_project(site, tenant).id)}


def test_a_tenant_has_its_class_and_its_approved_link_until_the_approval_is_withdrawn(
    site: NounSite, tenant: str, tricenter: Command
) -> None:
    code, _, err = tricenter("apply", "--yes")
    assert code == 0, err
    admin, project = site.admin("production"), _project(site, tenant)
    compute = admin.compute.get_quota_set(project.id)
    assert (compute.cores, compute.instances) == (24, 5)
    storage = admin.block_storage.get_quota_set(project.id)
    assert (storage.gigabytes, storage.backups) == (-1, 0)
    shown = tricenter("show", tenant, "--output", "table")[1]
    assert "cores=24 (class small × 6)" in " ".join(shown.split())

    own, other = (admin.compute.find_flavor(each) for each in site.private_flavors)
    assert {each["tenant_id"] for each in admin.compute.get_flavor_access(own.id)} == {project.id}
    admin.compute.flavor_add_tenant_access(other.id, project.id)

    assert {"managed-by=tricenter", "mlps=2", "contact=王敏／李强，0411"} <= set(project.tags)
    admin.identity.update_project(project, tags=["theirs", "mlps=4", *project.tags])
    assert "~ update project" in tricenter("plan")[1]
    assert tricenter("apply", "--yes")[0] == 0
    tags = _project(site, tenant).tags
    assert {"theirs", "mlps=2", "managed-by=tricenter"} <= set(tags)
    assert "mlps=4" not in tags
    assert admin.compute.get_flavor_access(other.id) == []

    routers = _routers(site, tenant)
    assert set(routers) == {"public", "internet", "link-office.portal"}
    link = routers["link-office.portal"]
    assert "市数据局-2026-017" in link.description
    assert "managed-by=tricenter" in link.description
    feet = {
        address["subnet_id"]: address["ip_address"]
        for port in admin.network.ports(device_id=link.id)
        for address in port.fixed_ips
    }
    subnets = {each.name: each for each in admin.network.subnets(project_id=project.id)}
    assert feet.keys() == {each.id for each in subnets.values()}
    for near, far in (("public", "portal"), ("internet", "office")):
        here = subnets["office" if near == "public" else "portal"]
        assert routers[near].routes == [{"destination": subnets[far].cidr, "nexthop": feet[here.id]}]
    assert "0 to create, 0 to update" in tricenter("plan")[1]

    site.tenants[tenant]["zone_links"] = []
    site.write()
    code, _, err = tricenter("apply", "--yes", "--allow-destroy")
    assert code == 0, err
    left = _routers(site, tenant)
    assert set(left) == {"public", "internet"}
    assert [each.routes for each in left.values()] == [[], []]


#: Runs the command line, and dies by kill -9 where it would call this function of the rotation.
KILLED_AT = """
import os, signal, sys
from orchestrator import cli
from orchestrator.tenants import rotating
setattr(rotating, sys.argv[1], lambda *given, **named: os.kill(os.getpid(), signal.SIGKILL))
cli.run(sys.argv[2:])
"""

#: What a rotation comes to next, at each moment at which it is cut off, and how many credentials are there then.
MOMENTS = (("write_private", 2), ("prove", 3), ("_put_in_place", 4), ("_delete_others", 5))


def test_a_rotation_that_is_cut_off_leaves_a_credential_that_works_and_the_next_one_clears_up(
    site: NounSite, tenant: str, tricenter: Command
) -> None:
    assert tricenter("apply", "--yes")[0] == 0
    file = credential_file(site.state / "secrets", tenant, "production")
    admin = site.admin("production")
    project = _project(site, tenant)
    (user,) = admin.identity.users(name="tricenter", domain_id=project.domain_id)

    def there() -> set[str]:
        return {each.id for each in admin.identity.application_credentials(user=user.id)}

    first = stored_id(file)
    assert there() == {first}
    for moment, count in MOMENTS:
        arguments = [*site.arguments, "rotate", tenant, "--centre", "production", "--yes"]
        done = subprocess.run([sys.executable, "-c", KILLED_AT, moment, *arguments], capture_output=True, timeout=60)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert len(there()) == count
        rotating.prove(file, tenant, project.id)
    in_use = stored_id(file)
    assert in_use != first  # the last of the four stood in its place already

    code, out, err = tricenter("rotate", tenant, "--dry-run", "--output", "json")
    assert code == 0, err
    (row,) = json.loads(out)
    assert row["old"] == in_use
    assert set(row["left"]) == there() - {in_use}
    assert "0 to create, 0 to update" in tricenter("plan")[1]

    code, _, err = tricenter("rotate", tenant, "--yes")
    assert code == 0, err
    assert there() == {stored_id(file)}
    assert in_use not in there()
    rotating.prove(file, tenant, project.id)
    assert not rotating.next_file(site.state / "secrets", tenant, "production").exists()
    assert file.stat().st_mode & 0o777 == 0o600
