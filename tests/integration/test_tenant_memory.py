"""What a plan asks of a real cloud when nothing is to be done: as much for six tenants as for two."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests.adapters

from orchestrator import cli
from tests.integration.tenant_sites import TenantSite, purge

pytestmark = pytest.mark.integration

TENANTS = 6
LACKING = {"load_balancer": "pools", "dns": "zones", "key_manager": "secrets", "shared_file_system": "shares"}


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[TenantSite]:
    """Six bureaus that differ in nothing but their names, each with all that is asked tenant by tenant.

    Their class has limits of services that the cloud lacks: those must not be asked for anything.
    """
    made = TenantSite(tmp_path, lab.dir, lab.clouds_file)
    for _ in range(TENANTS):
        bureau = made.tenants[made.add()]
        bureau.update(networks={}, security_groups={}, members={}, quota_class="small")
    made.overlay["quota_classes"] = {"small": {name: {what: 1} for name, what in LACKING.items()}}
    made.write()
    yield made
    admin = made.admin("production")
    for tenant in made.tenants:
        purge(admin, tenant)


@pytest.fixture
def tricenter(site: TenantSite, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*arguments: str) -> str:
        capsys.readouterr()
        code = cli.run([*site.arguments, *arguments, "--centre", "production"])
        told = capsys.readouterr()
        assert code == 0, told.err
        return told.out

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


def test_a_plan_with_nothing_to_do_asks_no_more_for_more_tenants(
    site: TenantSite, tricenter: Callable[..., str], sent: list[str]
) -> None:
    tricenter("apply", "--yes")
    names = sorted(site.tenants)
    counts = []
    for several in (names[:2], names):
        sent.clear()
        out = tricenter("plan", *several)
        assert "0 to create, 0 to update" in out
        assert "--fresh" in out
        counts.append(len(sent))
    assert counts[0] == counts[1], sent
    sent.clear()
    assert json.loads(tricenter("plan", "--fresh", "--output", "json"))["remembered_at"] is None
    assert len(sent) - counts[1] == 4 * TENANTS + 1  # and Cinder, which versions it has
    sent.clear()
    tricenter("apply", "--yes")
    assert len(sent) == counts[1]

    # By hand: what is remembered does not show it, what is asked does, and it is mended.
    admin = site.admin("production")
    (domain,) = admin.identity.domains(name=names[0])
    (project,) = admin.identity.projects(domain_id=domain.id)
    admin.compute.update_quota_set(project.id, cores=7)
    assert "0 to update" in tricenter("plan")
    assert "~ update quota compute.cores 7 → 20" in tricenter("plan", "--fresh")
    assert "~ update quota compute.cores 7 → 20" in tricenter("plan")  # the look before has told the memory

    # The site changes: whom a memory gives something to do is asked before it is planned.
    admin.compute.update_quota_set(project.id, cores=9)
    site.tenants[names[0]]["quota"]["compute"]["cores"] = 30
    site.write()
    assert "~ update quota compute.cores 9 → 30" in tricenter("apply", "--yes")
    sent.clear()
    out = tricenter("plan")
    assert "0 to create, 0 to update" in out
    assert len(sent) == counts[1]

    # What the cloud lacks is told once, and a conflict only where it is written for the tenant itself.
    assert [out.count(f"云上没有 {name}，{TENANTS} 家租户") for name in LACKING] == [1] * len(LACKING)
    site.tenants[names[0]]["quota"]["key_manager"] = {"secrets": 5}
    site.write()
    plan = json.loads(tricenter("plan", "--output", "json"))
    assert [each["text"].partition(":")[0] for each in plan["actions"]] == ["conflict quota key_manager"]
    assert "secrets is written for the tenant itself" in plan["actions"][0]["reason"]
    assert {each["service"]: each["tenants"] for each in plan["notes"]} == {
        name: TENANTS - (name == "key_manager") for name in LACKING
    }
