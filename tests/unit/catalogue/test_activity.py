"""The counts, from runs and attempts that the catalogue really recorded."""

from __future__ import annotations

import pytest
from small_town import SYSTEM, TENANT, Town, ago

from orchestrator.catalogue.activity import read_activity
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.records import RunState
from orchestrator.engine.inprocess import Runner
from orchestrator.engine.port import Run


def good(run: Run) -> None:
    run.step("look", lambda: None)


def bad(run: Run) -> None:
    run.step("look", lambda: None)
    run.step("divide", lambda: 1 / 0)


def test_counts_runs_failures_points_and_tenants(town: Town) -> None:
    runner = Runner(town.catalogue, {})
    for _ in range(2):
        runner.run("backup", "a/b", good)
    with pytest.raises(ZeroDivisionError):
        runner.run("drill", "a/b", bad)
    town.created(ago(hours=3))
    town.point(ago(hours=2), {"same-city": ago(hours=2), "provincial": ago(hours=1)})
    town.point(ago(hours=1), {"same-city": ago(hours=1)})
    town.catalogue.record_tenant(TENANT, "same-city", writes=4, pending=2)

    seen = read_activity(town.catalogue)
    assert seen.runs[("backup", RunState.DONE)] == 2
    assert seen.runs[("backup", RunState.FAILED)] == 0
    assert seen.runs[("drill", RunState.FAILED)] == 1
    assert len(seen.runs) == 2 * len(RunState)
    assert seen.failures == {"ZeroDivisionError": 1}
    assert [each.flow for each in seen.last_runs] == ["backup"]
    assert 0 <= seen.last_runs[0].seconds < 5
    assert seen.points == {Key(TENANT, SYSTEM, "same-city"): 2, Key(TENANT, SYSTEM, "provincial"): 1}
    assert [(each.tenant, each.centre, each.pending) for each in seen.tenants] == [(TENANT, "same-city", 2)]


def test_counts_of_an_empty_catalogue(town: Town) -> None:
    seen = read_activity(town.catalogue)
    assert (seen.points, seen.runs, seen.last_runs, seen.failures, seen.tenants) == ({}, {}, (), {}, ())
