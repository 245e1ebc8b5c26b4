"""The in-process engine: evidence of what ran, and clear-up after what was killed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator.catalogue.records import Outcome, RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.engine.inprocess import Runner
from orchestrator.engine.port import Run
from orchestrator.errors import CheckFailed
from orchestrator.process import run as run_child


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")


def double(run: Run, number: int) -> int:
    return run.step("double", lambda: number * 2)


def fail(run: Run) -> None:
    run.step("well", lambda: {"answer": 42})

    def break_down() -> None:
        raise CheckFailed("the pump is broken")

    run.step("badly", break_down)


def test_result_and_evidence(catalogue: Catalogue) -> None:
    assert Runner(catalogue, {}).run("double", "demo", double, 21) == 42
    (row,) = catalogue.runs()
    assert (row.flow, row.subject, row.state) == ("double", "demo", RunState.DONE)
    (attempt,) = catalogue.attempts(row.id)
    assert (attempt.step, attempt.outcome, attempt.detail) == ("double", Outcome.PASSED, 42)
    assert attempt.seconds is not None
    assert attempt.seconds >= 0


def test_a_failure_is_recorded_and_raised(catalogue: Catalogue) -> None:
    with pytest.raises(CheckFailed):
        Runner(catalogue, {}).run("fail", "demo", fail)
    (row,) = catalogue.runs()
    assert (row.state, row.error_type, row.error) == (RunState.FAILED, "CheckFailed", "the pump is broken")
    well, badly = catalogue.attempts(row.id)
    assert well.detail == {"answer": 42}
    assert (badly.outcome, badly.error_type) == (Outcome.FAILED, "CheckFailed")


def test_an_attempt_row_stands_while_the_step_runs(catalogue: Catalogue) -> None:
    def look(run: Run) -> Outcome:
        return run.step("look", lambda: catalogue.attempts(run.id)[0].outcome)

    assert Runner(catalogue, {}).run("look", "demo", look) is Outcome.STARTED


def test_cleanups_run_last_made_first_and_however_it_ends(catalogue: Catalogue) -> None:
    done: list[str] = []

    def flow(run: Run) -> None:
        run.cleanup("tidy", what="first")
        run.cleanup("tidy", what="second")
        raise CheckFailed("no")

    with pytest.raises(CheckFailed):
        Runner(catalogue, {"tidy": lambda what: done.append(what)}).run("flow", "demo", flow)
    assert done == ["second", "first"]


def test_a_cleanup_that_fails_stays_open_and_hides_nothing(catalogue: Catalogue) -> None:
    def refuse(what: str) -> None:
        raise OSError(what)

    def flow(run: Run) -> str:
        run.cleanup("tidy", what="stuck")
        return run.id

    run_id = Runner(catalogue, {"tidy": refuse}).run("flow", "demo", flow)
    assert [action for _, action, _ in catalogue.open_cleanups(run_id)] == ["tidy"]


def test_a_killed_run_is_cleared_up_once(catalogue: Catalogue) -> None:
    script = (
        "import os, signal\n"
        "from orchestrator.catalogue.store import Catalogue\n"
        "from orchestrator.engine.inprocess import Runner\n"
        "def flow(run):\n"
        "    run.cleanup('tidy', what='left behind')\n"
        "    run.step('die', os.kill, os.getpid(), signal.SIGKILL)\n"
        f"Runner(Catalogue({catalogue.url!r}), {{}}).run('flow', 'demo', flow)\n"
    )
    assert run_child([sys.executable, "-c", script], deadline_seconds=30, check=False).code == -9
    (row,) = catalogue.runs()
    assert row.state is RunState.RUNNING
    done: list[str] = []
    runner = Runner(catalogue, {"tidy": lambda what: done.append(what)})
    assert [each.id for each in runner.recover()] == [row.id]
    assert runner.recover() == []
    assert done == ["left behind"]
    assert catalogue.runs()[0].state is RunState.INTERRUPTED
    assert catalogue.attempts(row.id)[0].outcome is Outcome.INTERRUPTED


def test_a_living_run_is_left_alone(catalogue: Catalogue) -> None:
    def flow(run: Run) -> int:
        return len(Runner(catalogue, {}).recover())

    assert Runner(catalogue, {}).run("flow", "demo", flow) == 0
