"""The counts, from runs and attempts that the catalogue really recorded."""

from __future__ import annotations

from small_town import SYSTEM, TENANT, Town, ago

from orchestrator.catalogue.activity import read_activity
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.ledger import Claim, Ledger
from orchestrator.catalogue.records import Order, Outcome, RunState, WorkerRow


def begin(ledger: Ledger, flow: str, subject: str = "a/b") -> Claim:
    ledger.submit(Order(flow, subject, {}, ()))
    claim = ledger.claim("w", {})
    assert claim
    return claim


def test_counts_runs_failures_points_and_tenants(town: Town) -> None:
    ledger = Ledger(town.catalogue)
    ledger.enlist(WorkerRow("w", "worker", "host", 1, 1, "1", 1, ledger.clock(), ledger.clock()))
    for _ in range(2):
        ledger.end(begin(ledger, "backup"), RunState.DONE)
    failing = begin(ledger, "drill")
    error = ZeroDivisionError("division by zero")
    ledger.end_attempt(failing, ledger.start_attempt(failing, "divide"), Outcome.FAILED, error=error)
    ledger.end(failing, RunState.FAILED, error=error)
    ledger.wait_begin(begin(ledger, "drill"), "approval")
    begin(ledger, "drill", "c/d")
    ledger.submit(Order("drill", "e/f", {}, ()))
    town.created(ago(hours=3))
    town.point(ago(hours=2), {"same-city": ago(hours=2), "provincial": ago(hours=1)})
    town.point(ago(hours=1), {"same-city": ago(hours=1)})
    town.catalogue.record_tenant(TENANT, "same-city", writes=4, pending=2)

    seen = read_activity(town.catalogue)
    assert seen.runs[("backup", RunState.DONE)] == 2
    assert seen.runs[("backup", RunState.FAILED)] == 0
    for state in (RunState.FAILED, RunState.WAITING, RunState.RUNNING, RunState.QUEUED):
        assert seen.runs[("drill", state)] == 1
    assert len(seen.runs) == 2 * len(RunState)
    assert seen.failures == {"ZeroDivisionError": 1}
    assert seen.workers == {"server": 0, "worker": 1, "one-shot": 0}
    assert seen.queued_since == town.catalogue.runs(state=RunState.QUEUED)[0].queued_at
    assert [each.flow for each in seen.last_runs] == ["backup"]
    assert 0 <= seen.last_runs[0].seconds < 5
    assert seen.points == {Key(TENANT, SYSTEM, "same-city"): 2, Key(TENANT, SYSTEM, "provincial"): 1}
    assert [(each.tenant, each.centre, each.pending) for each in seen.tenants] == [(TENANT, "same-city", 2)]


def test_counts_of_an_empty_catalogue(town: Town) -> None:
    seen = read_activity(town.catalogue)
    assert (seen.points, seen.runs, seen.last_runs, seen.failures, seen.tenants) == ({}, {}, (), {}, ())
    assert (seen.workers, seen.queued_since) == ({"server": 0, "worker": 0, "one-shot": 0}, None)
