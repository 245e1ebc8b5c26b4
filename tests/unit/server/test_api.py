"""The API over a real catalogue: what it answers, and with which status."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from fake_flows import BY, HEADERS, TOKEN, Hand
from starlette.testclient import TestClient

from orchestrator.catalogue.records import Outcome, RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import CheckFailed, InvalidInput
from orchestrator.server import api as api_module
from orchestrator.server import who
from orchestrator.server.gate import LARGEST_REQUEST

START = {"flow": "backup", "arguments": {"system": "bureau/registry"}, "reason": "before the upgrade"}
OTHER = {**HEADERS, "X-Tricenter-User": "wang.fang@ops-2"}


def told(got: Any, status: int) -> dict[str, Any]:
    assert got.status_code == status, got.text
    answered: dict[str, Any] = got.json()
    if status >= 400:
        assert set(answered) == {"error", "hint", "exit_code"}
        assert answered["error"]
    return answered


# --- who may


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"]
)
@pytest.mark.parametrize("path", ["runs", "workers", "nothing"])
def test_without_the_token_nothing_is_told(api: TestClient, header: str | None, path: str) -> None:
    del api.headers["Authorization"]
    got = api.get(path, headers={} if header is None else {"Authorization": header.encode()})  # type: ignore[dict-item]
    assert told(got, 401)["exit_code"] == 2
    assert got.headers["WWW-Authenticate"] == "Bearer"
    assert TOKEN not in got.text


def test_nothing_is_done_without_the_token(api: TestClient, store: Catalogue) -> None:
    told(api.post("runs", json=START, headers={"Authorization": "Bearer wrong"}), 401)
    assert store.runs() == []


@pytest.mark.parametrize("user", ["", "li.wei", "li wei@ops", "li.wei@", "@ops-1", "a" * 65 + "@ops", "li%0Awei@ops"])
def test_whoever_has_something_done_says_who(api: TestClient, store: Catalogue, user: str) -> None:
    assert "NAME@HOST" in told(api.post("runs", json=START, headers={"X-Tricenter-User": user}), 400)["error"]
    assert store.runs() == []


# --- asking for a run


def test_a_run_is_queued_as_its_flow_says(api: TestClient, store: Catalogue) -> None:
    run = told(api.post("runs", json=START), 201)["run"]
    (row,) = store.runs()
    assert (row.id, row.state, row.priority, row.requested_by) == (run["id"], RunState.QUEUED, 0, BY)
    assert (row.subject, row.slots, row.reason) == ("bureau/registry", ("tenant:bureau",), "before the upgrade")


def test_a_name_in_chinese_is_recorded_as_it_is(api: TestClient, store: Catalogue) -> None:
    told(api.post("runs", json=START, headers={"X-Tricenter-User": "%E6%9D%8E%E4%BC%9F@ops-1"}), 201)
    assert store.runs()[0].requested_by == "李伟@ops-1"


def test_a_second_run_of_the_same_is_busy_and_names_the_first(api: TestClient) -> None:
    first = told(api.post("runs", json=START), 201)["run"]
    answered = told(api.post("runs", json=START), 409)
    assert first["id"] in answered["error"]
    assert answered["exit_code"] == 5


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"flow": "bakcup"}, "did you mean 'backup'?"),
        ({"flow": 7}, "known: backup, verify"),
        ({}, "known: backup, verify"),
        ({"flow": "backup"}, "system=… [note=…]"),
        ({"flow": "backup", "arguments": {"sytem": "x"}}, "did you mean 'system'?"),
        ({"flow": "backup", "arguments": {"system": "bureau/registri"}}, "did you mean 'bureau/registry'?"),
        ({"flow": "backup", "arguments": {"system": 7}}, "one line"),
        ({"flow": "backup", "arguments": {"system": "x\ny"}}, "one line"),
        ({"flow": "backup", "arguments": {"system": "x" * 201}}, "one line"),
        ({"flow": "backup", "arguments": ["system"]}, "must be an object"),
        ({**START, "reason": ["x"]}, "reason must be one line"),
        ({**START, "priority": "9"}, "no field of this request named 'priority'"),
    ],
)
def test_what_cannot_be_asked_for_says_why(api: TestClient, store: Catalogue, sent: dict[str, Any], words: str) -> None:
    answered = told(api.post("runs", json=sent), 400)
    assert words in answered["error"] + " " + answered["hint"]
    assert answered["exit_code"] == 2
    assert store.runs() == []


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"null", b"[" * 50_000])
def test_what_is_no_object_is_refused(api: TestClient, body: bytes) -> None:
    assert "no JSON object" in told(api.post("runs", content=body), 400)["error"]


def test_too_large_a_request_is_not_read(api: TestClient) -> None:
    told(api.post("runs", content=b" " * (LARGEST_REQUEST + 1)), 413)


# --- looking


def test_runs_are_listed_by_filter_and_page(api: TestClient, hand: Hand) -> None:
    first, second = hand.submit("bureau/registry", reason="one"), hand.submit("bureau/notices")
    claim = hand.claim(first)
    hand.ledger.start_attempt(claim, "dump")

    def ids(**asked: Any) -> list[str]:
        return [each["id"] for each in told(api.get("runs", params=asked), 200)["runs"]]

    everything = ids()
    assert sorted(everything) == sorted([first.id, second.id])
    assert ids(limit=1) == everything[:1]
    assert ids(limit=1, before=everything[0]) == everything[1:]
    assert ids(before=everything[1]) == []
    assert ids(state="running") == [first.id]
    assert sorted(ids(state=["running", "queued"])) == sorted(everything)
    assert ids(subject="bureau/notices") == [second.id]
    assert ids(flow="verify") == []
    (running,) = told(api.get("runs", params={"state": "running"}), 200)["runs"]
    assert (running["step"], running["worker"], running["reason"]) == ("dump", "hand", "one")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("state=runing", "did you mean 'running'?"),
        ("limit=0", "from 1 to 500"),
        ("limit=501", "from 1 to 500"),
        ("limit=٣", "from 1 to 500"),
        ("stat=running", "no filter 'stat'"),
    ],
)
def test_filters_that_there_are_not(api: TestClient, query: str, words: str) -> None:
    answered = told(api.get(f"runs?{query}"), 400)
    assert words in answered["error"] + answered["hint"]


def test_a_run_is_shown_with_what_it_did(api: TestClient, hand: Hand) -> None:
    claim = hand.claim(hand.submit())
    hand.ledger.add_cleanup(claim, "remove-scratch", {"folder": "x"}, host="ops-1")
    done = hand.ledger.start_attempt(claim, "dump")
    hand.ledger.end_attempt(claim, done, Outcome.PASSED, detail={"bytes": 5})
    open_ = hand.ledger.start_attempt(claim, "upload")
    hand.ledger.progress(claim, {"what": "upload", "done": 1, "total": 4})
    shown = told(api.get(f"runs/{claim.run.id}"), 200)
    assert (shown["run"]["state"], shown["run"]["step"]) == ("running", "upload")
    assert shown["run"]["progress"] == {"what": "upload", "done": 1, "total": 4}
    assert [(each["step"], each["outcome"]) for each in shown["attempts"]] == [
        ("dump", "passed"),
        ("upload", "started"),
    ]
    assert shown["attempts"][0]["detail"] == {"bytes": 5}
    (cleanup,) = shown["cleanups"]
    assert (cleanup["action"], cleanup["host"], cleanup["done"]) == ("remove-scratch", "ops-1", False)
    later = told(api.get(f"runs/{claim.run.id}/attempts", params={"after": done}), 200)
    assert [each["id"] for each in later["attempts"]] == [open_]
    told(api.get(f"runs/{claim.run.id}/attempts", params={"after": "x"}), 400)


def test_workers_are_listed(api: TestClient, hand: Hand) -> None:
    (worker,) = told(api.get("workers"), 200)["workers"]
    assert (worker["id"], worker["kind"], worker["jobs"]) == (hand.worker, "server", 4)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "runs/none"),
        ("GET", "runs/none/attempts"),
        ("POST", "runs/none/abort"),
        ("POST", "runs/none/retry"),
        ("POST", "runs/none/approve"),
        ("GET", "nothing"),
        ("GET", "runs/a/b/c"),
    ],
)
def test_what_is_not_there_is_not_found(api: TestClient, method: str, path: str) -> None:
    assert told(api.request(method, path), 404)["exit_code"] == 2


@pytest.mark.parametrize(("method", "path"), [("DELETE", "runs"), ("POST", "workers"), ("GET", "runs/x/abort")])
def test_methods_that_there_are_not(api: TestClient, method: str, path: str) -> None:
    told(api.request(method, path), 405)


# --- having it otherwise


def test_a_queued_run_is_aborted_at_once_and_a_running_one_is_asked(api: TestClient, hand: Hand) -> None:
    queued, claim = hand.submit("bureau/notices"), hand.claim(hand.submit())
    assert told(api.post(f"runs/{queued.id}/abort"), 200)["run"]["state"] == "aborted"
    asked = told(api.post(f"runs/{claim.run.id}/abort"), 200)["run"]
    assert (asked["state"], asked["abort_requested_by"]) == ("running", BY)
    assert "has ended" in told(api.post(f"runs/{queued.id}/abort"), 409)["error"]


def test_retry_asks_for_the_same_again(api: TestClient, hand: Hand, store: Catalogue) -> None:
    claim = hand.claim(hand.submit(reason="the first"))
    assert "has not ended" in told(api.post(f"runs/{claim.run.id}/retry"), 409)["error"]
    hand.ledger.end(claim, RunState.FAILED, error=CheckFailed("it was not so", hint="look"))
    again = told(api.post(f"runs/{claim.run.id}/retry", headers=OTHER), 201)["run"]
    assert again["id"] != claim.run.id
    row = store.run(again["id"])
    assert (row.flow, row.subject, row.arguments) == ("backup", "bureau/registry", {"system": "bureau/registry"})
    assert (row.retry_of, row.requested_by, row.reason) == (claim.run.id, "wang.fang@ops-2", "the first")
    failed = told(api.get(f"runs/{claim.run.id}"), 200)["run"]
    assert (failed["error_type"], failed["error"], failed["hint"], failed["exit_code"]) == (
        "CheckFailed",
        "it was not so",
        "look",
        4,
    )


def test_another_person_approves(api: TestClient, hand: Hand) -> None:
    claim = hand.waiting()
    path = f"runs/{claim.run.id}/approve"
    told(api.post(path, json={"topic": "approval", "message": "go"}), 200)
    assert hand.ledger.received(claim.run.id, "approval") == {"by": BY, "message": "go"}
    told(api.post(path, json={"topic": "approval"}), 409)


@pytest.mark.parametrize("who", ["wang.fang@ops-2", "wang.fang@elsewhere", "WANG.FANG@ops-2"])
def test_who_asked_does_not_approve(api: TestClient, hand: Hand, who: str) -> None:
    claim = hand.waiting()
    answered = told(
        api.post(f"runs/{claim.run.id}/approve", json={"topic": "approval"}, headers={"X-Tricenter-User": who}), 403
    )
    assert "cannot approve it as well" in answered["error"]
    assert answered["exit_code"] == 5
    assert hand.ledger.received(claim.run.id, "approval") is None


def test_only_what_waits_is_approved_and_only_for_that(api: TestClient, hand: Hand) -> None:
    queued, claim = hand.submit("bureau/notices", by="x@y"), hand.waiting()
    answered = told(api.post(f"runs/{queued.id}/approve", json={"topic": "approval"}), 409)
    assert "waits for nothing" in answered["error"]
    answered = told(api.post(f"runs/{claim.run.id}/approve", json={"topic": "holiday"}), 409)
    assert "waits for 'approval' and not for 'holiday'" in answered["error"]
    assert hand.ledger.received(claim.run.id, "holiday") is None


# --- trouble


def test_a_catalogue_that_is_gone_is_503_and_says_no_more(api: TestClient, store: Catalogue, tmp_path: Path) -> None:
    store.engine.dispose()
    (tmp_path / "catalogue.sqlite").unlink()
    for got in (api.get("runs"), api.get("runs/x/attempts")):
        answered = told(got, 503)
        assert answered["exit_code"] == 6
        assert str(tmp_path) not in got.text


def test_a_fault_of_the_program_is_500_and_tells_its_kind_only(
    api: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret may be here")

    monkeypatch.setattr(api_module, "list_runs", broken)
    answered = told(api.get("runs"), 500)
    assert (answered["error"], answered["exit_code"]) == ("unexpected: RuntimeError", 1)
    assert "a secret may be here" in caplog.text, "the log has it"


def test_no_answer_in_time_is_504(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(api_module, "list_runs", lambda *_, **__: time.sleep(0.5))
    assert told(api.get("runs"), 504)["exit_code"] == 6


# --- the token


def test_the_token_is_made_once_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRICENTER_API_TOKEN_FILE", raising=False)
    token = who.own_token(tmp_path)
    assert len(token) >= 40
    assert who.own_token(tmp_path) == token
    assert (tmp_path / "api-token").stat().st_mode & 0o777 == 0o600


def test_a_token_file_that_is_named_is_read_and_never_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "named"
    monkeypatch.setenv("TRICENTER_API_TOKEN_FILE", str(named))
    with pytest.raises(InvalidInput, match="cannot be read"):
        who.own_token(tmp_path)
    named.write_text("mine\n")
    named.chmod(0o644)
    with pytest.raises(InvalidInput, match="read by others"):
        who.own_token(tmp_path)
    named.chmod(0o600)
    assert who.own_token(tmp_path) == "mine"
    assert not (tmp_path / "api-token").exists()
