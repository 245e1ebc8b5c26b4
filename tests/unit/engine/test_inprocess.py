"""The in-process engine of one-shot commands: evidence of what ran, limits, and clear-up after what was killed."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.records import Outcome, RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.engine.inprocess import Runner, make_order
from orchestrator.engine.port import FlowSpec, Run
from orchestrator.errors import Aborted, Busy, CheckFailed, InvalidInput, UnknownName
from orchestrator.process import run as run_child
from policies.limits import Limit, Limits


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")


Make = Callable[..., Runner]


@pytest.fixture
def make(catalogue: Catalogue) -> Iterator[Make]:
    made: list[Runner] = []

    def make(actions: dict[str, Any] | None = None, limits: Limits | None = None) -> Runner:
        made.append(Runner(None, Ledger(catalogue), {}, actions or {}, limits or {}))
        return made[-1]

    yield make
    for each in made:
        each.close()


def spec(act: Callable[[Run], Any], name: str = "flow") -> FlowSpec:
    def subject(arguments: Mapping[str, str]) -> str:
        return arguments.get("who", "demo")

    return FlowSpec(name, ("who?",), subject, lambda *_: ("tenant:a",), lambda run, *_: act(run))


def test_result_and_evidence(catalogue: Catalogue, make: Make) -> None:
    assert make().run(spec(lambda run: run.step("double", lambda: 42)), {}, reason="somebody asked") == 42
    (row,) = catalogue.runs()
    assert (row.flow, row.subject, row.state, row.reason) == ("flow", "demo", RunState.DONE, "somebody asked")
    assert "@" in row.requested_by
    (attempt,) = catalogue.attempts(row.id)
    assert (attempt.step, attempt.outcome, attempt.detail) == ("double", Outcome.PASSED, 42)


def test_a_failure_is_recorded_and_raised(catalogue: Catalogue, make: Make) -> None:
    def fail(run: Run) -> None:
        run.step("well", lambda: {"answer": 42})
        raise CheckFailed("the pump is broken", hint="mend it")

    with pytest.raises(CheckFailed):
        make().run(spec(fail), {})
    (row,) = catalogue.runs()
    assert (row.state, row.error_type, row.error, row.hint) == (
        RunState.FAILED, "CheckFailed", "the pump is broken", "mend it",
    )  # fmt: skip


def test_an_attempt_row_stands_while_the_step_runs(catalogue: Catalogue, make: Make) -> None:
    def look(run: Run) -> Outcome:
        return run.step("look", lambda: catalogue.attempts(run.id)[0].outcome)

    assert make().run(spec(look), {}) is Outcome.STARTED


def test_ctrl_c_ends_the_run_as_interrupted_and_takes_away_what_it_made(catalogue: Catalogue, make: Make) -> None:
    done: list[str] = []

    def flow(run: Run) -> None:
        run.cleanup("tidy", what="first")
        run.cleanup("tidy", what="second")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make({"tidy": lambda what: done.append(what)}).run(spec(flow), {})
    assert done == ["second", "first"]
    assert catalogue.runs()[0].state is RunState.INTERRUPTED


def test_the_same_is_not_done_twice_at_once(make: Make) -> None:
    runner = make()
    with pytest.raises(Busy, match="flow demo is running already"):
        runner.run(spec(lambda run: runner.run(spec(lambda inner: None), {})), {})


def test_limits_hold_for_commands_too(make: Make) -> None:
    runner, said, active, most = make(limits={"tenant": Limit(concurrent=1)}), [], [], []

    def work(run: Run) -> None:
        active.append(run.id)
        most.append(len(active))
        time.sleep(0.3)
        active.remove(run.id)

    def one(who: str) -> None:
        runner.run(spec(work), {"who": who}, observer=lambda what, done, total: said.append(what))

    threads = [threading.Thread(target=one, args=(who,)) for who in "abc"]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert (len(most), max(most)) == (3, 1)
    assert any("waiting for a slot" in each for each in said)


def test_a_run_that_waits_for_its_slot_can_be_aborted(catalogue: Catalogue, make: Make) -> None:
    runner, ledger = make(limits={"tenant": Limit(concurrent=1)}), Ledger(catalogue)

    def abort_the_second(run: Run) -> None:
        def second() -> None:
            with pytest.raises(Aborted):
                runner.run(spec(lambda inner: None), {"who": "second"})

        thread = threading.Thread(target=second)
        thread.start()
        while not (waiting := catalogue.runs(subject="second")):
            time.sleep(0.02)
        ledger.request_abort(waiting[0].id, "li")
        thread.join(10)
        assert not thread.is_alive()

    runner.run(spec(abort_the_second), {"who": "first"})
    assert catalogue.runs(subject="second")[0].state is RunState.ABORTED


def test_a_killed_run_is_cleared_up_once(catalogue: Catalogue, make: Make) -> None:
    script = (
        "import os, signal\n"
        "from orchestrator.catalogue.ledger import Ledger\n"
        "from orchestrator.catalogue.store import Catalogue\n"
        "from orchestrator.engine.inprocess import Runner\n"
        "from orchestrator.engine.port import FlowSpec\n"
        "def flow(run, program, arguments):\n"
        "    run.cleanup('tidy', what='left behind')\n"
        "    run.step('die', os.kill, os.getpid(), signal.SIGKILL)\n"
        "spec = FlowSpec('flow', (), lambda arguments: 'demo', lambda *_: (), flow)\n"
        f"Runner(None, Ledger(Catalogue({catalogue.url!r})), {{}}, {{}}, {{}}).run(spec, {{}})\n"
    )
    assert run_child([sys.executable, "-c", script], deadline_seconds=30, check=False).code == -9
    (row,) = catalogue.runs()
    assert row.state is RunState.RUNNING
    done: list[str] = []
    runner = make({"tidy": lambda what: done.append(what)})
    assert [each.id for each in runner.recover()] == [row.id]
    assert runner.recover() == []
    assert done == ["left behind"]
    assert catalogue.runs()[0].state is RunState.INTERRUPTED
    assert catalogue.attempts(row.id)[0].outcome is Outcome.INTERRUPTED
    assert catalogue.workers() == []


def test_a_living_run_is_left_alone(make: Make) -> None:
    assert make().run(spec(lambda run: len(make().recover())), {}) == 0


def test_arguments_are_checked_before_anything_is_queued(catalogue: Catalogue) -> None:
    known = ("system", "point?")
    flow = FlowSpec("restore", known, lambda arguments: arguments["system"], lambda *_: (), lambda *_: None)
    with pytest.raises(UnknownName, match="no argument of restore named 'sistem'") as unknown:
        make_order(None, flow, {"sistem": "a/b"})
    assert unknown.value.hint == "did you mean 'system'?"
    with pytest.raises(InvalidInput, match="restore wants system"):
        make_order(None, flow, {"point": "x"})
    assert make_order(None, flow, {"system": "a/b"}).subject == "a/b"
