"""A bureau at both clouds is whole; what somebody takes away at one of them is told, there and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.app import App
from orchestrator.catalogue.parities import read_parities
from tests.integration.tenant_sites import TenantSite, purge

pytestmark = pytest.mark.integration

CLOUDS = ("production", "same-city")


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[TenantSite]:
    made = TenantSite(tmp_path, Path(lab.dir), Path(lab.clouds_file))
    made.add()
    made.write()
    yield made
    for cloud in CLOUDS:
        for tenant in made.tenants:
            purge(made.admin(cloud), tenant)


def test_a_twin_is_as_whole_as_what_is_there(site: TenantSite, capsys: pytest.CaptureFixture[str]) -> None:
    def told() -> dict[str, dict[str, Any]]:
        capsys.readouterr()
        assert cli.run([*site.arguments, "parity", "--output", "json"]) == 0
        return {each["centre"]: each for each in json.loads(capsys.readouterr().out)["parities"]}

    assert {each["ratio"] for each in told().values()} == {0.0}
    assert cli.run([*site.arguments, "apply", "--yes"]) == 0
    assert {each["ratio"] for each in told().values()} == {1.0}

    (tenant,) = site.tenants
    admin = site.admin("same-city")
    (domain,) = admin.identity.domains(name=tenant)
    (project,) = admin.identity.projects(domain_id=domain.id)
    group = next(
        each for each in admin.network.security_groups() if (each.project_id, each.name) == (project.id, "web")
    )
    rule = next(each for each in group.security_group_rules if each["protocol"] == "tcp")
    admin.network.delete_security_group_rule(rule["id"])
    seen = told()
    assert seen["production"]["ratio"] == 1
    assert 0.9 < seen["same-city"]["ratio"] < 1
    assert seen["same-city"]["reasons"] == ["缺少 missing: security rule web: ingress tcp 443 from anywhere"]

    app = App(site.folder / "site", site.folder / "overlay.yaml")
    for centre in CLOUDS:
        app.runner.run("tenant-drift", {"centre": centre})
    kept = {each.centre: each.ratio for each in read_parities(app.catalogue)}
    assert kept["production"] == 1
    assert kept["same-city"] == pytest.approx(seen["same-city"]["ratio"], abs=1e-3)
