"""Applies while a cloud answers wrongly, late or not at all: each ends done or clearly in part; nothing is twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from tests.integration.fault_proxy import KINDS, Faults
from tests.integration.fault_rounds import Run, rounds
from tests.integration.tenant_sites import TenantSite, purge

pytestmark = pytest.mark.integration

SEED = 39
FAULTS = 18


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[TenantSite]:
    made = TenantSite(tmp_path, lab.dir, lab.clouds_file)
    made.add()
    made.write()
    yield made
    for tenant in made.tenants:
        purge(made.admin("production"), tenant)


@pytest.fixture
def run(site: TenantSite, capsys: pytest.CaptureFixture[str]) -> Run:
    def tricenter(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.run([*site.arguments, *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return tricenter


def test_applies_end_well_or_clearly_whatever_goes_wrong(site: TenantSite, run: Run) -> None:
    (tenant,) = site.tenants
    faults = Faults(SEED, every=6, limit=FAULTS)
    story = rounds(site, tenant, run, faults, FAULTS)
    assert set(faults.happened) == set(KINDS)
    print(f"{len(story)} applies, {dict(faults.happened)}", *story, sep="\n")
