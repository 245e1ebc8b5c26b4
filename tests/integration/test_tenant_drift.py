"""What people do to a tenant by hand, and what becomes of it; what the site no longer wants, and when it goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from tests.integration.tenant_sites import TenantSite, purge

pytestmark = pytest.mark.integration

Tricenter = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[TenantSite]:
    """A site with one bureau that no other test knows, at the production cloud only."""
    made = TenantSite(tmp_path, lab.dir, lab.clouds_file)
    made.add()
    made.write()
    yield made
    for tenant in made.tenants:
        purge(made.admin("production"), tenant)


@pytest.fixture
def tenant(site: TenantSite) -> str:
    return next(iter(site.tenants))


@pytest.fixture
def tricenter(site: TenantSite, capsys: pytest.CaptureFixture[str]) -> Tricenter:
    """Run `tricenter tenant … --centre production --output json`; return its exit code, what it told, and stderr."""

    def run(*arguments: str) -> tuple[int, Any, str]:
        capsys.readouterr()
        code = cli.run([*site.arguments, *arguments, "--centre", "production", "--output", "json"])
        told = capsys.readouterr()
        return code, json.loads(told.out) if told.out.strip() else None, told.err

    return run


def test_what_the_site_no_longer_wants_goes_only_when_a_person_allows_it(
    site: TenantSite, tenant: str, tricenter: Tricenter
) -> None:
    assert tricenter("apply", "--yes")[0] == 0
    admin = site.admin("production")
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
