"""What the metrics read, on a real PostgreSQL: its sums are decimals, its clock is its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporters.collector import TricenterCollector
from orchestrator.catalogue import audit, verifications
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.records import Order, Point, RunState, WorkerRow
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import Unreachable
from policies.load import load_site
from policies.verification import Slice

pytestmark = pytest.mark.integration

DALIAN = Path(__file__).parents[2] / "examples" / "dalian"
TENANT, SYSTEM = "natural-resources", "land-registry"


@pytest.fixture
def catalogue(postgresql_url: str) -> Iterator[Catalogue]:
    made = Catalogue(postgresql_url)
    yield made
    made.engine.dispose()


def test_a_scrape_shows_what_a_file_would(catalogue: Catalogue) -> None:
    now = datetime.now(UTC)
    ledger = Ledger(catalogue)
    ledger.enlist(WorkerRow("w", "worker", "host", 1, 1, "1", 1, now, now))
    ledger.submit(Order("backup", f"{TENANT}/{SYSTEM}", {}, ("vault:same-city",)))
    claim = ledger.claim("w", {})
    assert claim
    away = Unreachable("the vault of same-city at http://127.0.0.1:1 does not answer: refused")
    ledger.end(claim, RunState.FAILED, error=away)
    audit.seal(catalogue.engine, "sha256", wait=True)
    site, here = load_site(DALIAN), Key(TENANT, SYSTEM, "same-city")
    catalogue.register_systems((ref.tenant.tenant, ref.name) for ref in site.systems())
    catalogue.add_point(Point("p", "r", TENANT, SYSTEM, "remote-dr", now, now, 3 << 40, 9, "document", ()))
    catalogue.set_landings("same-city", TENANT, SYSTEM, {"p": now})
    old, day = now - timedelta(days=40), timedelta(days=1)
    slices = [Slice("3", 1, 1 << 40, old, now - day), Slice("4", 1, 1 << 40, old, None)]
    verifications.keep_slices(catalogue, here, slices)

    registry = CollectorRegistry()
    registry.register(TricenterCollector(site, catalogue))
    shown = {
        sample.name: sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
        if sample.labels.get("system", SYSTEM) == SYSTEM and sample.labels.get("centre", "same-city") == "same-city"
    }
    assert shown["tricenter_vault_unreachable"] == 1
    assert shown["tricenter_deduplication_ratio"] == 1.5
    assert shown["tricenter_data_read_ratio"] == 0.5
    assert shown["tricenter_stored_bytes"] == 2 << 40
    assert shown["tricenter_audit_head_entries"] > 0
    assert shown["tricenter_audit_broken"] == 0
    assert abs(shown["tricenter_clock_skew_seconds"]) < 5
    assert shown["tricenter_view_errors_total"] == 0
