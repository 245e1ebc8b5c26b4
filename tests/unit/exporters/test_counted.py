"""What is counted while the server runs: from runs of a real ledger, dated as each test needs them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from sqlalchemy import update

from exporters.pulse import Counted
from orchestrator.catalogue import audit
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.records import Order, Point, RunState, WorkerRow
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import Unreachable
from policies.load import load_site

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DALIAN = Path(__file__).parents[3] / "examples" / "dalian"
AWAY = Unreachable("the vault of same-city at http://127.0.0.1:1 does not answer: refused")
NEAR, BOTH = ("vault:same-city", "tenant:x"), ("vault:same-city", "vault:provincial")


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    made = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    Ledger(made).enlist(WorkerRow("w", "worker", "host", 1, 1, "1", 1, NOON, NOON))
    yield made
    made.engine.dispose()


@pytest.fixture
def counted(catalogue: Catalogue) -> Counted:
    made = Counted(load_site(DALIAN))
    made.read(catalogue, NOON)
    return made


def end(
    catalogue: Catalogue,
    minute: float,
    *,
    slots: tuple[str, ...] = (),
    error: Exception | None = None,
    flow: str = "backup",
) -> str:
    """Let a run end so many minutes after noon, one minute after it began; return its id."""
    ledger = Ledger(catalogue)
    ledger.submit(Order(flow, f"a/{minute}", {}, slots))
    claim = ledger.claim("w", {})
    assert claim
    ledger.end(claim, RunState.FAILED if error else RunState.DONE, error=error)
    at = NOON + timedelta(minutes=minute)
    values = {"started_at": at - timedelta(minutes=1), "ended_at": at}
    with catalogue.engine.begin() as db:
        db.execute(update(t.runs).where(t.runs.c.id == claim.run.id).values(**values))
    return claim.run.id


def shown(counted: Counted) -> dict[tuple[str, tuple[str, ...]], float]:
    return {(metric.name, labels): value for metric, labels, value in counted.samples()}


def away(counted: Counted) -> dict[str, float]:
    seen = shown(counted)
    return {each: seen["tricenter_vault_unreachable", (each,)] for each in ("same-city", "provincial")}


def test_a_vault_that_did_not_answer_the_last_run_is_away_until_one_does_its_work_there(
    catalogue: Catalogue, counted: Counted
) -> None:
    assert away(counted) == {"same-city": 0, "provincial": 0}
    end(catalogue, 1, slots=BOTH)
    end(catalogue, 2, slots=BOTH, error=AWAY)
    counted.read(catalogue, NOON + timedelta(minutes=3))
    assert away(counted) == {"same-city": 1, "provincial": 0}
    end(catalogue, 4, slots=NEAR, error=ValueError("its own fault"))
    counted.read(catalogue, NOON + timedelta(minutes=5))
    assert away(counted)["same-city"] == 1
    end(catalogue, 6, slots=NEAR)
    counted.read(catalogue, NOON + timedelta(minutes=7))
    assert away(counted) == {"same-city": 0, "provincial": 0}


def test_a_backup_that_was_written_past_a_vault_is_no_answer_of_it(catalogue: Catalogue, counted: Counted) -> None:
    run = end(catalogue, 1, slots=NEAR)
    point = Point("p", run, "a", "b", "t", NOON, NOON, 1, 1, "d", (), bypassed=("same-city",))
    catalogue.add_point(point)
    counted.read(catalogue, NOON + timedelta(minutes=2))
    assert away(counted) == {"same-city": 1, "provincial": 0}


def test_what_ended_before_tells_of_vaults_and_is_not_counted(catalogue: Catalogue) -> None:
    end(catalogue, -5, slots=NEAR, error=AWAY)
    counted = Counted(load_site(DALIAN))
    counted.read(catalogue, NOON)
    assert away(counted)["same-city"] == 1
    assert shown(counted)["tricenter_runs_failed_total", ("Unreachable",)] == 0


def test_each_run_is_counted_once_however_often_it_is_seen(catalogue: Catalogue, counted: Counted) -> None:
    assert shown(counted)["tricenter_runs_failed_total", ("Fenced",)] == 0
    last = [end(catalogue, minute, error=ValueError("no")) for minute in (1, 2)][-1]
    for minute in (3, 4, 90):
        counted.read(catalogue, NOON + timedelta(minutes=minute))
    end(catalogue, 91, flow="drill")
    counted.read(catalogue, NOON + timedelta(minutes=92))
    assert shown(counted)["tricenter_runs_failed_total", ("ValueError",)] == 2
    buckets = {
        (sample.labels["flow"], sample.labels["le"]): sample
        for family in exposed(counted)
        for sample in family.samples
        if sample.name.endswith("_bucket")
    }
    assert buckets["backup", "30.0"].value == 0
    assert buckets["backup", "60.0"].value == buckets["backup", "+Inf"].value == 2
    assert buckets["drill", "+Inf"].value == 1
    assert buckets["backup", "60.0"].exemplar.labels == {"run": last}


def exposed(counted: Counted) -> list[object]:
    class Shows(Collector):
        def collect(self) -> Iterator[object]:
            return counted.families()

    registry = CollectorRegistry()
    registry.register(Shows())
    return list(text_string_to_metric_families(generate_latest(registry).decode()))


def test_a_changed_entry_of_the_audit_chain_is_seen(catalogue: Catalogue, counted: Counted) -> None:
    end(catalogue, 1)
    audit.seal(catalogue.engine, "sha256", wait=True)
    counted.read(catalogue, NOON)
    whole = shown(counted)
    assert whole["tricenter_audit_broken", ()] == 0
    assert whole["tricenter_audit_head_entries", ()] > 0
    with catalogue.engine.begin() as db:
        db.execute(update(t.audit).where(t.audit.c.number == 1).values(body='{"other": 1}'))
    for _ in range(2):
        counted.read(catalogue, NOON)
        assert shown(counted)["tricenter_audit_broken", ()] == 1
    walked = ("tricenter_audit_walked_timestamp_seconds", ())
    assert shown(counted)[walked] == whole[walked]


def test_a_long_chain_is_walked_a_stretch_at_a_time(
    catalogue: Catalogue, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minute in range(5):
        end(catalogue, minute)
    audit.seal(catalogue.engine, "sha256", wait=True)
    monkeypatch.setattr("orchestrator.catalogue.audit_check.AT_ONCE", 2)
    walked = ("tricenter_audit_walked_timestamp_seconds", ())
    before = shown(counted)[walked]
    with catalogue.engine.begin() as db:
        db.execute(update(t.audit).where(t.audit.c.number == 5).values(body='{"other": 1}'))
    seen = []
    for _ in range(3):
        counted.read(catalogue, NOON)
        seen.append(shown(counted)["tricenter_audit_broken", ()])
    assert seen == [0, 0, 1]
    assert shown(counted)[walked] == before
