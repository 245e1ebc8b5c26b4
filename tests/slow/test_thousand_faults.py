"""A thousand seeded faults between the program and a real cloud: every apply ends done, or clearly in part."""

from __future__ import annotations

import pytest

from tests.integration.fault_proxy import KINDS, Faults
from tests.integration.fault_rounds import Run, rounds
from tests.integration.tenant_sites import TenantSite
from tests.integration.test_tenant_faults import run as run  # the fixtures of the short test
from tests.integration.test_tenant_faults import site as site

FAULTS, AT_ONCE = 1000, 25

#: Some faults are waits: what hangs is ended by the deadlines of the program itself.
pytestmark = pytest.mark.timeout(3600)


@pytest.mark.parametrize("seed", range(FAULTS // AT_ONCE))
def test_a_part_of_a_thousand_faults_leave_nothing_twice_and_nothing_behind(
    site: TenantSite, run: Run, seed: int
) -> None:
    (tenant,) = site.tenants
    faults = Faults(seed, every=6, limit=AT_ONCE)
    story = rounds(site, tenant, run, faults, AT_ONCE)
    assert sum(faults.happened.values()) >= AT_ONCE
    assert set(faults.happened) <= set(KINDS)
    print(f"seed {seed}: {len(story)} applies, {dict(faults.happened)}")
