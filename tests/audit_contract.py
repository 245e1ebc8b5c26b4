"""What holds of the audit chain, whatever database is behind it. Run on SQLite and on PostgreSQL.

Who runs it has the fixtures `url` (an empty database of its own) and `writers` (how many write at once).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, update

from orchestrator.catalogue import audit
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.audit_check import before, check, entries, head
from orchestrator.catalogue.database import now
from orchestrator.catalogue.ledger import Claim, Ledger
from orchestrator.catalogue.records import DrillRow, Order, Outcome, RunState, WorkerRow
from orchestrator.catalogue.store import Catalogue
from policies.limits import Limit, Limits

NO_LIMITS: Limits = {kind: Limit(concurrent=1000) for kind in ("centre", "vault", "cloud", "tenant")}


@pytest.fixture
def catalogue(url: str) -> Iterator[Catalogue]:
    made = Catalogue(url)
    yield made
    made.engine.dispose()


@pytest.fixture(params=["sha256", "sm3"])
def ledger(catalogue: Catalogue, request: pytest.FixtureRequest) -> Ledger:
    return Ledger(catalogue, audit.Auditing(request.param, f"{request.param}:configuration"))


def claim_one(ledger: Ledger, subject: str, *, flow: str = "drill", by: str = "w") -> Claim:
    run = ledger.submit(Order(flow=flow, subject=subject, arguments={}, slots=(), requested_by="li@desk"))
    ledger.enlist(WorkerRow(f"{by}-{subject}", "worker", "away", 1, 1, "1", 1, now(), now()))
    claim = ledger.claim(f"{by}-{subject}", NO_LIMITS, run_id=run.id)
    assert claim
    return claim


def drill_row(run: str) -> DrillRow:
    return DrillRow(
        run, "p", "t", "s", "same-city", "restore", None, now(), now(), "met", 1.5, 2.25, {"detect": 0.1}, 7, None
    )


def held(ledger: Ledger, subject: str = "p@same-city", steps: int = 3) -> str:
    """Hold a drill of some steps, one of which fails, with an approval; return its run."""
    claim = claim_one(ledger, subject)
    for number in range(steps):
        attempt = ledger.start_attempt(claim, f"step-{number}")
        wrong = ValueError("数据不符") if number == 1 else None
        ledger.end_attempt(
            claim, attempt, Outcome.FAILED if wrong else Outcome.PASSED, detail={"b": [1, 0.1], "a": "数"}, error=wrong
        )
    ledger.send(claim.run.id, "approve", {"yes": True}, "wang@desk")
    ledger.catalogue.add_drill(drill_row(claim.run.id))
    ledger.end(claim, RunState.DONE, result={"x": 1})
    ledger.sealer.now()
    return claim.run.id


def test_everything_a_run_does_stands_in_the_chain_in_its_order(ledger: Ledger) -> None:
    run = held(ledger)
    told = entries(ledger.catalogue.engine)
    assert [each.kind for each in told] == ["attempt", "attempt", "attempt", "message", "drill", "run"]
    assert [each.number for each in told] == [1, 2, 3, 4, 5, 6]
    assert {each.run for each in told} == {run}
    assert told[1].body["error"] == "数据不符"
    assert (told[3].body["by"], told[3].body["message"]) == ("wang@desk", {"yes": True})
    assert told[4].body["rto_seconds"] == 2.25
    assert told[5].body["requested_by"] == "li@desk"
    assert told[5].body["configuration"] == ledger.auditing.configuration
    assert all(each.digest.startswith(f"{ledger.auditing.digest}:") for each in told)
    checked = check(ledger.catalogue)
    assert (checked.broken, checked.entries, checked.unsealed, checked.rows) == (None, 6, 0, 4)
    assert head(ledger.catalogue.engine) == (6, told[-1].digest) == (checked.last, checked.head)
    assert before(ledger.catalogue.engine, 1) == audit.GENESIS
    assert before(ledger.catalogue.engine, 4) == told[2].digest


def test_an_attempt_is_closed_once(ledger: Ledger) -> None:
    claim = claim_one(ledger, "p")
    attempt = ledger.start_attempt(claim, "step")
    ledger.end_attempt(claim, attempt, Outcome.PASSED)
    ledger.end_attempt(claim, attempt, Outcome.FAILED)  # the answer to the first was lost
    ledger.sealer.now()
    assert [each.body["outcome"] for each in entries(ledger.catalogue.engine)] == ["passed"]
    assert check(ledger.catalogue).broken is None


def test_what_was_cut_off_and_aborted_is_told_too(ledger: Ledger) -> None:
    claim = claim_one(ledger, "p")
    ledger.start_attempt(claim, "step")
    ledger.request_abort(claim.run.id, "zhao@desk")
    ledger.release(claim)
    queued = ledger.submit(Order(flow="backup", subject="q", arguments={}, slots=()))
    ledger.request_abort(queued.id, "zhao@desk")
    ledger.sealer.now()
    told = entries(ledger.catalogue.engine)
    assert [each.kind for each in told] == ["abort", "attempt", "abort", "run"]
    assert told[1].body["outcome"] == "interrupted"
    assert (told[3].body["state"], told[3].body["run"]) == ("aborted", queued.id)
    assert check(ledger.catalogue).broken is None


def test_unsealed_entries_are_counted_and_the_next_who_comes_seals_them(catalogue: Catalogue) -> None:
    with catalogue.engine.begin() as db:
        for number in range(audit.AT_ONCE + 5):
            audit.note(db, "finding", None, now(), {"n": number})
    assert check(catalogue).unsealed == audit.AT_ONCE + 5
    assert audit.seal(catalogue.engine, "sha256", wait=True) == audit.AT_ONCE + 5
    assert audit.seal(catalogue.engine, "sha256") == 0
    checked = check(catalogue)
    assert (checked.unsealed, checked.last, checked.broken) == (0, audit.AT_ONCE + 5, None)


def _edit(number: int, **values: Any) -> Any:
    return update(t.audit).where(t.audit.c.number == number).values(**values)


FORGERIES = {
    "a body": (lambda: _edit(2, body='{"x":1}'), 2, "digest does not fit"),
    "a body that is no JSON": (lambda: _edit(2, body="x"), 2, "no JSON"),
    "a time": (lambda: _edit(3, at=now() - timedelta(days=1)), 3, "digest does not fit"),
    "a kind": (lambda: _edit(3, kind="message"), 3, "digest does not fit"),
    "a run": (lambda: _edit(1, run_id="other"), 1, "digest does not fit"),
    "a digest": (lambda: _edit(4, digest="sha256:" + "0" * 64), 4, "digest does not fit"),
    "an entry that is gone": (lambda: delete(t.audit).where(t.audit.c.number == 3), 3, "is not there"),
    "the first entry gone": (lambda: delete(t.audit).where(t.audit.c.number == 1), 1, "is not there"),
    "an attempt's step": (lambda: update(t.attempts).where(t.attempts.c.id == 2).values(step="x"), 2, "was changed"),
    "an attempt's time": (
        lambda: update(t.attempts).where(t.attempts.c.id == 2).values(ended_at=now()), 2, "was changed",
    ),
    "an attempt's detail": (lambda: update(t.attempts).where(t.attempts.c.id == 3).values(detail={}), 3, "was changed"),
    "an attempt that is gone": (lambda: delete(t.attempts).where(t.attempts.c.id == 2), 2, "not in the catalogue"),
    "a drill's verdict": (lambda: update(t.drills).values(verdict="failed"), 5, "was changed"),
    "a drill that is gone": (lambda: delete(t.drills), 5, "is gone"),
}  # fmt: skip


@pytest.mark.parametrize("forged", FORGERIES)
def test_the_first_broken_entry_is_named(catalogue: Catalogue, forged: str) -> None:
    held(Ledger(catalogue))
    statement, number, what = FORGERIES[forged]
    with catalogue.engine.begin() as db:
        db.execute(statement())
    broken = check(catalogue).broken
    assert broken
    assert (broken.number, what in broken.what) == (number, True), broken


def test_an_attempt_that_was_slipped_in_is_found(catalogue: Catalogue) -> None:
    run = held(Ledger(catalogue))
    with catalogue.engine.begin() as db:
        values = {"run_id": run, "generation": 1, "step": "probe", "outcome": "passed", "detail": None}
        db.execute(insert(t.attempts).values(**values, started_at=now(), ended_at=now()))
    broken = check(catalogue).broken
    assert broken
    assert "4 attempts" in broken.what


def test_a_tail_that_was_cut_off_is_found_by_who_kept_a_digest(catalogue: Catalogue) -> None:
    ledger = Ledger(catalogue)
    held(ledger)
    number, digest = head(catalogue.engine)
    assert check(catalogue, {number: digest}).broken is None
    with catalogue.engine.begin() as db:
        db.execute(delete(t.audit).where(t.audit.c.number == number))
    assert check(catalogue).broken is None  # the chain alone cannot know what came after it
    broken = check(catalogue, {number: digest}).broken
    assert broken
    assert "seen elsewhere" in broken.what


def test_a_chain_that_was_made_anew_is_found_by_who_kept_a_digest(catalogue: Catalogue) -> None:
    held(Ledger(catalogue))
    number, digest = head(catalogue.engine)
    with catalogue.engine.begin() as db:
        told = json.loads(db.execute(select(t.audit.c.body).where(t.audit.c.kind == "message")).scalar_one())
        forged = audit.canonical({**told, "by": "nobody"})
        db.execute(update(t.audit).where(t.audit.c.kind == "message").values(body=forged))
        db.execute(update(t.audit).values(number=None, digest=None))
    audit.seal(catalogue.engine, "sha256", wait=True)
    assert check(catalogue).broken is None
    broken = check(catalogue, {number: digest}).broken
    assert broken
    assert "kept elsewhere" in broken.what


def test_forgotten_runs_stay_in_the_chain(ledger: Ledger) -> None:
    claim = claim_one(ledger, "a/b", flow="backup")
    ledger.end_attempt(claim, ledger.start_attempt(claim, "step"), Outcome.PASSED)
    ledger.end(claim, RunState.DONE)
    held(ledger)
    assert ledger.forget(now() + timedelta(hours=1)) == 1
    ledger.sealer.now()
    checked = check(ledger.catalogue)
    assert checked.broken is None
    assert (checked.entries, checked.rows) == (9, 4)  # the attempt of the forgotten run cannot be looked at any more
    assert entries(ledger.catalogue.engine, newest=1)[0].body == {"runs": [claim.run.id]}


def test_old_entries_are_let_go_and_the_chain_goes_on_from_their_digest(catalogue: Catalogue) -> None:
    ledger = Ledger(catalogue)
    first = held(ledger, "old")
    _, last = head(catalogue.engine)
    moment = now()
    second = held(ledger, "new")
    assert ledger.trim_audit(moment) == 6
    assert ledger.trim_audit(moment) == 0
    ledger.sealer.now()
    checked = check(catalogue)
    assert (checked.broken, checked.first, checked.last) == (None, 7, 13)
    told = entries(catalogue.engine)
    assert {each.run for each in told[:-1]} == {second}
    assert told[-1].body == {"up_to": 6, "digest": last, "entries": 6}
    assert before(catalogue.engine, 7) == last
    assert before(catalogue.engine, 3) is None
    with catalogue.engine.begin() as db:
        assert db.execute(select(func.count()).select_from(t.audit_roots)).scalar_one() == 1
        db.execute(update(t.audit_roots).values(digest="sha256:" + "1" * 64))
    assert check(catalogue).broken
    assert catalogue.attempts(first)


def test_a_configuration_is_told_when_it_is_another_one(catalogue: Catalogue) -> None:
    one, other = {"digest": "sha256:1", "plans": "sha256:2"}, {"digest": "sha256:3", "plans": "sha256:2"}
    noted = [audit.note_configuration(catalogue.engine, each, "li@desk", "p") for each in (one, one, other, other, one)]
    assert noted == [True, False, True, False, True]
    audit.seal(catalogue.engine, "sha256", wait=True)
    assert [each.body["digest"] for each in entries(catalogue.engine)] == ["sha256:1", "sha256:3", "sha256:1"]


def test_the_chain_never_forks_and_loses_nothing_when_many_write_and_seal_at_once(
    catalogue: Catalogue, url: str, writers: int
) -> None:
    failed: list[BaseException] = []

    def write(name: str) -> None:
        mine = Catalogue(url)
        try:
            for each in range(4):
                held(Ledger(mine), f"{name}-{each}")
        except BaseException as error:  # noqa: BLE001
            failed.append(error)
        finally:
            mine.engine.dispose()

    threads = [threading.Thread(target=write, args=(f"w{number}",)) for number in range(writers)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failed
    audit.seal(catalogue.engine, "sha256", wait=True)
    checked = check(catalogue)
    assert (checked.broken, checked.entries, checked.last, checked.unsealed) == (None, *[writers * 4 * 6] * 2, 0)
