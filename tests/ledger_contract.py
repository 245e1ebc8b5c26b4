"""What the ledger promises, whatever database is behind it. Run on SQLite and on PostgreSQL.

Who runs it has the fixtures `url` (an empty database of its own) and `claimers` (how many claim at once).
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.ledger import AbortRequested, Claim, Ledger, Superseded
from orchestrator.catalogue.records import Order, Outcome, RunState, WorkerRow
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import Busy, CheckFailed, Refused, UnknownName
from orchestrator.process import started_at
from policies.limits import Limit, Limits

HERE, AWAY = socket.gethostname(), "elsewhere"
NO_LIMITS: Limits = {kind: Limit(concurrent=1000) for kind in ("centre", "vault", "cloud", "tenant")}
HOUR = timedelta(hours=1)


@pytest.fixture
def catalogue(url: str) -> Iterator[Catalogue]:
    made = Catalogue(url)
    yield made
    made.engine.dispose()


@pytest.fixture
def ledger(catalogue: Catalogue) -> Ledger:
    return Ledger(catalogue)


def worker(ledger: Ledger, name: str = "w", *, kind: str = "worker", host: str = AWAY, pid: int = 1) -> str:
    moment = ledger.clock()
    ledger.enlist(WorkerRow(name, kind, host, pid, started_at(pid) or 0, "1", 4, moment, moment))
    return name


def order(subject: str, *slots: str, flow: str = "backup", **more: object) -> Order:
    return Order(flow=flow, subject=subject, arguments={"system": subject}, slots=slots, **more)  # type: ignore[arg-type]


def claimed(ledger: Ledger, by: str, limits: Limits = NO_LIMITS, **more: object) -> str | None:
    claim = ledger.claim(by, limits, **more)  # type: ignore[arg-type]
    return claim.run.subject if claim else None


def begun(ledger: Ledger, subject: str = "a/b", *slots: str, by: str = "w", **kind: str) -> Claim:
    """Queue a run and claim it by a new worker."""
    run = ledger.submit(order(subject, *slots))
    claim = ledger.claim(worker(ledger, by, **kind), NO_LIMITS, run_id=run.id)  # type: ignore[arg-type]
    assert claim
    return claim


def silence(catalogue: Catalogue, name: str) -> None:
    with catalogue.engine.begin() as db:
        db.execute(update(t.workers).where(t.workers.c.id == name).values(beat_at=Ledger(catalogue).clock() - HOUR))


# --- what is asked for


def test_a_run_is_a_row_from_the_moment_it_is_asked_for(ledger: Ledger) -> None:
    deadline = ledger.clock() + HOUR
    made = ledger.submit(order("a/b", "tenant:a", priority=3, deadline=deadline, reason="why", requested_by="li"))
    assert ledger.catalogue.run(made.id) == made
    assert (made.state, made.generation, made.started_at, made.worker) == (RunState.QUEUED, 0, None, None)
    assert (made.arguments, made.slots, made.priority) == ({"system": "a/b"}, ("tenant:a",), 3)
    assert (made.deadline, made.reason, made.requested_by) == (deadline, "why", "li")
    assert abs(made.queued_at - ledger.clock()) < timedelta(seconds=5)
    with pytest.raises(UnknownName):
        ledger.catalogue.run("no-such-run")


def test_one_open_run_for_a_flow_and_subject(ledger: Ledger) -> None:
    first = ledger.submit(order("a/b"))
    with pytest.raises(Busy, match=first.id):
        ledger.submit(order("a/b"))
    ledger.submit(order("a/b", flow="replicate"))
    claim = ledger.claim(worker(ledger), NO_LIMITS, run_id=first.id)
    assert claim
    with pytest.raises(Busy, match="running already"):
        ledger.submit(order("a/b"))
    ledger.end(claim, RunState.DONE)
    assert ledger.submit(order("a/b"), run_id="mine").id == "mine"
    ledger.request_abort("mine", "li")
    with pytest.raises(Refused, match="mine"):
        ledger.submit(order("a/b"), run_id="mine")


def test_what_is_due_is_queued_once(ledger: Ledger) -> None:
    ledger.submit(order("a/1"))
    made = ledger.submit_new([order("a/2"), order("a/1"), order("a/3"), order("a/2")])
    assert sorted(each.subject for each in made) == ["a/2", "a/3"]
    assert ledger.submit_new([order("a/2"), order("a/3")]) == []


# --- claims


def test_claims_go_by_priority_deadline_and_time_of_asking(ledger: Ledger) -> None:
    moment, by = ledger.clock(), worker(ledger)
    for subject, more in {
        "late": {"deadline": moment + 2 * HOUR},
        "none-1": {},
        "none-2": {},
        "soon": {"deadline": moment + HOUR},
        "last": {"priority": 1, "deadline": moment},
        "not-yet": {"priority": -1, "not_before": moment + HOUR},
        "now": {"priority": -1, "not_before": moment - HOUR},
    }.items():
        ledger.submit(order(subject, **more))
    in_order = ["now", "soon", "late", "none-1", "none-2", "last"]
    assert [each.subject for each in ledger.catalogue.open_runs() if each.subject != "not-yet"] == in_order
    assert [claimed(ledger, by) for _ in range(7)] == [*in_order, None]


def test_a_claim_is_written_down(ledger: Ledger) -> None:
    claim = begun(ledger, "a/b", "tenant:a", by="one")
    row = ledger.catalogue.run(claim.run.id)
    assert row == claim.run
    assert (row.state, row.worker, row.generation) == (RunState.RUNNING, "one", 1)
    assert row.started_at
    ledger.release(claim)
    assert ledger.catalogue.run(row.id).worker is None
    again = ledger.claim("one", NO_LIMITS)
    assert again
    assert (again.generation, again.run.started_at) == (2, row.started_at)


def test_a_run_or_flows_may_be_named(ledger: Ledger) -> None:
    ledger.submit(order("first"))
    ledger.submit(order("second", flow="drill"))
    third = ledger.submit(order("third"))
    by = worker(ledger)
    assert claimed(ledger, by, run_id=third.id) == "third"
    assert claimed(ledger, by, run_id=third.id) is None
    assert claimed(ledger, by, flows=("drill", "verify")) == "second"
    assert claimed(ledger, by, flows=()) is None


def test_a_worker_that_is_not_listed_claims_nothing(ledger: Ledger) -> None:
    ledger.submit(order("a/b"))
    with pytest.raises(Superseded):
        ledger.claim("nobody", NO_LIMITS)


def test_limits_hold_at_once_and_by_name_before_kind(ledger: Ledger) -> None:
    limits = {**NO_LIMITS, "vault": Limit(concurrent=1), "vault:far": Limit(concurrent=2)}
    for each in "123":
        ledger.submit(order(f"near/{each}", "vault:near"))
        ledger.submit(order(f"far/{each}", "vault:far"))
    by = worker(ledger)
    first = ledger.claim(by, limits)
    assert first
    assert sorted(filter(None, (claimed(ledger, by, limits) for _ in range(5)))) == ["far/1", "far/2"]
    ledger.end(first, RunState.FAILED)
    assert claimed(ledger, by, limits) == "near/2"
    assert claimed(ledger, by, limits) is None


def test_the_defaults_hold_where_the_site_says_nothing(ledger: Ledger) -> None:
    for each in "123":
        ledger.submit(order(f"a/{each}", "tenant:a"))
    by = worker(ledger)
    assert [claimed(ledger, by, {}) for _ in range(3)] == ["a/1", "a/2", None]


def test_limits_by_the_minute_count_claims_and_not_what_runs(ledger: Ledger) -> None:
    limits = {**NO_LIMITS, "cloud": Limit(per_minute=2)}
    by = worker(ledger)
    for each in "123":
        ledger.submit(order(each, "cloud:x"))
    for _ in range(2):
        claim = ledger.claim(by, limits)
        assert claim
        ledger.end(claim, RunState.DONE)
    assert claimed(ledger, by, limits) is None
    with ledger.catalogue.engine.begin() as db:
        db.execute(update(t.run_slots).values(claimed_at=ledger.clock() - timedelta(seconds=61)))
    assert claimed(ledger, by, limits) == "3"


def test_a_run_without_room_holds_no_other_back(ledger: Ledger) -> None:
    limits = {**NO_LIMITS, "tenant": Limit(concurrent=1)}
    for subject, slots in (("a/1", ["tenant:a"]), ("a/2", ["tenant:a", "cloud:x"]), ("b/1", ["tenant:b"])):
        ledger.submit(order(subject, *slots))
    by = worker(ledger)
    assert [claimed(ledger, by, limits) for _ in range(3)] == ["a/1", "b/1", None]


def test_claimed_by_many_at_once_each_run_goes_to_one_and_no_limit_is_passed(url: str, claimers: int) -> None:
    runs, limits = 300, {**NO_LIMITS, "vault": Limit(concurrent=3), "tenant:t1": Limit(concurrent=2)}
    first = Ledger(Catalogue(url))
    first.submit_new(order(f"s{each}", f"vault:v{each % 2}", f"tenant:t{each % 3}") for each in range(runs))
    lock, seen, now, most, faults = threading.Lock(), Counter[str](), Counter[str](), Counter[str](), list[object]()

    def work(name: str) -> None:
        catalogue = Catalogue(url)
        try:
            ledger = Ledger(catalogue)
            worker(ledger, name)
            end = time.monotonic() + 120
            while sum(seen.values()) < runs and time.monotonic() < end:
                claim = ledger.claim(name, limits)
                if claim is None:
                    continue
                with lock:
                    seen[claim.run.id] += 1
                    now.update(claim.run.slots)
                    most.update({slot: max(0, now[slot] - most[slot]) for slot in claim.run.slots})
                ledger.end_attempt(claim, ledger.start_attempt(claim, "work"), Outcome.PASSED)
                with lock:
                    now.subtract(claim.run.slots)
                ledger.end(claim, RunState.DONE)
        except BaseException as error:
            faults.append(error)
            raise
        finally:
            catalogue.engine.dispose()

    threads = [threading.Thread(target=work, args=(f"w{each}",)) for each in range(claimers)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not faults
    assert (len(seen), set(seen.values())) == (runs, {1})
    assert max(most["vault:v0"], most["vault:v1"]) <= 3
    assert most["tenant:t1"] <= 2
    assert {row.generation for row in first.catalogue.runs()} == {1}
    first.catalogue.engine.dispose()


# --- fencing


def test_nothing_of_a_former_owner_is_written(ledger: Ledger, catalogue: Catalogue) -> None:
    old = begun(ledger, "a/b", "tenant:a", by="old")
    attempt = ledger.start_attempt(old, "copy")
    silence(catalogue, "old")
    assert ledger.reap(HERE, 10) == []
    new = ledger.claim(worker(ledger, "new"), NO_LIMITS)
    assert new
    assert (new.run.id, new.generation) == (old.run.id, 2)
    for write in (
        lambda: ledger.start_attempt(old, "copy"),
        lambda: ledger.end_attempt(old, attempt, Outcome.PASSED, detail=1),
        lambda: ledger.add_cleanup(old, "tidy", {}),
        lambda: ledger.pin(old, HERE, 3),
        lambda: ledger.progress(old, {"done": 1}),
        lambda: ledger.wait_begin(old, "approval"),
        lambda: ledger.wait_end(old, NO_LIMITS),
        lambda: ledger.release(old),
        lambda: ledger.hold_back(old, ValueError("no")),
        lambda: ledger.check(old),
        lambda: ledger.look(old),
        lambda: ledger.end(old, RunState.DONE),
        lambda: ledger.beat("old"),
        lambda: ledger.claim("old", NO_LIMITS),
    ):
        with pytest.raises(Superseded):
            write()
    assert catalogue.run(new.run.id) == new.run
    (row,) = catalogue.attempts(new.run.id)
    assert (row.outcome, row.generation, row.detail) == (Outcome.INTERRUPTED, 1, None)
    assert row.ended_at
    assert ledger.open_cleanups(new.run.id) == []
    assert ledger.start_attempt(new, "copy") > attempt


def test_the_same_worker_is_fenced_from_its_own_earlier_claim(ledger: Ledger) -> None:
    old = begun(ledger, by="w")
    ledger.release(old)
    assert ledger.claim("w", NO_LIMITS)
    with pytest.raises(Superseded):
        ledger.start_attempt(old, "copy")


# --- how a run goes


def test_attempts_are_the_evidence(ledger: Ledger, catalogue: Catalogue) -> None:
    claim = begun(ledger)
    good, bad, left = (ledger.start_attempt(claim, step) for step in ("good", "bad", "left"))
    ledger.end_attempt(claim, good, Outcome.PASSED, detail={"bytes": 3})
    ledger.end_attempt(claim, bad, Outcome.FAILED, error=CheckFailed("the pump is broken"))
    assert [each.outcome for each in catalogue.attempts(claim.run.id)] == ["passed", "failed", "started"]
    ledger.end(claim, RunState.FAILED, result={"x": 1}, error=CheckFailed("broken", hint="mend it"))
    ledger.end(claim, RunState.FAILED)
    with pytest.raises(Superseded):
        ledger.end(claim, RunState.DONE)
    row = catalogue.run(claim.run.id)
    assert (row.state, row.result, row.worker) == (RunState.FAILED, {"x": 1}, "w")
    assert (row.error_type, row.error, row.hint, row.exit_code) == ("CheckFailed", "broken", "mend it", 4)
    assert row.ended_at
    rows = {each.id: each for each in catalogue.attempts(claim.run.id)}
    assert (rows[good].detail, rows[bad].error_type, rows[bad].error) == (
        {"bytes": 3},
        "CheckFailed",
        "the pump is broken",
    )
    assert rows[left].outcome is Outcome.INTERRUPTED
    assert all(each.seconds is not None for each in rows.values())


def test_progress_and_pin_are_kept(ledger: Ledger, catalogue: Catalogue) -> None:
    claim = begun(ledger)
    ledger.progress(claim, {"what": "copy", "done": 3, "total": 5})
    ledger.pin(claim, HERE, 7)
    ledger.release(claim)
    row = catalogue.run(claim.run.id)
    assert (row.progress, row.pinned_host, row.pinned_step) == ({"what": "copy", "done": 3, "total": 5}, HERE, 7)


def test_a_run_that_waits_frees_its_slots_and_takes_them_again(ledger: Ledger, catalogue: Catalogue) -> None:
    limits = {**NO_LIMITS, "tenant": Limit(concurrent=1, per_minute=2)}
    one = begun(ledger, "a/1", "tenant:a")
    began = ledger.wait_begin(one, "approval")
    assert ledger.wait_begin(one, "approval") == began
    row = catalogue.run(one.run.id)
    assert (row.state, row.waiting_for) == (RunState.WAITING, "approval")
    with pytest.raises(Superseded):
        ledger.start_attempt(one, "before the wait is over")
    ledger.submit(order("a/2", "tenant:a"))
    two = ledger.claim("w", limits)
    assert two
    assert not ledger.wait_end(one, limits)
    ledger.end(two, RunState.DONE)
    assert ledger.wait_end(one, limits)
    assert ledger.wait_end(one, limits)
    row = catalogue.run(one.run.id)
    assert (row.state, row.waiting_for, row.generation) == (RunState.RUNNING, None, 1)
    ledger.submit(order("a/3", "tenant:a"))
    assert claimed(ledger, "w", limits) is None
    assert ledger.start_attempt(one, "after the wait")


def test_a_wait_goes_on_where_it_was_when_another_worker_resumes_it(ledger: Ledger, catalogue: Catalogue) -> None:
    old = begun(ledger, by="old")
    began = ledger.wait_begin(old, "approval")
    silence(catalogue, "old")
    ledger.reap(HERE, 10)
    assert (catalogue.run(old.run.id).state, catalogue.run(old.run.id).waiting_for) == (RunState.QUEUED, None)
    ledger.send(old.run.id, "approval", {"by": "wang"}, "wang")
    new = ledger.claim(worker(ledger, "new"), NO_LIMITS)
    assert new
    assert ledger.wait_begin(new, "approval") == began
    assert ledger.received(new.run.id, "approval") == {"by": "wang"}


def test_a_message_is_kept_until_it_is_waited_for_and_the_first_counts(ledger: Ledger) -> None:
    claim = begun(ledger)
    assert ledger.received(claim.run.id, "approval") is None
    ledger.send(claim.run.id, "approval", "yes", "wang")
    with pytest.raises(Refused, match="wang"):
        ledger.send(claim.run.id, "approval", "no", "zhao")
    ledger.wait_begin(claim, "approval")
    assert ledger.received(claim.run.id, "approval") == "yes"
    ledger.wait_begin(claim, "second")
    ledger.send(claim.run.id, "second", 2, "wang")
    assert ledger.received(claim.run.id, "second") == 2
    ledger.end(claim, RunState.DONE)
    with pytest.raises(Refused, match="ended"):
        ledger.send(claim.run.id, "third", "yes", "wang")


def test_a_run_that_is_held_back_says_why_and_is_left_alone_for_a_while(ledger: Ledger, catalogue: Catalogue) -> None:
    claim = begun(ledger)
    ledger.hold_back(claim, CheckFailed("the journal does not fit"))
    row = catalogue.run(claim.run.id)
    assert (row.state, row.error) == (RunState.QUEUED, "the journal does not fit")
    assert claimed(ledger, "w") is None
    with catalogue.engine.begin() as db:
        db.execute(update(t.runs).values(not_before=ledger.clock()))
    again = ledger.claim("w", NO_LIMITS)
    assert again
    assert again.run.error is None


# --- aborts


def test_a_run_that_was_never_claimed_is_aborted_at_once(ledger: Ledger) -> None:
    row = ledger.submit(order("a/b"))
    ended = ledger.request_abort(row.id, "li")
    assert (ended.state, ended.abort_requested_by) == (RunState.ABORTED, "li")
    assert ended.ended_at
    assert claimed(ledger, worker(ledger)) is None
    with pytest.raises(Refused, match="has ended"):
        ledger.request_abort(row.id, "li")
    with pytest.raises(UnknownName):
        ledger.request_abort("no-such-run", "li")


def test_a_run_at_work_hears_of_its_abort_before_the_next_step(ledger: Ledger, catalogue: Catalogue) -> None:
    claim = begun(ledger)
    attempt = ledger.start_attempt(claim, "copy")
    assert ledger.request_abort(claim.run.id, "li").state is RunState.RUNNING
    assert ledger.request_abort(claim.run.id, "zhao").abort_requested_by == "li"
    for heed in (
        lambda: ledger.start_attempt(claim, "next"),
        lambda: ledger.progress(claim, 1),
        lambda: ledger.wait_begin(claim, "approval"),
        lambda: ledger.look(claim),
    ):
        with pytest.raises(AbortRequested, match="li"):
            heed()
    ledger.check(claim)
    ledger.end_attempt(claim, attempt, Outcome.PASSED)
    ledger.end(claim, RunState.ABORTED)
    assert len(catalogue.attempts(claim.run.id)) == 1


def test_a_run_that_was_given_back_is_aborted_by_who_claims_it_next(ledger: Ledger) -> None:
    claim = begun(ledger)
    ledger.release(claim)
    assert ledger.request_abort(claim.run.id, "li").state is RunState.QUEUED
    again = ledger.claim("w", NO_LIMITS)
    assert again
    assert again.run.abort_requested_by == "li"
    with pytest.raises(AbortRequested):
        ledger.start_attempt(again, "copy")


# --- the dead


def test_a_silent_workers_runs_are_queued_again(ledger: Ledger, catalogue: Catalogue) -> None:
    claim = begun(ledger, "a/b", "tenant:a", by="silent")
    ledger.start_attempt(claim, "copy")
    worker(ledger, "loud")
    silence(catalogue, "silent")
    ledger.beat("loud")
    assert ledger.reap(HERE, 10) == []
    assert [each.id for each in catalogue.workers()] == ["loud"]
    row = catalogue.run(claim.run.id)
    assert (row.state, row.worker, row.generation) == (RunState.QUEUED, None, 1)
    assert catalogue.attempts(row.id)[0].outcome is Outcome.INTERRUPTED
    assert claimed(ledger, "loud", {"tenant": Limit(concurrent=1)}) == "a/b"


def test_a_beat_keeps_a_worker(ledger: Ledger, catalogue: Catalogue) -> None:
    worker(ledger, "w")
    silence(catalogue, "w")
    ledger.beat("w")
    assert ledger.reap(HERE, 10) == []
    assert [each.id for each in catalogue.workers()] == ["w"]


def test_a_dead_process_of_this_host_is_noticed_at_once(ledger: Ledger, catalogue: Catalogue) -> None:
    worker(ledger, "alive", host=HERE, pid=os.getpid())
    worker(ledger, "dead", host=HERE, pid=2**22 + 1)
    worker(ledger, "far", host=AWAY, pid=2**22 + 1)
    ledger.reap(HERE, 1000)
    assert sorted(each.id for each in catalogue.workers()) == ["alive", "far"]


def test_the_run_of_a_dead_command_is_its_finders_to_clear_up(ledger: Ledger, catalogue: Catalogue) -> None:
    claim = begun(ledger, by="command", kind="one-shot")
    ledger.add_cleanup(claim, "tidy", {"what": "it"})
    ledger.start_attempt(claim, "copy")
    silence(catalogue, "command")
    (row,) = ledger.reap(HERE, 10)
    assert row == catalogue.run(claim.run.id)
    assert (row.state, row.error_type, row.exit_code) == (RunState.INTERRUPTED, "Interrupted", 130)
    assert row.ended_at
    assert ledger.reap(HERE, 10) == []
    assert [each.action for each in ledger.open_cleanups(row.id)] == ["tidy"]
    assert catalogue.attempts(row.id)[0].ended_at == row.ended_at
    ledger.submit(order("a/b"))


def test_each_interrupted_run_is_found_by_one(url: str) -> None:
    ledgers = [Ledger(Catalogue(url)) for _ in range(4)]
    for number in range(20):
        begun(ledgers[0], f"s{number}", by=f"c{number}", kind="one-shot")
        silence(ledgers[0].catalogue, f"c{number}")
    found: list[str] = []

    def reap(ledger: Ledger) -> None:
        found.extend(row.id for row in ledger.reap(HERE, 10))

    threads = [threading.Thread(target=reap, args=(each,)) for each in ledgers]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (len(found), len(set(found))) == (20, 20)
    for ledger in ledgers:
        ledger.catalogue.engine.dispose()


def test_who_leaves_gives_back_what_it_still_has(ledger: Ledger, catalogue: Catalogue) -> None:
    kept = begun(ledger, "a/1", by="w")
    cut = begun(ledger, "a/2", by="command", kind="one-shot")
    for name in ("w", "command", "w"):
        ledger.dismiss(name)
    assert catalogue.run(kept.run.id).state is RunState.QUEUED
    assert catalogue.run(cut.run.id).state is RunState.INTERRUPTED
    assert catalogue.workers() == []


def test_a_claim_whose_answer_was_lost_is_given_back(ledger: Ledger, catalogue: Catalogue) -> None:
    known, lost = begun(ledger, "a/1", by="w"), ledger.submit(order("a/2"))
    ledger.claim("w", NO_LIMITS, run_id=lost.id)
    assert ledger.disown("w", [known.run.id]) == [lost.id]
    assert ledger.disown("w", [known.run.id]) == []
    assert catalogue.run(lost.id).state is RunState.QUEUED
    ledger.check(known)


# --- clean-ups


def test_cleanups_are_the_last_made_first_and_closed_once(ledger: Ledger) -> None:
    claim = begun(ledger)
    ledger.add_cleanup(claim, "first", {"a": "1"})
    ledger.add_cleanup(claim, "second", {}, host=HERE)
    ledger.add_cleanup(claim, "third", {}, on_failure=True)
    third, second, first = ledger.open_cleanups(claim.run.id)
    assert (first.action, first.arguments, first.host, first.on_failure) == ("first", {"a": "1"}, None, False)
    assert (second.host, third.on_failure) == (HERE, True)
    ledger.close_cleanup(second.id)
    assert [each.action for each in ledger.open_cleanups(claim.run.id)] == ["third", "first"]


@pytest.mark.parametrize("state", [RunState.DONE, RunState.FAILED])
def test_what_an_ended_run_left_is_done_where_it_can_be(ledger: Ledger, state: RunState) -> None:
    claim = begun(ledger)
    ledger.add_cleanup(claim, "anywhere", {})
    ledger.add_cleanup(claim, "here", {}, host=HERE)
    ledger.add_cleanup(claim, "there", {}, host=AWAY)
    ledger.add_cleanup(claim, "undo", {}, on_failure=True)
    assert ledger.orphaned_cleanups(HERE) == []
    ledger.end(claim, state)
    undo = [] if state is RunState.DONE else ["undo"]
    assert [each.action for each in ledger.orphaned_cleanups(HERE)] == [*undo, "here", "anywhere"]
    assert [each.action for each in ledger.orphaned_cleanups(AWAY)] == [*undo, "there", "anywhere"]


# --- housekeeping


def test_old_runs_are_forgotten_but_for_drills_and_what_must_be_taken_away(
    ledger: Ledger, catalogue: Catalogue
) -> None:
    by = worker(ledger)
    for flow, subject in (("backup", "old"), ("drill", "plan"), ("backup", "littered"), ("backup", "aborted")):
        row = ledger.submit(order(subject, "tenant:a", flow=flow))
        claim = ledger.claim(by, NO_LIMITS, run_id=row.id)
        assert claim
        ledger.end_attempt(claim, ledger.start_attempt(claim, "step"), Outcome.PASSED)
        ledger.add_cleanup(claim, "tidy", {})
        if subject != "littered":
            ledger.close_cleanup(ledger.open_cleanups(row.id)[0].id)
        ledger.wait_begin(claim, "approval")
        ledger.end(claim, RunState.DONE)
    ledger.submit(order("open"))
    assert ledger.forget(ledger.clock() - HOUR) == 0
    assert ledger.forget(ledger.clock() + HOUR, at_most=0) == 0
    assert ledger.forget(ledger.clock() + HOUR) == 2
    assert sorted(each.subject for each in catalogue.runs()) == ["littered", "open", "plan"]
    with catalogue.engine.begin() as db:
        assert len(db.execute(select(t.attempts)).all()) == 2


def test_runs_are_found_by_what_they_are(ledger: Ledger, catalogue: Catalogue) -> None:
    claim = begun(ledger, "a/1")
    ledger.submit(order("a/2"))
    ledger.submit(order("a/1", flow="replicate"))
    assert [each.subject for each in catalogue.runs(flow="backup", states=[RunState.QUEUED])] == ["a/2"]
    assert len(catalogue.runs(subject="a/1")) == 2
    assert [each.id for each in catalogue.runs(state=RunState.RUNNING)] == [claim.run.id]
    assert len(catalogue.runs(limit=2)) == 2
    assert catalogue.runs(states=[]) == []
