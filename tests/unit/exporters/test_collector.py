"""The collector over a real site and a real catalogue, read back by Prometheus' own parser."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from exporters import collector as module
from exporters.archive_metrics import ARCHIVES
from exporters.collector import TricenterCollector
from exporters.engine_metrics import AUDIT_UNSEALED, RUN_DURATION, VAULT_ANSWERED
from exporters.metrics import METRICS, PLAN_STATES
from exporters.notice_metrics import NOTICES
from orchestrator.catalogue import audit, keys, verifications
from orchestrator.catalogue.drifts import record_drift
from orchestrator.catalogue.epochs import adopt
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.lives import Life, change_life
from orchestrator.catalogue.locks import Locks, record_locks
from orchestrator.catalogue.parities import record_parities
from orchestrator.catalogue.plans import PlanCheck, record_plan_check
from orchestrator.catalogue.quota_changes import ask_quota_change
from orchestrator.catalogue.quota_uses import QuotaUse, record_quota_uses
from orchestrator.catalogue.records import DrillRow, Order, Outcome, Point, RunState, WorkerRow
from orchestrator.catalogue.spot_checks import SpotCheck, record_spot_check
from orchestrator.catalogue.store import Catalogue
from orchestrator.process import Child
from policies.epoch import SEATS, Place, Record
from policies.life import LifeState
from policies.load import load_site
from policies.parity import Parity
from policies.plan_digest import plan_digest
from policies.quota_change import Difference
from policies.site import Site
from policies.spot import Compared
from policies.verification import Slice

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TENANT, SYSTEM = "natural-resources", "land-registry"
LABELS = {"tenant": TENANT, "system": SYSTEM, "tier": "remote-dr", "centre": "same-city"}

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


DALIAN = Path(__file__).parents[3] / "examples" / "dalian"


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(DALIAN)


@pytest.fixture
def catalogue(tmp_path: Path, site: Site) -> Iterator[Catalogue]:
    made = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    made.register_systems((ref.tenant.tenant, ref.name) for ref in site.systems())
    yield made
    made.engine.dispose()


@pytest.fixture
def registry(site: Site, catalogue: Catalogue) -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(TricenterCollector(site, catalogue, clock=lambda: NOW))
    return made


@pytest.fixture(autouse=True)
def every_scrape_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked here is what is shown, not how soon: a busy neighbour is no failure."""
    monkeypatch.setattr(module, "BRIEFLY", 60.0)
    monkeypatch.setattr(module, "PATIENCE", 60.0)


@pytest.fixture
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BOARD_EVERY", 0.0)
    monkeypatch.setattr(module, "COUNTS_EVERY", 0.0)
    monkeypatch.setattr(module, "SHARE", 1.0)


def record_history(catalogue: Catalogue) -> None:
    data = NOW - timedelta(minutes=10)
    catalogue.add_point(Point("point-1", "run-1", TENANT, SYSTEM, "remote-dr", data, data, 10**9, 9, "document", ()))
    catalogue.set_landings("same-city", TENANT, SYSTEM, {"point-1": data + timedelta(minutes=1)})
    catalogue.record_tenant(TENANT, "same-city", writes=1, pending=3)
    record_upkeep(catalogue)
    record_uses(catalogue)
    record_parities(catalogue, "same-city", [(TENANT, Parity(0.75, ("missing: network office",)))], NOW)
    record_drift(catalogue, TENANT, "same-city", {"rule": 2}, {"rule": 1})
    ask_quota_change(catalogue, TENANT, {}, [], "li@desk", "more")
    fault = Compared("scans", "path", 9, 0, 0, 0, ("9 of 9 files of the point are not there: a, b, c, …",))
    record_spot_check(catalogue, SpotCheck(TENANT, SYSTEM, "point-1", NOW, NOW, (fault,)))
    record_keys(catalogue)
    for number, seconds in enumerate((60.0, 90.0, 120.0)):
        add_drill(catalogue, f"drill-{number}", NOW - timedelta(days=2 - number, hours=1), seconds)
    record_plan_check(catalogue, PlanCheck("land-registry", "same-city", "restore", "run", NOW, 2, 1, ({"name": "x"},)))
    ledger = Ledger(catalogue)
    ledger.enlist(WorkerRow("w", "worker", "host", 1, 1, "1", 1, NOW, NOW))
    for error in (None, ZeroDivisionError("division by zero")):
        ledger.submit(Order("backup", "a/b", {}, ()))
        claim = ledger.claim("w", {})
        assert claim
        attempt = ledger.start_attempt(claim, "look")
        ledger.end_attempt(claim, attempt, Outcome.FAILED if error else Outcome.PASSED, error=error)
        ledger.end(claim, RunState.FAILED if error else RunState.DONE, error=error)
    ledger.submit(Order("backup", "a/waits", {}, ()))
    audit.seal(catalogue.engine, "sha256", wait=True)
    moved = {f"{TENANT}/{SYSTEM}": Place("same-city", 10)}
    adopt(catalogue, [Record(10, "p", moved, tuple(moved), "", "a", "b", NOW, "run", ())])


def add_drill(catalogue: Catalogue, name: str, ended_at: datetime, seconds: float, digest: str | None = None) -> None:
    catalogue.add_drill(
        DrillRow(
            id=name,
            plan="land-registry",
            tenant=TENANT,
            system=SYSTEM,
            centre="same-city",
            kind="restore",
            point_id="point-1",
            started_at=ended_at - timedelta(hours=1),
            ended_at=ended_at,
            verdict="met",
            rpo_seconds=60.0,
            rto_seconds=seconds,
            stages={"restore": seconds - 30, "verify": 30.0},
            restored_bytes=10**9,
            report=None,
            plan_digest=digest,
        )
    )


def record_uses(catalogue: Catalogue) -> None:
    uses = [
        QuotaUse(TENANT, "same-city", "compute", "ram", 512, 2048),
        QuotaUse(TENANT, "same-city", "network", "ports", 7, None),
        QuotaUse("gone", "same-city", "compute", "ram", 1, 2),
    ]
    record_quota_uses(catalogue, "same-city", uses, NOW - timedelta(hours=2))


def test_drift_is_by_noun_and_what_was_healed_adds_up(registry: CollectorRegistry, catalogue: Catalogue) -> None:
    record_drift(catalogue, TENANT, "same-city", {"rule": 2, "quota": 1})
    record_drift(catalogue, TENANT, "same-city", {"quota": 1}, {"rule": 2})
    record_drift(catalogue, TENANT, "same-city", {}, {"rule": 1})
    record_drift(catalogue, "gone", "same-city", {"rule": 9})
    series = scrape(registry)
    here = {"tenant": TENANT, "centre": "same-city"}
    assert value(series, "tricenter_tenant_drift", **here, noun="rule") == 0
    assert value(series, "tricenter_tenant_drift", **here, noun="quota") == 0
    assert value(series, "tricenter_tenant_drift_healed_total", **here, noun="rule") == 3
    assert {dict(labels)["tenant"] for name, labels in series if name.startswith("tricenter_tenant_drift")} == {TENANT}


def test_use_of_quotas_is_in_bytes_and_of_the_site_s_tenants(registry: CollectorRegistry, catalogue: Catalogue) -> None:
    record_uses(catalogue)
    record_uses(catalogue)
    series = scrape(registry)
    here = {"tenant": TENANT, "centre": "same-city"}
    assert value(series, "tricenter_tenant_quota_used", **here, service="compute", resource="ram") == 512 << 20
    assert value(series, "tricenter_tenant_quota_limit", **here, service="compute", resource="ram") == 2048 << 20
    assert value(series, "tricenter_tenant_quota_used", **here, service="network", resource="ports") == 7
    seen = (NOW - timedelta(hours=2)).timestamp()
    assert value(series, "tricenter_tenant_quota_seen_timestamp_seconds", **here) == seen
    told = [(name, dict(labels)) for name, labels in series if name.startswith("tricenter_tenant_quota")]
    assert len(told) == 4, "an unlimited quota has no limit, and a tenant that is gone no quota"
    assert {labels["tenant"] for _, labels in told} == {TENANT}


def test_parity_is_that_of_the_last_look_and_of_the_site_s_tenants(
    registry: CollectorRegistry, catalogue: Catalogue
) -> None:
    record_parities(catalogue, "same-city", [(TENANT, Parity(0.5, ("x",))), ("gone", Parity(0.1, ()))], NOW)
    record_parities(catalogue, "same-city", [(TENANT, Parity(1.0, ()))], NOW)
    series = scrape(registry)
    assert value(series, "tricenter_tenant_parity_ratio", tenant=TENANT, centre="same-city") == 1
    assert len([name for name, _ in series if name == "tricenter_tenant_parity_ratio"]) == 1


def test_how_tenants_stand_and_what_waits_is_counted(
    registry: CollectorRegistry, catalogue: Catalogue, site: Site
) -> None:
    change_life(catalogue, Life(TENANT, LifeState.SUSPENDED, NOW, "li@desk", "rent"))
    ask_quota_change(catalogue, TENANT, {"compute.cores": 9}, [Difference("compute.cores", 4, 9)], "li@desk", "more")
    series = scrape(registry)
    assert value(series, "tricenter_tenants", state="suspended") == 1
    assert value(series, "tricenter_tenants", state="active") == len(site.tenants) - 1
    assert value(series, "tricenter_tenants", state="gone") == 0
    assert value(series, "tricenter_tenant_changes_waiting", kind="quota", state="asked") == 1
    assert value(series, "tricenter_tenant_changes_waiting", kind="request", state="approved") == 0
    since = [labels for name, labels in series if name == "tricenter_tenant_changes_waiting_since_timestamp_seconds"]
    assert [dict(each) for each in since] == [{"kind": "quota", "state": "asked"}]


def record_keys(catalogue: Catalogue) -> None:
    keys.record_bundle(catalogue, keys.BundleAt("provincial", "k", NOW - timedelta(hours=1), 9, "0" * 64, 2))
    keys.record_checks(catalogue, [keys.EscrowCheck(NOW, "provincial", "k", NOW, ("a", "b"))], "me")
    keys.record_password(catalogue, TENANT, "provincial", NOW - timedelta(days=1), 3)
    keys.record_access(catalogue, TENANT, "provincial", NOW - timedelta(days=9))
    keys.record_access(catalogue, TENANT, "provincial", NOW - timedelta(days=2))


def test_keys_and_their_escrow_are_shown_beside_what_is_asked_of_them(
    registry: CollectorRegistry, catalogue: Catalogue
) -> None:
    before = scrape(registry)
    assert value(before, "tricenter_escrow_checked_timestamp_seconds") == 0
    assert value(before, "tricenter_escrow_bundle_timestamp_seconds", centre="provincial") == 0
    record_keys(catalogue)
    other = CollectorRegistry()
    other.register(TricenterCollector(load_site(DALIAN), catalogue, clock=lambda: NOW))
    series = scrape(other)
    assert value(series, "tricenter_escrow_checked_timestamp_seconds") == NOW.timestamp()
    assert value(series, "tricenter_escrow_check_objective_seconds") == timedelta(days=180).total_seconds()
    hour_ago = (NOW - timedelta(hours=1)).timestamp()
    assert value(series, "tricenter_escrow_bundle_timestamp_seconds", centre="provincial") == hour_ago
    assert value(series, "tricenter_escrow_bundle_timestamp_seconds", centre="same-city") == 0
    assert value(series, "tricenter_escrow_bundle_missing_secrets", centre="provincial") == 2
    asked = value(series, "tricenter_key_checked_timestamp_seconds", centre="provincial", tenant=TENANT)
    assert asked == (NOW - timedelta(days=1)).timestamp()
    opened = value(series, "tricenter_key_access_timestamp_seconds", centre="provincial", tenant=TENANT)
    assert opened == (NOW - timedelta(days=2)).timestamp()


def record_upkeep(catalogue: Catalogue) -> None:
    here, day = Key(TENANT, SYSTEM, "same-city"), timedelta(days=1)
    verifications.record_verification(catalogue, verifications.Verified(here, "structure", NOW - day, NOW - day / 2), 9)
    verifications.keep_slices(catalogue, here, [Slice("3", 1, 9, NOW - 9 * day, NOW - 3 * day)])
    fault = verifications.Fault("key", verifications.Kind.CORRUPT, "its content does not match its name")
    verifications.record_faults(catalogue, here, [fault], NOW - day)
    lost = verifications.Fault("lost", verifications.Kind.MISSING, "snapshot of a recovery point")
    verifications.record_faults(catalogue, here, [lost], NOW - day)
    verifications.record_healed(catalogue, here, "lost", verifications.Good("provincial", "a" * 64, 9), NOW, by="run")
    verifications.record_expiry(catalogue, here, ran_at=NOW - 2 * day)
    record_locks(catalogue, Locks(here, NOW - day, NOW + 9 * day, 7, 2, 0, 1), {})
    far = Key(TENANT, SYSTEM, "provincial")
    record_locks(catalogue, Locks(far, NOW - day, None, 7, 2, 1, 0), {})


def test_a_plan_has_one_state_at_each_centre(registry: CollectorRegistry, catalogue: Catalogue, site: Site) -> None:
    record_history(catalogue)
    digest = plan_digest(site, site.plans["land-registry"])
    add_drill(catalogue, "now", NOW - timedelta(minutes=1), 90.0, digest)
    series = scrape(registry)
    here = {"plan": "land-registry", "centre": "same-city"}
    states = {each: value(series, "tricenter_plan_state", **here, state=each) for each in PLAN_STATES}
    assert states == {"needs-verify": 0, "verified": 1, "failed": 0}
    far = {"plan": "land-registry", "centre": "provincial", "state": "needs-verify"}
    assert value(series, "tricenter_plan_state", **far) == 1
    every = site.tiers["remote-dr"].drill.every
    due = (NOW - timedelta(minutes=1) + every).timestamp()
    assert value(series, "tricenter_plan_due_timestamp_seconds", **here) == due
    assert value(series, "tricenter_plan_check_failed_items", **here, kind="restore") == 2
    assert value(series, "tricenter_plan_check_warned_items", **here, kind="restore") == 1
    assert value(series, "tricenter_plan_check_timestamp_seconds", **here, kind="restore") == NOW.timestamp()


def test_estimates_are_held_against_what_was_measured(registry: CollectorRegistry, catalogue: Catalogue) -> None:
    record_history(catalogue)
    series = scrape(registry)
    # The drills before the last took 60 s and 90 s, and so 75 s were expected; it took 120 s.
    assert value(series, "tricenter_rto_estimate_error_ratio", **LABELS) == pytest.approx((75 - 120) / 120)
    assert value(series, "tricenter_rto_estimated_seconds", **LABELS) == pytest.approx(90)
    assert value(series, "tricenter_restore_trend_ratio", **LABELS) == pytest.approx(1 / 3)


def test_upkeep_is_shown_with_its_objective(registry: CollectorRegistry, catalogue: Catalogue) -> None:
    record_upkeep(catalogue)
    series, day = scrape(registry), timedelta(days=1)
    far = {**LABELS, "centre": "provincial"}
    assert value(series, "tricenter_data_unread_timestamp_seconds", **LABELS) == (NOW - 3 * day).timestamp()
    assert value(series, "tricenter_data_read_objective_seconds", **LABELS) == timedelta(days=28).total_seconds()
    assert value(series, "tricenter_retention_last_timestamp_seconds", **LABELS) == (NOW - 2 * day).timestamp()
    last = value(series, "tricenter_verification_last_timestamp_seconds", **LABELS, kind="structure")
    assert last == (NOW - day / 2).timestamp()
    assert value(series, "tricenter_lock_floor_timestamp_seconds", **LABELS) == (NOW + 9 * day).timestamp()
    assert value(series, "tricenter_lock_floor_timestamp_seconds", **far) == 0  # an object is not locked at all
    assert value(series, "tricenter_lock_objective_seconds", **LABELS) == 7 * day.total_seconds()
    assert value(series, "tricenter_lock_overwritten_objects", **LABELS) == 1
    assert value(series, "tricenter_lock_measured_timestamp_seconds", **LABELS) == (NOW - day).timestamp()
    assert value(series, "tricenter_findings_open", **LABELS) == 1
    assert value(series, "tricenter_findings_open", **far) == 0
    assert value(series, "tricenter_objects_healed_total", **LABELS) == 1
    assert value(series, "tricenter_objects_healed_total", **far) == 0
    assert value(series, "tricenter_objects_healed_last_timestamp_seconds", **LABELS) == NOW.timestamp()


def scrape(registry: CollectorRegistry) -> Series:
    families = list(parse(generate_latest(registry).decode()))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value for each in families for sample in each.samples
    }


def value(series: Series, name: str, **labels: str) -> float:
    return series[(name, frozenset(labels.items()))]


def names(series: Series) -> set[str]:
    return {name for name, _ in series}


def test_exposition_has_each_metric_of_the_list_and_no_other(registry: CollectorRegistry, catalogue: Catalogue) -> None:
    record_history(catalogue)
    with catalogue.engine.begin() as db:
        db.exec_driver_sql("UPDATE landings SET proved_at = '2026-11-23 11:59:00.000000'")
    series = scrape(registry)
    # The example has no archives and no channels, and no run here worked on a vault: those have tests of their own.
    absent = (*ARCHIVES, *NOTICES, VAULT_ANSWERED, AUDIT_UNSEALED, RUN_DURATION)
    shown = {each.name for each in METRICS if each not in absent}
    assert names(series) == shown | {f"{RUN_DURATION.name}_{part}" for part in ("bucket", "count", "sum")}
    for each in METRICS:
        for name, labels in series:
            if name == each.name:
                assert {key for key, _ in labels} == set(each.labels), name


def test_values(registry: CollectorRegistry, catalogue: Catalogue) -> None:
    record_history(catalogue)
    series = scrape(registry)
    assert value(series, "tricenter_rpo_actual_seconds", **LABELS) == 600
    assert value(series, "tricenter_rpo_objective_seconds", **LABELS) == 3600
    assert value(series, "tricenter_points", **LABELS) == 1
    last = (NOW - timedelta(minutes=10)).timestamp()
    assert value(series, "tricenter_point_last_data_timestamp_seconds", **LABELS) == last
    assert value(series, "tricenter_point_last_landed_timestamp_seconds", **LABELS) == last + 60
    drill = {**LABELS, "plan": "land-registry", "kind": "restore"}
    assert value(series, "tricenter_rto_measured_seconds", **drill, stage="total") == 120
    assert value(series, "tricenter_rto_measured_seconds", **drill, stage="verify") == 30
    assert value(series, "tricenter_drill_last_timestamp_seconds", **drill) == NOW.timestamp() - 3600
    assert value(series, "tricenter_drill_verdict", **LABELS, verdict="met") == 1
    assert value(series, "tricenter_drill_verdict", **LABELS, verdict="never") == 0
    assert value(series, "tricenter_protection_verdict", **LABELS, verdict="met") == 1
    assert value(series, "tricenter_runs", flow="backup", state="done") == 1
    assert value(series, "tricenter_runs", flow="backup", state="failed") == 1
    assert value(series, "tricenter_attempts_failed", error_type="ZeroDivisionError") == 1
    assert value(series, "tricenter_tenant_pending_actions", tenant=TENANT, centre="same-city") == 3
    assert value(series, "tricenter_view_timestamp_seconds") == NOW.timestamp()
    assert value(series, "tricenter_view_errors_total") == 0
    far = {**LABELS, "centre": "provincial"}
    assert value(series, "tricenter_replication_lag_seconds", **LABELS) == 0
    assert value(series, "tricenter_replication_lag_seconds", **far) == value(
        series, "tricenter_rpo_actual_seconds", **far
    )
    assert value(series, "tricenter_stored_bytes", **LABELS) == 9
    assert value(series, "tricenter_stored_objects", **LABELS) == 1
    assert value(series, "tricenter_deduplication_ratio", **LABELS) == 10**9 / 9
    assert value(series, "tricenter_data_read_ratio", **LABELS) == 1  # read 3 days ago, of 28
    assert value(series, "tricenter_queue_runs") == 1
    assert value(series, "tricenter_epoch") == 10
    active = {each: value(series, "tricenter_system_active", **{**LABELS, "centre": each}) for each in SEATS}
    assert active == {"production": 0, "same-city": 1, "provincial": 0}
    assert value(series, "tricenter_audit_head_entries") > 0
    assert value(series, "tricenter_audit_broken") == 0
    assert value(series, "tricenter_vault_unreachable", centre="same-city") == 0


def test_before_anything_happened_all_that_must_alert_is_there(registry: CollectorRegistry, site: Site) -> None:
    series = scrape(registry)
    assert names(series) == {each.name for each in METRICS if each.always and each not in NOTICES}
    rows = sum(len(ref.copies) for ref in site.systems())
    assert sum(name == "tricenter_rpo_actual_seconds" for name, _ in series) == rows
    assert value(series, "tricenter_points", **LABELS) == 0
    assert value(series, "tricenter_drill_verdict", **LABELS, verdict="never") == 1
    assert value(series, "tricenter_protection_verdict", **LABELS, verdict="never") == 1
    assert not [each for each in series.values() if each != each], "no NaN"


def test_promtool_finds_no_fault(registry: CollectorRegistry, catalogue: Catalogue, tmp_path: Path) -> None:
    record_history(catalogue)
    with (tmp_path / "metrics").open("w+b") as scraped:
        scraped.write(generate_latest(registry))
        scraped.seek(0)
        with Child(["promtool", "check", "metrics"], stdin=scraped) as child:
            said = child.read().decode()
            assert (child.wait(30), child.stderr + said) == (0, "")


def test_openmetrics_parses(registry: CollectorRegistry, catalogue: Catalogue) -> None:
    record_history(catalogue)
    families = list(parse_openmetrics(generate_openmetrics(registry).decode()))
    assert {each.name for each in families} >= {"tricenter_rpo_actual_seconds", "tricenter_view_errors"}


def test_registering_reads_nothing(site: Site, tmp_path: Path) -> None:
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'gone.sqlite'}")
    catalogue.engine.dispose()
    (tmp_path / "gone.sqlite").unlink()
    collector = TricenterCollector(site, catalogue)
    CollectorRegistry().register(collector)
    assert {each.name for each in collector.describe()} >= {"tricenter_points", "tricenter_view_errors"}
    assert not (tmp_path / "gone.sqlite").exists()


def test_last_good_view_is_shown_when_the_catalogue_disappears(
    no_pace: None, registry: CollectorRegistry, catalogue: Catalogue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record_history(catalogue)
    before = scrape(registry)
    catalogue.engine.dispose()
    file = tmp_path / "catalogue.sqlite"
    kept = file.read_bytes()
    file.unlink()
    with caplog.at_level(logging.WARNING):
        after = scrape(registry)
        scrape(registry)
    assert value(after, "tricenter_view_errors_total") == 1
    assert "does not answer" in caplog.text
    error = ("tricenter_view_errors_total", frozenset[tuple[str, str]]())
    assert {**after, error: 0.0} == before
    file.write_bytes(kept)
    healed = scrape(registry)
    assert value(healed, "tricenter_view_errors_total") == 2
    assert names(healed) == names(before)


def test_catalogue_that_never_answered_leaves_the_errors_to_see(site: Site, tmp_path: Path) -> None:
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'gone.sqlite'}")
    catalogue.engine.dispose()
    (tmp_path / "gone.sqlite").write_bytes(b"no database at all, but a text of some length" * 50)
    registry = CollectorRegistry()
    registry.register(TricenterCollector(site, catalogue))
    series = scrape(registry)
    assert names(series) == {"tricenter_build_info", "tricenter_view_errors_total"}
    assert value(series, "tricenter_view_errors_total") == 1


def test_view_is_read_once_for_scrapes_in_quick_succession(registry: CollectorRegistry, catalogue: Catalogue) -> None:
    assert value(scrape(registry), "tricenter_points", **LABELS) == 0
    record_history(catalogue)
    began = time.monotonic()
    assert value(scrape(registry), "tricenter_points", **LABELS) == 0
    assert time.monotonic() - began < module.BOARD_EVERY


def test_new_points_are_seen_after_the_pace(no_pace: None, registry: CollectorRegistry, catalogue: Catalogue) -> None:
    scrape(registry)
    record_history(catalogue)
    assert value(scrape(registry), "tricenter_points", **LABELS) == 1
