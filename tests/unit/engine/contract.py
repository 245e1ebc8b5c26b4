"""The contract of an engine: `test_contract.py` holds both to it on SQLite, an integration test on PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.catalogue import ledger
from orchestrator.catalogue.ledger import Claim
from orchestrator.catalogue.records import Outcome, RunState
from orchestrator.engine import execution, place
from orchestrator.engine.port import Part, PartState, Run
from orchestrator.errors import Busy, CheckFailed, TricenterError, Unreachable
from orchestrator.process import Leash, current_leash, leashed
from orchestrator.process import run as run_child
from tests.unit.engine.harness import Engine


def steps(engine: Engine, run_id: str) -> list[tuple[str, int, str]]:
    return [(each.step, each.generation, str(each.outcome)) for each in engine.ledger.catalogue.attempts(run_id)]


def _refuse() -> None:
    raise Busy("the saw is in use", hint="wait")


@contextmanager
def stop_after_a_moment() -> Iterator[None]:
    """Stop what the block does after half a second, as a deadline does."""
    leash = Leash(current_leash())
    timer = threading.Timer(0.5, leash.pull, (CheckFailed("its time is up"),))
    timer.start()
    with leashed(leash):
        yield


class Contract:
    def test_a_run_leaves_its_result_and_its_evidence(self, engine: Engine) -> None:
        engine.town.flow(lambda run: run.step("double", lambda: 21 * 2))
        row = engine.run()
        assert (row.state, row.result, row.generation, row.exit_code) == (RunState.DONE, 42, 1, None)
        (attempt,) = engine.ledger.catalogue.attempts(row.id)
        assert (attempt.step, attempt.outcome, attempt.detail) == ("double", Outcome.PASSED, 42)
        assert attempt.seconds is not None

    def test_a_failure_is_recorded_with_its_type_hint_and_code(self, engine: Engine) -> None:
        def fail() -> None:
            raise Busy("the pump is in use", hint="wait")

        engine.town.flow(lambda run: run.step("pump", fail))
        row = engine.run()
        assert (row.state, row.error_type, row.error, row.hint, row.exit_code) == (
            RunState.FAILED, "Busy", "the pump is in use", "wait", 5,
        )  # fmt: skip
        assert steps(engine, row.id) == [("pump", 1, "failed")]

    def test_a_mistake_of_the_flow_is_a_failure_that_names_it(self, engine: Engine) -> None:
        engine.town.flow(lambda run: run.step("divide", lambda: 1 / 0))
        row = engine.run()
        assert (row.state, row.error_type) == (RunState.FAILED, "StepFailed")
        assert "ZeroDivisionError" in (row.error or "")

    def test_a_result_that_cannot_be_written_down_is_a_failure(self, engine: Engine) -> None:
        engine.town.flow(lambda run: run.step("connect", object))
        row = engine.run()
        assert row.state is RunState.FAILED
        assert "object" in (row.error or "")

    def test_a_finished_step_is_not_done_again_and_an_interrupted_one_is(self, engine: Engine) -> None:
        town = engine.town

        def flow(run: Run) -> int:
            one: int = run.step("one", lambda: town.note("one", 1))
            two: int = run.step("two", lambda: town.note("two", 2))
            three: int = run.step("three", lambda: town.note("three", 3))
            return one + two + three

        town.flow(flow)
        town.crashes += ["two"]
        row = engine.run()
        assert (row.state, row.result, row.generation) == (RunState.DONE, 6, 2)
        assert town.notes == ["one", "two", "two", "three"]
        assert steps(engine, row.id) == [
            ("one", 1, "passed"), ("two", 1, "interrupted"), ("two", 2, "passed"), ("three", 2, "passed"),
        ]  # fmt: skip

    def test_it_survives_a_crash_in_every_step_of_one_run(self, engine: Engine) -> None:
        town = engine.town
        names = ["a", "b", "c", "d"]
        town.flow(lambda run: [run.step(each, lambda each=each: town.note(each, each)) for each in names])  # type: ignore[misc]
        town.crashes += names
        row = engine.run()
        assert (row.state, row.result, row.generation) == (RunState.DONE, names, 5)
        assert town.notes == [each for name in names for each in (name, name)]

    def test_a_step_that_failed_is_not_tried_again_after_a_crash(self, engine: Engine) -> None:
        town = engine.town

        def fail() -> None:
            town.note("fail")
            raise CheckFailed("no")

        def flow(run: Run) -> str:
            try:
                run.step("fail", fail)
            except CheckFailed as error:
                said = str(error)
            mended: str = run.step("mend", lambda: town.note("mend", said))
            return mended

        town.flow(flow)
        town.crashes += ["mend"]
        assert engine.run().result == "no"
        assert town.notes == ["fail", "mend", "mend"]

    def test_what_is_derived_anew_is_done_again(self, engine: Engine) -> None:
        town = engine.town

        def flow(run: Run) -> None:
            run.attempt("look", lambda: town.note("look"))
            run.attempt("act", lambda: town.note("act"))

        town.flow(flow)
        town.crashes += ["act"]
        row = engine.run()
        assert town.notes == ["look", "act", "look", "act"]
        assert [outcome for _, _, outcome in steps(engine, row.id)] == ["passed", "interrupted", "passed", "passed"]

    # --- taking away

    @pytest.mark.parametrize("ending", ["well", "badly"])
    def test_cleanups_are_done_at_the_end_and_undos_only_after_a_failure(self, engine: Engine, ending: str) -> None:
        town = engine.town

        def flow(run: Run) -> None:
            run.cleanup("tidy", what="first")
            run.undo("undo", what="second")
            run.step("make", lambda: town.note("make"))
            if ending == "badly":
                raise CheckFailed("no")

        town.flow(flow)
        town.crashes += ["make"]  # registered twice by that, and done once
        row = engine.run()
        undone = ["undo second"] if ending == "badly" else []
        assert town.notes == ["make", "make", *undone, "tidy first"]
        assert engine.ledger.open_cleanups(row.id) == []

    def test_a_cleanup_that_fails_does_not_hide_how_the_run_ended_and_is_kept(self, engine: Engine) -> None:
        def flow(run: Run) -> int:
            run.cleanup("nobody-knows-this", what="x")
            return 1

        engine.town.flow(flow)
        row = engine.run()
        assert row.state is RunState.DONE
        assert [each.action for each in engine.ledger.open_cleanups(row.id)] == ["nobody-knows-this"]

    # --- control

    def test_an_aborted_run_does_no_further_step_and_takes_back_what_it_did(self, engine: Engine) -> None:
        town = engine.town

        def flow(run: Run) -> None:
            run.undo("undo", what="it")
            run.step("make", lambda: (town.note("make"), engine.ledger.request_abort(run.id, "li"), None)[2])
            try:
                run.step("never", lambda: town.note("never"))
            except CheckFailed:
                town.note("caught")

        town.flow(flow)
        row = engine.run()
        assert (row.state, row.exit_code, row.abort_requested_by) == (RunState.ABORTED, 130, "li")
        assert town.notes == ["make", "undo it"]

    def test_an_abort_stops_the_child_that_a_step_waits_for(self, engine: Engine) -> None:
        engine.town.flow(lambda run: run.step("sleep", lambda: run_child(["sleep", "60"], deadline_seconds=60).code))
        made = engine.submit()
        engine.work_until(lambda: bool(engine.ledger.catalogue.attempts(made.id)))
        begin = time.monotonic()
        engine.ledger.request_abort(made.id, "li")
        self.until_ended(engine, made.id)
        assert time.monotonic() - begin < 10
        assert engine.ledger.catalogue.run(made.id).state is RunState.ABORTED

    def test_a_run_that_was_aborted_while_nobody_had_it_is_compensated(self, engine: Engine) -> None:
        town = engine.town

        def flow(run: Run) -> None:
            run.undo("undo", what="it")
            run.step("make", lambda: (engine.ledger.request_abort(run.id, "li"), town.note("make"))[1])

        town.flow(flow)
        town.crashes += ["make"]
        row = engine.run()
        assert row.state is RunState.ABORTED
        assert town.notes == ["make", "undo it"]

    def test_a_message_that_is_sent_while_nobody_runs_the_run_is_kept(self, engine: Engine) -> None:
        town = engine.town

        def flow(run: Run) -> Any:
            run.step("ask", lambda: (engine.ledger.send(run.id, "approve", {"yes": True}, "wang"), town.note("ask"))[1])
            answer = run.wait("approve", 60)
            run.step("act", lambda: town.note("act"))
            return answer

        town.flow(flow)
        town.crashes += ["ask", "act"]
        # Repeating the asking step sends a second answer, which is refused: the flow's own mistake, made harmless.
        engine.ledger.send = _once(engine.ledger.send)  # type: ignore[method-assign]
        row = engine.run()
        assert (row.state, row.result) == (RunState.DONE, {"yes": True})
        assert town.notes == ["ask", "ask", "act", "act"]

    def test_nobody_answers_in_time(self, engine: Engine) -> None:
        engine.town.flow(lambda run: run.wait("approve", 0.2))
        row = engine.run()
        assert (row.state, row.result) == (RunState.DONE, None)

    def test_a_waiting_run_holds_no_slot(self, engine: Engine) -> None:
        engine.town.flow(lambda run: run.wait("approve", 30))
        made = engine.submit()
        engine.work_until(lambda: engine.ledger.catalogue.run(made.id).state is RunState.WAITING)
        assert engine.ledger.catalogue.run(made.id).waiting_for == "approve"
        assert engine.ledger.slots_in_use() == {}
        engine.ledger.send(made.id, "approve", "yes", "wang")
        self.until_ended(engine, made.id)
        assert engine.ledger.catalogue.run(made.id).result == "yes"

    # --- the engine's own troubles

    def test_parts_begin_when_their_time_comes_and_tell_how_they_ended(self, engine: Engine) -> None:
        town = engine.town

        def due(states: Mapping[str, PartState]) -> Iterator[Part]:
            yield Part("a", "piece", {"who": "a"})
            yield Part("b", "piece", {"who": "b"})
            if "a" in states and states["a"].ended:
                yield Part("c", "broken", {"who": "c"})

        town.flow(lambda run: {name: each.state for name, each in run.parts("pieces", due).items()})
        town.flow(lambda run: run.step("cut", lambda: town.note(f"cut {run.id}", 7)), "piece")
        town.flow(lambda run: run.step("break", _refuse), "broken")
        row = engine.run()
        assert (row.state, row.result) == (RunState.DONE, {"a": "done", "b": "done", "c": "failed"})
        parts = engine.ledger.catalogue.parts(row.id)
        assert [(each.part, each.result, each.error_type) for each in parts] == [
            ("a", 7, None), ("b", 7, None), ("c", None, "Busy"),
        ]  # fmt: skip
        assert parts[2].queued_at >= (parts[0].ended_at or parts[2].queued_at)
        assert steps(engine, row.id) == [("pieces", 1, "passed")]
        assert len(town.notes) == 2

    def test_after_a_crash_of_the_whole_or_of_a_part_no_part_is_begun_twice(self, engine: Engine) -> None:
        town = engine.town
        states: list[str] = []

        def flow(run: Run) -> int:
            parts = run.parts("pieces", lambda _: [Part(each, "piece", {"who": each}) for each in "abc"])
            states.extend(each.state for each in parts.values())
            run.step("after", lambda: town.note("after"))
            return sum(each.result for each in parts.values())

        town.flow(flow)
        town.flow(lambda run: run.step("cut", lambda: town.note("cut", 1)), "piece")
        town.crashes += ["cut", "after"]
        row = engine.run()
        assert (row.state, row.result, row.generation) == (RunState.DONE, 3, 2)
        assert (town.notes.count("cut"), town.notes.count("after")) == (4, 2)
        assert len(engine.ledger.catalogue.parts(row.id)) == 3
        assert states == ["done"] * 6

    def test_a_whole_that_is_aborted_ends_after_its_parts(self, engine: Engine) -> None:
        town = engine.town
        at_work = threading.Event()

        def piece(run: Run) -> None:
            run.cleanup("tidy", what="piece")
            at_work.set()
            run.step("sleep", lambda: run_child(["sleep", "60"], deadline_seconds=60))

        def whole(run: Run) -> None:
            run.cleanup("tidy", what="whole")
            run.parts("pieces", lambda _: [Part("a", "piece", {"who": "a"}), Part("b", "piece", {"who": "a"})])

        town.flow(whole)
        town.flow(piece, "piece")
        row = engine.submit()
        threading.Thread(
            target=lambda: at_work.wait(20) and engine.ledger.request_abort(row.id, "zhang"), daemon=True
        ).start()
        engine.work_until(lambda: engine.ledger.catalogue.run(row.id).state.ended)
        assert engine.ledger.catalogue.run(row.id).state is RunState.ABORTED
        # "b" is about the same as "a", and so was not begun beside it.
        assert [(each.part, each.state) for each in engine.ledger.catalogue.parts(row.id)] == [("a", RunState.ABORTED)]
        assert town.notes == ["tidy piece", "tidy whole"]

    def test_a_whole_that_is_stopped_for_its_parts_still_writes_down_how_it_ended(self, engine: Engine) -> None:
        town = engine.town

        def whole(run: Run) -> str:
            told = "in time"
            try:
                with stop_after_a_moment():
                    run.parts("pieces", lambda _: [Part("a", "piece", {"who": "a"})])
            except TricenterError as error:
                told = str(error)
            return run.step("record", lambda: told)

        town.flow(whole)
        town.flow(lambda run: run.step("sleep", lambda: run_child(["sleep", "60"], deadline_seconds=60)), "piece")
        row = engine.run()
        assert (row.state, row.result) == (RunState.DONE, "its time is up")
        assert [each.state for each in engine.ledger.catalogue.parts(row.id)] == [RunState.ABORTED]

    def test_a_journal_that_does_not_fit_compensates_nothing(self, engine: Engine) -> None:
        town = engine.town

        def old(run: Run) -> None:
            run.undo("undo", what="the server")
            run.step("make", lambda: town.note("make"))
            run.step("start", lambda: town.note("start"))

        def new(run: Run) -> None:
            try:
                run.step("prepare", lambda: town.note("prepare"))
            except TricenterError:
                town.note("caught")
                raise

        town.flow(old)
        town.crashes += ["start"]
        made = engine.submit()
        engine.work_until(lambda: "start" in town.notes)
        town.flow(new)
        engine.work_until(lambda: engine.ledger.catalogue.run(made.id).not_before is not None)
        row = engine.ledger.catalogue.run(made.id)
        assert row.state is RunState.QUEUED
        assert "prepare" in (row.error or "")
        assert town.notes == ["make", "start"]
        assert [each.action for each in engine.ledger.open_cleanups(made.id)] == ["undo"]

    def test_a_database_that_is_away_when_a_step_begins_poisons_nothing(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The step has no answer then, and must not be remembered with one: it is done when the database is back."""
        town, begin, away = engine.town, engine.ledger.start_attempt, [True]

        def start_attempt(claim: Claim, step: str) -> int:
            if step == "two" and away:
                raise Unreachable("the catalogue does not answer")
            return begin(claim, step)

        def flow(run: Run) -> int:
            run.undo("undo", what="it")
            one: int = run.step("one", lambda: town.note("one", 1))
            return one + run.step("two", lambda: town.note("two", 2))

        monkeypatch.setattr(execution, "RETRY_SECONDS", 0.1)
        monkeypatch.setattr(engine.ledger, "start_attempt", start_attempt)
        monkeypatch.setattr(ledger, "HELD_BACK", timedelta(0))
        town.flow(flow)
        made = engine.submit()
        engine.work_until(lambda: engine.ledger.catalogue.run(made.id).not_before is not None)
        away.clear()
        self.until_ended(engine, made.id)
        assert engine.ledger.catalogue.run(made.id).result == 3
        assert town.notes == ["one", "two"]

    def test_a_changed_flow_takes_the_old_way_for_the_runs_that_began_on_it(self, engine: Engine) -> None:
        town = engine.town

        def old(run: Run) -> None:
            run.undo("undo", what="the server")
            run.step("make", lambda: town.note("make"))
            run.step("start", lambda: town.note("start"))

        def new(run: Run) -> None:
            run.undo("undo", what="the server")
            if run.changed("prepare-first"):
                run.step("prepare", lambda: town.note("prepare"))
            run.step("make", lambda: town.note("make"))
            run.step("start", lambda: town.note("start"))

        town.flow(old)
        town.crashes += ["start"]
        made = engine.submit(who="begun before")
        engine.work_until(lambda: "start" in town.notes)
        town.flow(new)
        self.until_ended(engine, made.id)
        assert engine.ledger.catalogue.run(made.id).state is RunState.DONE
        assert town.notes == ["make", "start", "start"]
        del town.notes[:]
        town.crashes += ["make"]
        assert engine.run(who="begun after").state is RunState.DONE
        assert town.notes == ["prepare", "make", "make", "start"]

    def test_what_is_bound_to_a_machine_is_done_again_on_another(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        town = engine.town

        def flow(run: Run) -> None:
            run.step("choose", lambda: town.note("choose"))
            run.pin()
            run.step("restore", lambda: town.note("restore"))
            run.step("probe", probe)

        def probe() -> None:
            if moving and "probe" in town.crashes:  # from this crash on, whoever goes on is elsewhere
                monkeypatch.setattr(place, "this_place", lambda: "elsewhere/1")
            town.note("probe")

        moving: list[bool] = []
        town.flow(flow)
        town.crashes += ["probe"]
        assert engine.run(who="same machine").state is RunState.DONE
        assert town.notes == ["choose", "restore", "probe", "probe"]
        del town.notes[:]
        town.crashes += ["probe"]
        moving.append(True)
        assert engine.run(who="another machine").state is RunState.DONE
        assert town.notes == ["choose", "restore", "probe", "restore", "probe"]

    def test_a_former_owner_has_no_say(self, engine: Engine) -> None:
        """A worker that was taken for dead comes back: its run is another's, and its end counts for nothing."""
        town, held, go = engine.town, threading.Event(), threading.Event()

        def flow(run: Run) -> str:
            run.undo("undo", what="it")

            def slow() -> str:
                if not held.is_set():
                    held.set()
                    go.wait(10)
                    return "of the zombie"
                return "of its successor"

            said: str = run.step("slow", slow)
            return run.step("then", lambda: town.note(said, said))

        town.flow(flow)
        made = engine.submit()
        worker = threading.Thread(target=engine.work_until, args=(held.is_set,))
        worker.start()
        held.wait(10)
        worker.join()
        row = engine.ledger.catalogue.run(made.id)
        engine.ledger.release(execution.Claim(row, row.worker or "", row.generation))
        other = threading.Thread(target=lambda: (time.sleep(1.5), go.set()))
        other.start()
        self.until_ended(engine, made.id)
        other.join()
        row = engine.ledger.catalogue.run(made.id)
        assert (row.state, row.result) == (RunState.DONE, "of its successor")
        assert town.notes == ["of its successor"]

    @staticmethod
    def until_ended(engine: Engine, run_id: str) -> None:
        engine.work_until(lambda: engine.ledger.catalogue.run(run_id).state.ended)


def _once(send: Any) -> Any:
    sent: list[str] = []

    def quiet(run_id: str, *rest: Any) -> None:
        if run_id not in sent:
            sent.append(run_id)
            send(run_id, *rest)

    return quiet
