"""Hooks in real runs of the in-process engine: what was frozen is thawed, whatever ends the capture."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.backups.group import Inside
from orchestrator.backups.hooks import FrozenTooLong, HookFailed, check_hooks, frozen, hooked, take_back
from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.records import RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.engine.inprocess import Runner
from orchestrator.engine.port import FlowSpec, Run
from orchestrator.errors import Aborted, CheckFailed, InvalidInput
from policies.hooks import Hook, Hooks, SourceHooks
from policies.site import SystemRef

SCRIPT = """#!/bin/sh
echo "$TRICENTER_PHASE$([ -n "$TRICENTER_SOURCE" ] && echo ":$TRICENTER_SOURCE")" >> "$1/log"
[ -e "$1/fail-$TRICENTER_PHASE" ] && { echo "it is locked by $TRICENTER_SYSTEM"; echo "of $TRICENTER_RUN" >&2; exit 3; }
[ -e "$1/hang-$TRICENTER_PHASE" ] && exec sleep 600
[ -e "$1/daemon-$TRICENTER_PHASE" ] && sleep 30 &
exit 0
"""


class Town:
    """A system with hooks that write down when they are run, and what its clean-ups need."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.script = folder, folder / "hook"
        self.script.write_text(SCRIPT)
        self.script.chmod(0o755)
        self.catalogue = Catalogue(f"sqlite:///{folder / 'catalogue.sqlite'}")
        self.ledger = Ledger(self.catalogue)
        self.hooks = self.hooks_of()

    def hook(self, **more: Any) -> Hook:
        return Hook(run=(str(self.script), str(self.folder)), **more)

    def hooks_of(self, **more: Any) -> Hooks:
        around = SourceHooks(before=self.hook(), after=self.hook())
        return Hooks(freeze=self.hook(timeout="1s"), thaw=self.hook(timeout="9s"), sources={"scans": around}, **more)

    def system(self, name: str) -> SystemRef:
        assert name == "bureau/registry"
        return self.ref

    @property
    def ref(self) -> SystemRef:
        system = SimpleNamespace(hooks=self.hooks, hooks_at=lambda _: self.hooks)
        return cast(SystemRef, _Named(system))

    @property
    def log(self) -> list[str]:
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    def do(self, act: Callable[[Run], Any]) -> Any:
        """Have a run hold the system frozen while it acts."""

        def flow(run: Run) -> Any:
            return run.step("capture", within, run)

        def within(run: Run) -> Any:
            inside = Inside(run)
            with frozen(inside, self.catalogue, self.ref, self.hooks):
                return act(inside)

        return self.run(flow)

    def run(self, flow: Callable[[Run], Any]) -> Any:
        spec = FlowSpec("flow", (), lambda _: "demo", lambda *_: ("tenant:a",), lambda run, *_: flow(run))
        runner = self.runner()
        try:
            return runner.run(spec, {})
        finally:
            runner.close()

    def runner(self) -> Runner:
        return Runner(None, self.ledger, {}, {"run-hook": partial(take_back, self)}, {})


class _Named:
    def __init__(self, system: Any) -> None:
        self.system = system

    def __str__(self) -> str:
        return "bureau/registry"


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def test_what_is_captured_is_captured_between_freeze_and_thaw_which_are_run_once(town: Town) -> None:
    assert town.do(lambda _: town.log) == ["freeze"]
    assert town.log == ["freeze", "thaw"]
    (run,) = town.catalogue.runs()
    assert [each.step for each in town.catalogue.attempts(run.id)] == ["capture", "freeze", "thaw"]
    assert town.ledger.open_cleanups(run.id) == []


def test_a_failed_capture_thaws_once(town: Town) -> None:
    def fail(_: Run) -> None:
        raise CheckFailed("the disk is full")

    with pytest.raises(CheckFailed, match="the disk is full"):
        town.do(fail)
    assert town.log == ["freeze", "thaw"]


def test_a_freeze_that_fails_tells_what_it_said_and_thaws(town: Town) -> None:
    (town.folder / "fail-freeze").touch()
    with pytest.raises(HookFailed, match=r"freeze.*code 3: it is locked by bureau/registry / of 2\d+"):
        town.do(lambda _: pytest.fail("captured without a freeze"))
    assert town.log == ["freeze", "thaw"]


def test_a_freeze_that_hangs_is_stopped_and_thawed(town: Town) -> None:
    (town.folder / "hang-freeze").touch()
    with pytest.raises(HookFailed, match=r"did not end within 1\.0s"):
        town.do(lambda _: pytest.fail("captured without a freeze"))
    assert town.log == ["freeze", "thaw"]


def test_a_thaw_that_fails_fails_the_run_and_is_tried_again_until_it_does_not(town: Town) -> None:
    (town.folder / "fail-thaw").touch()
    with pytest.raises(HookFailed, match="No recovery point was made, and the system may still stand still"):
        town.do(lambda _: None)
    assert town.log == ["freeze", "thaw", "thaw"]  # and at the end of the run
    (run,) = town.catalogue.runs()
    assert len(town.ledger.open_cleanups(run.id)) == 1
    (town.folder / "fail-thaw").unlink()
    for _ in range(2):
        town.runner().recover()
    assert town.log == ["freeze", "thaw", "thaw", "thaw"]


def test_both_failures_are_told(town: Town) -> None:
    (town.folder / "fail-thaw").touch()

    def fail(_: Run) -> None:
        raise CheckFailed("the disk is full")

    with pytest.raises(HookFailed, match=r"thaw.*Before that: the disk is full"):
        town.do(fail)


def test_what_takes_longer_than_it_may_is_thawed_at_that_moment(town: Town) -> None:
    town.hooks = town.hooks_of(longest="2s")
    seen: list[str] = []

    def slow(_: Run) -> None:
        end = time.monotonic() + 30
        while "thaw" not in town.log and time.monotonic() < end:
            time.sleep(0.02)
        seen.extend(town.log)

    with pytest.raises(FrozenTooLong, match=r"not complete after 2\.0s"):
        town.do(slow)
    assert seen == town.log == ["freeze", "thaw"]


def test_an_aborted_run_thaws(town: Town) -> None:
    def aborted(run: Run) -> None:
        town.ledger.request_abort(run.id, "somebody")
        run.attempt("go on", lambda: None)

    with pytest.raises(Aborted):
        town.do(aborted)
    assert town.log == ["freeze", "thaw", "thaw"]  # no evidence is taken of an aborted run, and so it is made sure of
    assert town.catalogue.runs()[0].state is RunState.ABORTED


def test_ctrl_c_thaws(town: Town) -> None:
    def interrupted(_: Run) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        town.do(interrupted)
    assert town.log == ["freeze", "thaw"]


def test_a_thaw_that_starts_a_daemon_is_not_waited_for_longer_than_itself(town: Town) -> None:
    (town.folder / "daemon-thaw").touch()
    began = time.monotonic()
    town.do(lambda _: None)
    assert time.monotonic() - began < 20


def test_a_step_that_is_done_again_after_a_crash_thaws_first(town: Town) -> None:
    def flow(run: Run) -> None:
        run.attempt("freeze", lambda: None)  # of an execution that was killed: nothing took it back
        with frozen(Inside(run), town.catalogue, town.ref, town.hooks):
            pass

    town.run(flow)
    assert town.log == ["thaw", "freeze", "thaw"]


def test_the_hooks_of_one_source_go_around_it_and_after_runs_although_it_failed(town: Town) -> None:
    def flow(run: Run) -> None:
        with hooked(Inside(run), town.catalogue, town.ref, town.hooks.sources["scans"], "scans"):
            raise CheckFailed("unreadable")

    with pytest.raises(CheckFailed):
        town.run(flow)
    assert town.log == ["before:scans", "after:scans"]


def test_a_hook_that_is_no_longer_in_the_site_is_asked_for(town: Town) -> None:
    (town.folder / "fail-thaw").touch()
    with pytest.raises(HookFailed):
        town.do(lambda _: None)
    (run,) = town.catalogue.runs()
    town.hooks = Hooks()
    with pytest.raises(CheckFailed, match="has no such hook any more"):
        take_back(cast(Any, town), "bureau/registry", run.id, "thaw", "")


def test_a_program_that_is_not_there_is_told_before_anything_is_frozen(town: Town) -> None:
    check_hooks(town.ref, "production")
    town.script.chmod(0o644)
    with pytest.raises(InvalidInput, match="may not be executed"):
        check_hooks(town.ref, "production")
    town.script.unlink()
    with pytest.raises(InvalidInput, match="is not there"):
        check_hooks(town.ref, "production")
