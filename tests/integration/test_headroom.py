"""Whether all of production fits at the same-city cloud: its real hosts, and the real quota of a tenant there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from tests.integration.tenant_sites import TenantSite, purge

pytestmark = pytest.mark.integration


def system(number: int) -> dict[str, Any]:
    place = {"flavor": "m1.tiny", "network": "office", "address": f"10.77.1.{10 + number}", "security_groups": ["web"]}
    return {
        "title": {"zh": "网站", "en": "Web"},
        "tier": "remote-dr" if number else "same-city-dr",
        "sources": {"root": {"kind": "volume", "volume": f"root-{number}"}},
        "servers": {"web": {"boot": "root", **place}},
    }


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[TenantSite]:
    made = TenantSite(tmp_path, Path(lab.dir), Path(lab.clouds_file))
    name = made.add()
    made.tenants[name]["systems"] = {f"web-{number}": system(number) for number in range(2)}
    made.tenants[name]["quota"]["compute"] = {"instances": 2, "cores": 20}
    made.write()
    yield made
    for cloud in ("production", "same-city"):
        purge(made.admin(cloud), name)


def test_what_does_not_fit_is_shed_and_the_most_urgent_stays(
    site: TenantSite, capsys: pytest.CaptureFixture[str]
) -> None:
    (tenant,) = site.tenants

    def headroom(code: int) -> dict[str, Any]:
        capsys.readouterr()
        assert cli.run([*site.arguments[:-1], "plan", "headroom", "--output", "json"]) == code
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told

    assert cli.run([*site.arguments, "apply", "--yes", "--centre", "same-city"]) == 0
    found = headroom(0)
    assert found["fits"]
    assert (found["needed"]["instances"], found["needed"]["cores"]) == (2, 2)
    assert found["free"]["cores"] > 2
    assert found["free"]["ram"] > 1024

    site.tenants[tenant]["quota"]["compute"]["instances"] = 1
    site.write()
    assert cli.run([*site.arguments, "apply", "--yes", "--centre", "same-city"]) == 0
    found = headroom(4)
    assert not found["fits"]
    (shed,) = found["shed"]
    assert shed["lacking"] == ["quota instances"]
    assert [*found["kept"], shed["system"]] == [f"{tenant}/{each}" for each in urgent(site, tenant)]


def urgent(site: TenantSite, tenant: str) -> list[str]:
    """Return the systems, that with the shorter RTO at the centre first, as the site says it."""
    from orchestrator.app import App

    refs = App(site.folder / "site", site.folder / "overlay.yaml").systems(tenant)
    return [each.name for each in sorted(refs, key=lambda ref: ref.copies["same-city"].rto)]
