"""`tricenter run …` against a real server on a free port, whose rows the test moves as a worker would."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fake_flows import BY, TOKEN, Hand, control_of

from orchestrator.catalogue.records import Outcome, RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.cli import run as tricenter
from orchestrator.errors import CheckFailed, CredentialRefused, InvalidInput, Refused, Unreachable
from orchestrator.person import login_name
from orchestrator.server import run_watch
from orchestrator.server.client import Client
from orchestrator.server.control import Served
from orchestrator.server.http import application
from orchestrator.server.listening import HttpServer, listen_on
from policies.site import Site

Serve = Callable[[int], HttpServer]


@pytest.fixture
def serve(site: Site, store: Catalogue) -> Serve:
    return lambda port: HttpServer(application(Served(site, store, control_of(store))), listen_on("127.0.0.1", port))


@pytest.fixture
def server(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    with serve(0) as made:
        point_at(made.url, tmp_path, monkeypatch)
        yield made


def point_at(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    monkeypatch.setenv("TRICENTER_SERVER", url)
    monkeypatch.setenv("TRICENTER_API_TOKEN_FILE", str(file))
    monkeypatch.setattr(run_watch, "POLL_SECONDS", 0.02)


def port_of(server: HttpServer) -> int:
    return int(server.url.strip("/").rpartition(":")[2])


def free_port() -> int:
    with closing(listen_on("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


# --- the client


def test_the_error_that_was_answered_is_raised(server: HttpServer, hand: Hand) -> None:
    client = Client(server.url, lambda: TOKEN)
    with pytest.raises(InvalidInput, match="no flow named 'bakcup'") as unknown:
        client.post("runs", {"flow": "bakcup"})
    assert unknown.value.hint == "did you mean 'backup'?"
    hand.submit()
    with pytest.raises(Refused, match="already"):
        client.post("runs", {"flow": "backup", "arguments": {"system": "bureau/registry"}})
    with pytest.raises(CredentialRefused, match="another one"):
        Client(server.url, lambda: "wrong").get("runs")
    with pytest.raises(CredentialRefused, match="wants its bearer token"):
        Client(server.url, lambda: "").get("runs")


def test_names_in_chinese_go_across(server: HttpServer, store: Catalogue) -> None:
    client = Client(server.url, lambda: TOKEN, user="李伟@ops-1")
    client.post("runs", {"flow": "backup", "arguments": {"system": "bureau/registry", "note": "升级前"}})
    (row,) = store.runs()
    assert (row.requested_by, row.arguments["note"]) == ("李伟@ops-1", "升级前")


def test_something_else_on_the_port_is_not_our_server() -> None:
    with closing(listen_on("127.0.0.1", 0)) as other:
        answering = threading.Thread(target=_answer, args=(other, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
        answering.start()
        with pytest.raises(Unreachable, match="not as a server of this program"):
            Client(f"http://127.0.0.1:{other.getsockname()[1]}", lambda: TOKEN).get_once("runs")
        answering.join()


def test_a_redirect_does_not_take_the_token_along() -> None:
    with closing(listen_on("127.0.0.1", 0)) as other, closing(listen_on("127.0.0.1", 0)) as thief:
        sent = (
            f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{thief.getsockname()[1]}/\r\nContent-Length: 0\r\n\r\n"
        )
        answering = threading.Thread(target=_answer, args=(other, sent.encode()))
        answering.start()
        with pytest.raises(Unreachable):
            Client(f"http://127.0.0.1:{other.getsockname()[1]}", lambda: TOKEN).get_once("runs")
        answering.join()
        thief.settimeout(0.1)
        with pytest.raises(TimeoutError):
            thief.accept()


def _answer(listening: socket.socket, sent: bytes) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(sent)


@pytest.mark.parametrize("address", ["", "127.0.0.1:15090", "ftp://x", "http://", "http://me:pass@x", "http://x?y"])
def test_what_is_no_server(address: str) -> None:
    with pytest.raises(InvalidInput, match="TRICENTER_SERVER"):
        Client(address, lambda: TOKEN)


# --- commands


@pytest.mark.parametrize(
    "arguments", [["list"], ["show", "x"], ["watch", "x"], ["retry", "x"], ["abort", "x", "--yes"]]
)
def test_a_server_that_is_down_is_said_how_to_start(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    point_at(f"http://127.0.0.1:{port}", tmp_path, monkeypatch)
    assert tricenter(["run", *arguments]) == 6
    shown = capsys.readouterr().err
    assert "nothing listens there" in shown
    assert f"start it: tricenter serve --listen 127.0.0.1:{port}" in shown


def test_without_a_token_yet_the_server_is_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dalian = Path(__file__).parents[3] / "examples" / "dalian"
    monkeypatch.delenv("TRICENTER_API_TOKEN_FILE", raising=False)
    monkeypatch.delenv("TRICENTER_SITE", raising=False)
    monkeypatch.setenv("TRICENTER_SERVER", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr("orchestrator.app.DEFAULT_STATE", tmp_path)
    assert tricenter(["--site", str(dalian), "run", "list"]) == 6
    assert f"start it: tricenter --site {dalian} serve" in capsys.readouterr().err


def test_list_shows_runs_for_people_and_for_programs(
    server: HttpServer, hand: Hand, capsys: pytest.CaptureFixture[str]
) -> None:
    claim = hand.claim(hand.submit(reason="升级前 [all]"))
    hand.ledger.start_attempt(claim, "dump:register")
    hand.ledger.progress(claim, {"what": "dump", "done": 1, "total": 4})
    assert tricenter(["run", "list"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for words in (
        claim.run.id,
        "运行 running",
        "bureau/registry",
        "dump:register",
        "dump 25%",
        BY,
        "升级前 [all]",
        "hand",
    ):
        assert words in shown
    assert tricenter(["run", "list", "--state", "queued"]) == 0
    assert "没有任务 no runs" in capsys.readouterr().out
    assert tricenter(["run", "list", "--state", "running", "--output", "json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert (run["id"], run["step"]) == (claim.run.id, "dump:register")


def test_show_tells_everything_of_a_run(server: HttpServer, hand: Hand, capsys: pytest.CaptureFixture[str]) -> None:
    claim = hand.claim(hand.submit(reason="why not"))
    hand.ledger.add_cleanup(claim, "remove-scratch", {"folder": "x"}, host="ops-1")
    attempt = hand.ledger.start_attempt(claim, "dump")
    hand.ledger.end_attempt(claim, attempt, Outcome.FAILED, error=CheckFailed("rows [differ]"))
    hand.ledger.end(claim, RunState.FAILED, error=CheckFailed("rows [differ]", hint="look at them"))
    assert tricenter(["run", "show", claim.run.id]) == 0
    shown = capsys.readouterr().out
    for words in ("失败 failed", "why not", "✗", "rows [differ]", "look at them", "remove-scratch @ ops-1", BY):
        assert words in shown
    assert tricenter(["run", "show", "nothing"]) == 2


def test_start_asks_for_a_run_in_the_callers_name(
    server: HttpServer, store: Catalogue, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tricenter(["run", "start", "backup", "system=bureau/registry", "--reason", "升级", "--output", "json"]) == 0
    asked = json.loads(capsys.readouterr().out)
    (row,) = store.runs()
    assert (row.id, row.requested_by, row.reason) == (asked["id"], login_name(), "升级")
    assert tricenter(["run", "start", "backup", "system=bureau/registry"]) == 5
    assert row.id in capsys.readouterr().err
    assert tricenter(["run", "start", "backup", "system"]) == 2
    assert tricenter(["run", "start", "backup", "system=a", "system=b"]) == 2


def test_abort_wants_somebody_to_confirm(server: HttpServer, hand: Hand, capsys: pytest.CaptureFixture[str]) -> None:
    run = hand.submit()
    assert tricenter(["run", "abort", run.id]) == 5
    shown = capsys.readouterr().err
    assert "takes away what it had made" in shown
    assert "nobody is there to confirm" in shown
    assert hand.ledger.catalogue.run(run.id).state is RunState.QUEUED
    assert tricenter(["run", "abort", run.id, "--yes"]) == 0
    assert "已中止 aborted" in capsys.readouterr().out


def test_retry_of_an_aborted_run(server: HttpServer, hand: Hand, store: Catalogue) -> None:
    run = hand.submit()
    assert tricenter(["run", "retry", run.id]) == 5
    hand.ledger.request_abort(run.id, BY)
    assert tricenter(["run", "retry", run.id]) == 0
    assert store.runs(state=RunState.QUEUED)[0].retry_of == run.id


def test_approve_is_for_another_person(server: HttpServer, hand: Hand, capsys: pytest.CaptureFixture[str]) -> None:
    claim = hand.waiting(by="somebody@else")
    assert tricenter(["run", "approve", claim.run.id]) == 5
    shown = capsys.readouterr().err
    assert "somebody@else" in shown
    assert "approval" in shown
    assert tricenter(["run", "approve", claim.run.id, "--message", "可以", "--yes"]) == 0
    assert hand.ledger.received(claim.run.id, "approval") == {"by": login_name(), "message": "可以"}


def test_approve_refuses_who_asked(server: HttpServer, hand: Hand, capsys: pytest.CaptureFixture[str]) -> None:
    claim = hand.waiting(by=login_name())
    assert tricenter(["run", "approve", claim.run.id, "--yes"]) == 5
    assert "cannot approve it as well" in capsys.readouterr().err
    assert hand.ledger.received(claim.run.id, "approval") is None


# --- following


def followed(run_id: str, *arguments: str) -> tuple[threading.Thread, list[int]]:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(tricenter(["run", "watch", run_id, *arguments])))
    thread.start()
    return thread, codes


def shown_by(capsys: pytest.CaptureFixture[str], thread: threading.Thread, codes: list[int]) -> tuple[int, str]:
    thread.join(20)
    assert codes, "the watching has ended"
    return codes[0], capsys.readouterr().out


class Told:
    """What a watching has told so far, each event with the step or the state that it tells of."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.text = ""

    def events(self) -> list[tuple[str, str]]:
        self.text += self.capsys.readouterr().out
        events = [json.loads(line) for line in self.text.split("\n")[:-1]]
        return [(each["event"], each["value"].get("step") or each["value"]["state"]) for each in events]

    def wait_for(self, *event: str) -> None:
        deadline = time.monotonic() + 20
        while event not in self.events():
            assert time.monotonic() < deadline, f"not told in 20 s: {event}; told: {self.events()}"
            time.sleep(0.02)

    def wait_for_text(self, text: str) -> None:
        deadline = time.monotonic() + 20
        while text not in self.text:
            assert time.monotonic() < deadline, f"not told in 20 s: {text}; told: {self.text}"
            time.sleep(0.02)
            self.text += self.capsys.readouterr().out


def test_watch_tells_each_attempt_and_ends_as_the_run(
    server: HttpServer, hand: Hand, capsys: pytest.CaptureFixture[str]
) -> None:
    run = hand.submit()
    thread, codes = followed(run.id, "--output", "json")
    told = Told(capsys)
    told.wait_for("state", "queued")
    claim = hand.claim(run)
    first = hand.ledger.start_attempt(claim, "dump")
    told.wait_for("started", "dump")
    second = hand.ledger.start_attempt(claim, "list")
    told.wait_for("started", "list")
    hand.ledger.end_attempt(claim, second, Outcome.PASSED)
    told.wait_for("ended", "list")
    hand.ledger.end_attempt(claim, first, Outcome.PASSED)
    told.wait_for("ended", "dump")
    third = hand.ledger.start_attempt(claim, "upload")
    hand.ledger.end_attempt(claim, third, Outcome.FAILED, error=CheckFailed("no"))
    hand.ledger.end(claim, RunState.FAILED, error=CheckFailed("no", hint="look"))
    thread.join(20)
    assert codes == [4]
    events = told.events()
    # a look may or may not come between the start and the end of the last one; its end is told in either case
    assert [each for each in events if each[0] in ("started", "ended") and each != ("started", "upload")] == [
        ("started", "dump"),
        ("started", "list"),
        ("ended", "list"),
        ("ended", "dump"),
        ("ended", "upload"),
    ]
    assert [each[1] for each in events if each[0] == "state"] == ["queued", "running"]
    assert events[-1] == ("end", "failed")


@pytest.mark.parametrize(
    ("state", "error", "code"),
    [
        (RunState.DONE, None, 0),
        (RunState.FAILED, CheckFailed("no"), 4),
        (RunState.FAILED, RuntimeError("no"), 1),
        (RunState.ABORTED, None, 130),
        (RunState.INTERRUPTED, None, 1),
    ],
)
def test_watch_of_a_run_that_has_ended(
    server: HttpServer,
    hand: Hand,
    capsys: pytest.CaptureFixture[str],
    state: RunState,
    error: Exception | None,
    code: int,
) -> None:
    claim = hand.claim(hand.submit())
    attempt = hand.ledger.start_attempt(claim, "dump")
    hand.ledger.end_attempt(claim, attempt, Outcome.PASSED)
    hand.ledger.end(claim, state, error=error)
    assert tricenter(["run", "watch", claim.run.id]) == code
    shown = capsys.readouterr().out
    assert "✓" in shown
    assert "dump" in shown


def test_watch_says_what_a_run_waits_for(server: HttpServer, hand: Hand, capsys: pytest.CaptureFixture[str]) -> None:
    claim = hand.waiting()
    thread, codes = followed(claim.run.id)
    Told(capsys).wait_for_text(f"tricenter run approve {claim.run.id}")
    hand.ledger.end(claim, RunState.ABORTED)
    code, _ = shown_by(capsys, thread, codes)
    assert code == 130


def test_watch_of_a_run_whose_parts_are_at_work_asks_nobody(
    server: HttpServer, hand: Hand, capsys: pytest.CaptureFixture[str]
) -> None:
    claim = hand.claim(hand.submit())
    hand.ledger.start_attempt(claim, "systems")
    hand.ledger.wait_begin(claim, "systems")
    thread, codes = followed(claim.run.id)
    told = Told(capsys)
    told.wait_for_text("its parts are at work")
    hand.ledger.end(claim, RunState.ABORTED)
    code, rest = shown_by(capsys, thread, codes)
    assert code == 130
    assert "tricenter run approve" not in told.text + rest


def test_watch_survives_a_server_that_is_started_anew(
    serve: Serve, hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    claim = hand.claim(hand.submit())
    with serve(0) as first:
        port = port_of(first)
        point_at(first.url, tmp_path, monkeypatch)
        thread, codes = followed(claim.run.id)
        told = Told(capsys)
        told.wait_for_text("running")
    told.wait_for_text("still trying")
    hand.ledger.end_attempt(claim, hand.ledger.start_attempt(claim, "dump"), Outcome.PASSED)
    hand.ledger.end(claim, RunState.DONE)
    with serve(port):
        code, rest = shown_by(capsys, thread, codes)
    shown = told.text + rest
    assert code == 0
    assert shown.count("still trying") == 1
    assert "answers again" in shown
    assert "dump" in shown


def test_ctrl_c_ends_the_watching_and_not_the_run(
    server: HttpServer, hand: Hand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    claim = hand.claim(hand.submit())

    def interrupted(_: float) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("orchestrator.server.run_watch.time.sleep", interrupted)
    assert tricenter(["run", "watch", claim.run.id]) == 130
    assert f"the run goes on; follow it again: tricenter run watch {claim.run.id}" in capsys.readouterr().err
    assert hand.ledger.catalogue.run(claim.run.id).state is RunState.RUNNING


def test_start_and_watch_in_one(server: HttpServer, hand: Hand, store: Catalogue) -> None:
    codes: list[int] = []
    words = ["run", "start", "backup", "system=bureau/registry", "--watch"]
    thread = threading.Thread(target=lambda: codes.append(tricenter(words)))
    thread.start()
    end = time.monotonic() + 10
    while not store.runs() and time.monotonic() < end:
        time.sleep(0.02)
    hand.ledger.end(hand.claim(store.runs()[0]), RunState.DONE)
    thread.join(20)
    assert codes == [0]
