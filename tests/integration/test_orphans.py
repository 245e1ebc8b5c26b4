"""Orphans at a real cloud: a network whose project is deleted; a tenant that the site has forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from tests.integration.tenant_sites import TenantSite, purge

pytestmark = pytest.mark.integration


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[TenantSite]:
    made = TenantSite(tmp_path, Path(lab.dir), Path(lab.clouds_file))
    made.add()
    made.write()
    yield made
    for name in made.tenants:
        purge(made.admin("production"), name)


def test_what_nobody_answers_for_is_named_and_only_ours_is_removed(
    site: TenantSite, capsys: pytest.CaptureFixture[str]
) -> None:
    (tenant,) = site.tenants
    admin = site.admin("production")

    def orphans(*words: str) -> dict[str, dict[str, Any]]:
        capsys.readouterr()
        assert cli.run([*site.arguments, "orphans", "--centre", "production", *words, "--output", "json"]) == 0
        return {each["id"]: each for each in json.loads(capsys.readouterr().out)["orphans"]}

    assert cli.run([*site.arguments, "apply", "--yes", "--centre", "production"]) == 0
    (domain,) = admin.identity.domains(name=tenant)
    project = admin.identity.create_project(name=f"{tenant}-gone", domain_id=domain.id)
    mark = "[managed-by=tricenter]"
    ours = admin.network.create_network(name="left", project_id=project.id, description=mark)
    theirs = admin.network.create_network(name="theirs", project_id=project.id)
    try:
        assert not {ours.id, theirs.id, domain.id} & orphans().keys()
        admin.identity.delete_project(project)
        found = orphans()
        assert (found[ours.id]["why"], found[ours.id]["removable"]) == ("no-project", True)
        assert (found[theirs.id]["why"], found[theirs.id]["removable"]) == ("no-project", False)
        assert domain.id not in found
        orphans("--remove", "--yes")
        left = orphans()
        assert ours.id not in left
        assert theirs.id in left

        kept = site.tenants.pop(tenant)
        other = site.add()
        (site.folder / "site" / "tenants" / f"{tenant}.yaml").unlink()
        site.write()
        assert orphans()[domain.id]["why"] == "no-tenant"
        site.tenants = {tenant: kept, other: site.tenants[other]}
    finally:
        admin.network.delete_network(theirs)
        admin.network.delete_network(ours)
