"""A hundred bureaus at a real cloud: applied, and planned again with as many requests as ten of them take."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from tests.integration.tenant_sites import TenantSite, purge
from tests.integration.test_tenant_memory import sent as sent  # every HTTP request, seen below the SDK

TENANTS, FEW = 100, 10


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[TenantSite]:
    made = TenantSite(tmp_path, lab.dir, lab.clouds_file)
    for number in range(TENANTS):
        made.tenants[made.add()]["networks"]["office"]["cidr"] = f"10.201.{number}.0/24"
    made.write()
    yield made
    for tenant in made.tenants:
        purge(made.admin("production"), tenant)


def test_a_plan_with_nothing_to_do_asks_no_more_for_a_hundred_than_for_ten(
    site: TenantSite, sent: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def tricenter(*words: str) -> Any:
        capsys.readouterr()
        code = cli.run([*site.arguments, *words, "--centre", "production", "--output", "json"])
        told = capsys.readouterr()
        assert code == 0, told.err
        return json.loads(told.out)

    assert tricenter("apply", "--yes")["summary"]["created"] > 20 * TENANTS
    counts = []
    for several in (sorted(site.tenants)[:FEW], sorted(site.tenants)):
        tricenter("plan", *several)
        sent.clear()
        assert tricenter("plan", *several)["actions"] == []
        counts.append(len(sent))
    assert counts[0] == counts[1], sent
