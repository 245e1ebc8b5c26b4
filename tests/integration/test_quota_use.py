"""What a tenant uses of its quotas: seen on a real cloud when drift is looked for, then shown and kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.app import App
from orchestrator.catalogue.quota_uses import read_quota_uses
from tests.integration.tenant_sites import TenantSite, purge

pytestmark = pytest.mark.integration


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[TenantSite]:
    """A site with one bureau that no other test knows, at the production cloud only."""
    made = TenantSite(tmp_path, lab.dir, lab.clouds_file)
    made.add()
    made.write()
    yield made
    admin = made.admin("production")
    for tenant in made.tenants:
        for port in list(admin.network.ports(name=tenant)):
            admin.network.delete_port(port)
        purge(admin, tenant)


def test_a_look_at_drift_sees_what_is_used(site: TenantSite, capsys: pytest.CaptureFixture[str]) -> None:
    (tenant,) = site.tenants
    assert cli.run([*site.arguments, "apply", "--yes", "--centre", "production"]) == 0
    admin = site.admin("production")
    (domain,) = admin.identity.domains(name=tenant)
    (project,) = admin.identity.projects(domain_id=domain.id)
    admin.network.create_port(
        network_id=next(admin.network.networks(project_id=project.id)).id, project_id=project.id, name=tenant
    )
    app = App(site.folder / "site", site.folder / "overlay.yaml")

    app.runner.run("tenant-drift", {"centre": "production"})

    seen = {(each.service, each.resource): each for each in read_quota_uses(app.catalogue, tenant).uses}
    ports = len(list(admin.network.ports(project_id=project.id)))
    assert ports >= 1
    assert seen["network", "ports"].used == ports
    assert (seen["network", "networks"].used, seen["network", "networks"].limit) == (1, 2)
    assert (seen["compute", "instances"].used, seen["compute", "instances"].limit) == (0, 3)
    assert (seen["block_storage", "gigabytes"].used, seen["block_storage", "gigabytes"].limit) == (0, None)

    capsys.readouterr()
    assert cli.run([*site.arguments, "show", tenant, "--centre", "production", "--output", "json"]) == 0
    shown = {each["name"]: each for each in json.loads(capsys.readouterr().out) if each["noun"] == "quota"}
    assert shown["network"]["used"]["ports"] == ports
    assert cli.run([*site.arguments, "show", tenant, "--centre", "production"]) == 0
    assert "networks=1/2" in capsys.readouterr().out
