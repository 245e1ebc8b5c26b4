"""A change of a quota on real clouds: approved by another person, written, applied; never below what is used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.tenants import quota_commands
from orchestrator.tenants.tenant_text import loaded
from tests.integration.tenant_sites import TenantSite, purge

pytestmark = pytest.mark.integration

#: Does what is told as a person, and returns the exit code and all that was said.
Tricenter = Callable[..., tuple[int, str]]


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[TenantSite]:
    made = TenantSite(tmp_path, lab.dir, lab.clouds_file)
    made.add()
    made.write()
    yield made
    for cloud in ("production", "same-city"):
        purge(made.admin(cloud), *made.tenants)


@pytest.fixture
def tricenter(site: TenantSite, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tricenter:
    def run(person: str, *arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(quota_commands, "login_name", lambda: f"{person}@desk")
        capsys.readouterr()
        code = cli.run([*site.arguments, *arguments])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def test_a_quota_is_raised_by_two_people_and_never_below_what_is_used(site: TenantSite, tricenter: Tricenter) -> None:
    (tenant,) = site.tenants
    file = site.folder / "site" / "tenants" / f"{tenant}.yaml"
    code, out = tricenter("li", "apply", "--yes")
    assert code in (0, 3), out

    assert "did you mean" in tricenter("li", "quota", "ask", tenant, "--set", "compute.core=9", "--reason", "x")[1]
    more = ("--set", "compute.cores=24", "--set", "network.routers=unlimited", "--reason", "扩容")
    assert tricenter("li", "quota", "ask", tenant, *more, "--dry-run")[0] == 0
    code, out = tricenter("li", "quota", "ask", tenant, *more, "--output", "json")
    assert code == 0, out
    change = json.loads(out[out.index("{") : out.rindex("}") + 1])["id"]
    assert tricenter("li", "quota", "ask", tenant, *more)[0] == 5
    assert tricenter("li", "quota", "approve", change)[0] == 5
    assert tricenter("li", "quota", "apply", change, "--yes")[0] == 5
    before = file.read_text()
    assert tricenter("wang", "quota", "approve", change, "--message", "同意")[0] == 0
    assert tricenter("wang", "quota", "apply", change, "--dry-run")[0] == 0
    assert file.read_text() == before

    for _ in range(2):  # and again, which changes nothing
        code, out = tricenter("wang", "quota", "apply", change, "--yes")
        assert code == 0, out
    for cloud in ("production", "same-city"):
        admin = site.admin(cloud)
        project = next(each for each in admin.identity.projects() if each.name == tenant)
        assert admin.compute.get_quota_set(project.id).cores == 24
        assert admin.network.get_quota(project.id).routers == -1
    assert loaded(file.read_text())["quota"]["compute"] == {"instances": 3, "cores": 24}

    fewer = ("--set", "network.networks=0", "--reason", "收回")
    code, out = tricenter("li", "quota", "ask", tenant, *fewer, "--output", "json")
    assert code == 0, out  # nobody has looked yet at what is in use
    change = json.loads(out[out.index("{") : out.rindex("}") + 1])["id"]
    assert tricenter("wang", "quota", "approve", change)[0] == 0
    code, out = tricenter("wang", "quota", "apply", change, "--yes")
    assert code != 0
    assert "network.networks: 0 wanted, 1 in use at production" in out
    assert loaded(file.read_text())["quota"]["network"]["networks"] == 2
    assert tricenter("wang", "quota", "reject", change, "--reason", "在用")[0] == 0
    code, out = tricenter("wang", "quota", "history", tenant, "--output", "json")
    assert [each["state"] for each in json.loads(out)] == ["rejected", "applied"], out
