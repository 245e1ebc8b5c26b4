"""Rates of a vault on a real store: what is limited takes its time at least, says so, and a recovery does not wait."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.app import App
from orchestrator.vault.pace import Bandwidth, bandwidths
from orchestrator.vault.s3 import Bucket
from policies.bandwidth import BURST_BYTES, Rates
from tests.bench.servers import REGION, TENANT, TENANT_BUCKETS, Weed
from tests.integration.vault_site import CENTRES, VaultSite, make_vault_site, running_weeds

pytestmark = pytest.mark.integration

NEAR, FAR = CENTRES
MIB = 1 << 20
MEBIBYTES = 20
RATE = 8 * MIB
#: Both directions of both vaults, all day.
OVERLAY = f"""
centres:
  same-city: {{vault: {{bandwidth: [{{from: "00:00", to: "24:00", upload: {RATE >> 20}MiB/s}}]}}}}
  provincial: {{vault: {{bandwidth: [{{from: "00:00", to: "12:00", upload: {RATE >> 20}MiB/s}},
                                     {{from: "12:00", to: "24:00", upload: {RATE >> 20}MiB/s}}]}}}}
"""


@pytest.fixture(scope="module")
def weeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Weed]]:
    yield from running_weeds(tmp_path_factory.mktemp("weeds"))


@pytest.fixture(scope="module")
def site(weeds: dict[str, Weed], tmp_path_factory: pytest.TempPathFactory) -> VaultSite:
    """A site with MEBIBYTES that nothing compresses, and an overlay that limits both vaults."""
    made = make_vault_site(weeds, tmp_path_factory.mktemp("bandwidth"))
    made.overlay.write_text(OVERLAY, "utf-8")
    (made.tree / "scan").write_bytes(os.urandom(MEBIBYTES << 20))
    return made


def least_seconds(rate: int = RATE) -> float:
    return ((MEBIBYTES << 20) - BURST_BYTES) / rate


def do(site: VaultSite, flow: str, **arguments: str) -> tuple[float, dict[str, Any]]:
    """Run a flow within the rates, and return how long it took and what evidence it left of them."""
    app = App(site.folder, site.overlay)
    began = time.monotonic()
    try:
        app.runner.run(flow, {"system": str(site.ref), **arguments})
        took = time.monotonic() - began
        run = next(each for each in app.catalogue.runs() if each.flow == flow)
        return took, {each.step: each.detail for each in app.catalogue.attempts(run.id)}["bandwidth"]
    finally:
        app.runner.close()


def test_backup_and_replication_keep_to_the_rate_and_say_so_and_a_recovery_does_not(site: VaultSite) -> None:
    limited = {"upload": RATE, "download": None}
    took, told = do(site, "backup")
    # restic's own bucket begins full: with the rate of one second.
    assert took >= least_seconds() - 1
    assert told == {NEAR: limited, FAR: limited}
    took, told = do(site, "replicate", source=NEAR, target=FAR)
    assert took >= least_seconds()
    assert told == {NEAR: limited, FAR: limited}
    app = App(site.folder, site.overlay)
    assert app.limited().rates()[FAR] == Rates(RATE, None)
    assert app.limited().limited() is app.limited()
    assert app.rates() == {}, "what recovers is never held back"
    assert app.limited().catalogue is app.catalogue


def test_reading_is_held_back_as_writing_is_and_the_copy_is_whole(weeds: dict[str, Weed]) -> None:
    bucket, keys = TENANT_BUCKETS[1], [f"x/data/{number}" for number in range(4)]
    near = Bucket(NEAR, weeds[NEAR].endpoint, REGION, bucket, TENANT)
    weeds[NEAR].admin().ensure_bucket(bucket, lock_days=0)
    data = {key: os.urandom(5 * MIB) for key in keys}
    for key, content in data.items():
        near.put(key, content)
    way = Bandwidth(lambda: Rates(None, RATE))
    slow = Bucket(NEAR, weeds[NEAR].endpoint, REGION, bucket, TENANT, bandwidth=way)
    began = time.monotonic()
    assert {key: slow.get(key) for key in keys} == data
    assert time.monotonic() - began >= least_seconds()


def test_the_profile_of_a_site_is_read_in_its_own_time(site: VaultSite) -> None:
    ways = bandwidths(App(site.folder, site.overlay).site)
    assert ways.keys() == {NEAR, FAR}
    assert ways[NEAR].rates() == Rates(RATE, None)
    assert bandwidths(site.app.site) == {}
