"""A sandbox that is kept, released, and taken over by a failover: what its rows and messages say of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import update

from drills import actions, promotion
from drills.flows import DRILL as DRILL_FLOW
from drills.flows import Program
from drills.measure import stage_of
from drills.promotion import RELEASE, TakenOver, check_promotable, heir_of, points_of, take_over
from drills.scenario import Scenario
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import writing
from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.records import DrillRow
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import InvalidInput, Refused, TricenterError, UnknownName
from tests.unit.drills.recorded import DRILL, INSURANCE, POPULATION, WINDOW, Recorded, scenario

HEIR, OTHER = "20261123T030000Z-0000000a", "20261123T030000Z-0000000b"
SYSTEMS = (POPULATION, INSURANCE, WINDOW)


@dataclass(frozen=True)
class Rows:
    """What promotion needs of a program."""

    recorded: Recorded
    ledger: Ledger

    @property
    def catalogue(self) -> Catalogue:
        return self.recorded.catalogue

    def tenant_cloud(self, centre: str, tenant: str) -> Any:
        raise AssertionError("no cloud is asked")

    def add_rows(self, **changed: Any) -> None:
        for name in SYSTEMS:
            tenant, _, system = name.partition("/")
            row = DrillRow(
                id=DRILL, plan="citizen-services", tenant=tenant, system=system, centre="same-city", kind="sandbox",
                point_id=None, started_at=self.recorded.at(0), ended_at=self.recorded.at(90), verdict="met",
                rpo_seconds=1.0, rto_seconds=90.0, stages={}, restored_bytes=1, report="", plan_digest="e" * 64,
                requested_by="wangmin",
            )  # fmt: skip
            self.catalogue.add_drill(replace(row, **changed))

    def end(self) -> None:
        with writing(self.catalogue.engine) as db:
            values = {"state": "done", "waiting_for": None, "ended_at": self.recorded.at(150)}
            db.execute(update(t.runs).where(t.runs.c.id == DRILL).values(**values))


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    recorded = Recorded(tmp_path)
    recorded.run(DRILL, "waiting", waiting_for=RELEASE)
    recorded.wait(DRILL, RELEASE, 95)
    return Rows(recorded, Ledger(recorded.catalogue))


def program(rows: Rows) -> Program:
    return cast(Program, rows)


def wanted(**changed: Any) -> Scenario:
    return replace(scenario("failover"), **changed)


def test_a_kept_sandbox_can_be_promoted(rows: Rows) -> None:
    rows.add_rows()
    check_promotable(program(rows), DRILL, wanted())


@pytest.mark.parametrize(
    ("rows_say", "asked", "error", "words"),
    [
        ({"kind": "restore"}, {}, InvalidInput, "no sandbox of citizen-services at same-city"),
        ({}, {"plan": "another"}, InvalidInput, "no sandbox of another"),
        ({}, {"centre": "provincial"}, InvalidInput, "at provincial"),
        ({"verdict": "failed"}, {}, Refused, "was not proved"),
        ({"plan_digest": "a" * 64}, {}, Refused, "was changed since"),
    ],
)
def test_what_cannot_be_promoted(
    rows: Rows, rows_say: dict[str, Any], asked: dict[str, Any], error: type[TricenterError], words: str
) -> None:
    rows.add_rows(**rows_say)
    with pytest.raises(error, match=words):
        check_promotable(program(rows), DRILL, wanted(**asked))


def released(rows: Rows) -> None:
    rows.ledger.send(DRILL, RELEASE, {"by": "li", "message": ""}, "li")


@pytest.mark.parametrize("before", [Rows.end, released])
def test_one_that_is_not_kept_any_more(rows: Rows, before: Callable[[Rows], None]) -> None:
    rows.add_rows()
    before(rows)
    with pytest.raises(Refused, match="not kept any more") as caught:
        check_promotable(program(rows), DRILL, wanted())
    assert "--kind failover" in (caught.value.hint or "")
    assert take_over(program(rows), DRILL, HEIR) == TakenOver(
        DRILL, taken=False, why="it had ended, or was released, before"
    )
    assert heir_of(program(rows), DRILL) is None


def test_no_run_of_a_plan(rows: Rows) -> None:
    with pytest.raises(UnknownName):
        check_promotable(program(rows), HEIR, wanted())


def test_its_points_are_those_it_was_made_from(rows: Rows) -> None:
    rows.add_rows(point_id="20261123T012000Z-aaaaaaaa")
    assert points_of(program(rows), DRILL) == dict.fromkeys(SYSTEMS, "20261123T012000Z-aaaaaaaa")


def test_it_steps_back_for_one_heir_only(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[TakenOver] = []
    thread = threading.Thread(target=lambda: found.append(take_over(program(rows), DRILL, HEIR)))
    thread.start()
    while heir_of(program(rows), DRILL) is None:
        pass
    rows.end()
    thread.join(20)
    assert found == [TakenOver(DRILL, taken=True)]
    assert take_over(program(rows), DRILL, HEIR) == found[0]  # as after a crash
    assert not take_over(program(rows), DRILL, OTHER).taken


def test_one_that_does_not_step_back_is_gone_on_without(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion, "STEP_BACK_SECONDS", 0.1)
    found = take_over(program(rows), DRILL, HEIR)
    assert (found.taken, "did not step back" in found.why) == (False, True)


def test_what_was_taken_over_is_the_heirs_to_delete(rows: Rows) -> None:
    rows.ledger.send(DRILL, RELEASE, {"by": HEIR, "message": f"{promotion.HEIR}{HEIR}"}, HEIR)
    act, where = actions.ACTIONS["delete-bubble"], {"centre": "same-city", "tenant": "public-security"}
    act(rows, drill=DRILL, **where)
    act(rows, drill=DRILL, heir=OTHER, **where)
    with pytest.raises(AssertionError, match="no cloud"):
        act(rows, drill=DRILL, heir=HEIR, **where)


def test_a_sandbox_that_was_only_released_is_its_own_to_delete(rows: Rows) -> None:
    released(rows)
    with pytest.raises(AssertionError, match="no cloud"):
        actions.ACTIONS["delete-bubble"](rows, drill=DRILL, centre="same-city", tenant="public-security")


def test_no_failover_waits_until_a_rehearsal_is_over() -> None:
    order = {"plan": "hall", "centre": "same-city"}
    kinds = [None, "restore", "sandbox", "failover"]
    subjects = [DRILL_FLOW.subject({**order, **({"kind": kind} if kind else {})}) for kind in kinds]
    assert subjects == ["hall@same-city", "hall@same-city", "hall@same-city sandbox", "hall@same-city failover"]


def test_what_comes_after_the_recovery_is_no_part_of_its_time() -> None:
    assert [stage_of(each) for each in ("wait:commit", "wait:release", "record")] == [None, None, None]
    assert [stage_of(each) for each in ("wait:approve:0af3", "wait:prompt-call")] == ["decide", "decide"]
