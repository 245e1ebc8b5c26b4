"""A register on a small S3 of our own: what it needs of a store, and what it says of one that does not have it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest

from orchestrator.epoch.registers import Registers, ask_all
from orchestrator.errors import CheckFailed, InvalidInput, TricenterError, Unreachable
from orchestrator.vault.register import Register
from orchestrator.vault.s3 import Credential
from policies.epoch import Fact, Promise
from policies.epoch_protocol import Look

NOTHING = Fact(None, {})


class Store(ThreadingHTTPServer):
    """As much of S3 as a register needs. `honest` says whether it honours If-None-Match."""

    daemon_threads = True

    def __init__(self, *, honest: bool) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.honest, self.objects, self.lock = honest, dict[str, bytes](), threading.Lock()
        self.requests: list[str] = []

    def register(self) -> Register:
        place = f"http://127.0.0.1:{self.server_address[1]}"
        return Register("same-city", place, "us-east-1", "dr-0-register", "town", Credential("k", "s"))


class Handler(BaseHTTPRequestHandler):
    server: Store
    protocol_version = "HTTP/1.1"

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    @property
    def key(self) -> str:
        return urlsplit(self.path).path.removeprefix("/dr-0-register").removeprefix("/")

    def do_GET(self) -> None:
        self.server.requests.append(self.key or "list")
        if not self.key:
            prefix = parse_qs(urlsplit(self.path).query)["prefix"][0]
            names = sorted(each for each in self.server.objects if each.startswith(prefix))
            when = "2026-11-23T00:00:00Z"
            inside = "".join(
                f"<Contents><Key>{escape(each)}</Key><Size>1</Size><LastModified>{when}</LastModified></Contents>"
                for each in names
            )
            xml = f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inside}</ListBucketResult>'
            self._answer(200, xml.encode())
        elif self.key in self.server.objects:
            self._answer(200, self.server.objects[self.key])
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    do_HEAD = do_GET  # noqa: N815 - the server looks for this name

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.server.lock:
            taken = self.key in self.server.objects and self.server.honest
            if not taken:
                self.server.objects[self.key] = body
        self._answer(412 if taken else 200)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def store() -> Iterator[Store]:
    with Store(honest=True) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def test_entries_follow_each_other(store: Store) -> None:
    one, other = store.register(), store.register()
    first = one.append((), Promise(10, "a"))
    late = other.append((), Promise(10, "b"))

    assert first.done
    assert (late.done, late.log) == (False, (Promise(10, "a"),))
    assert other.append(late.log, Promise(20, "b")).done
    assert one.read() == (Promise(10, "a"), Promise(20, "b"))


def test_an_entry_whose_answer_was_lost_is_found(store: Store) -> None:
    store.register().append((), Promise(10, "a"))

    assert store.register().append((), Promise(10, "a")).done


def test_what_the_log_does_not_allow_is_not_written(store: Store) -> None:
    register = store.register()
    log = register.append((), Promise(20, "a")).log

    assert not register.append(log, Promise(10, "a")).done
    assert len(store.objects) == 1


def test_the_end_is_read_from_the_last_fact_on(store: Store) -> None:
    register = store.register()
    log = register.append((), Promise(10, "a")).log
    log = register.append(log, NOTHING).log
    register.append(log, Promise(20, "b"))
    store.requests.clear()

    assert store.register().read_end() == (NOTHING, Promise(20, "b"))
    assert store.requests == ["list", "town/0000000003", "town/0000000002"]


def test_a_lost_entry_is_a_fault_and_no_shorter_log(store: Store) -> None:
    register = store.register()
    log = register.append((), Promise(10, "a")).log
    register.append(log, Promise(20, "b"))
    del store.objects["town/0000000001"]

    with pytest.raises(CheckFailed, match="has lost entry 1 of 2"):
        store.register().read()


def test_what_somebody_else_wrote_is_a_fault(store: Store) -> None:
    store.objects["town/0000000001"] = b"hello"

    with pytest.raises(CheckFailed, match=r"entry 1 of the register .* is not ours"):
        store.register().read()


def test_an_honest_store_is_remembered(store: Store) -> None:
    register = store.register()
    assert not register.established()
    register.try_out()

    assert register.established()
    assert register.read() == ()


def test_a_store_that_ignores_the_condition_is_refused(store: Store) -> None:
    store.honest = False
    with pytest.raises(CheckFailed, match=r"does not keep a register: of 4 writers of one name 4 won"):
        store.register().try_out()

    assert not store.register().established()


# --- several at once


def test_all_are_asked_at_once_and_what_hangs_is_left() -> None:
    def slow() -> str:
        time.sleep(0.1)
        return "slow"

    def fails() -> str:
        raise InvalidInput("no")

    never = threading.Event()
    began = time.monotonic()
    found = ask_all({"a": slow, "b": slow, "c": fails, "d": lambda: str(never.wait())}, seconds=0.4)
    assert time.monotonic() - began < 0.8
    never.set()
    assert (found["a"], found["b"]) == ("slow", "slow")
    assert isinstance(found["c"], InvalidInput)
    assert isinstance(found["d"], Unreachable)


def test_a_fault_of_the_program_is_not_taken_for_silence() -> None:
    def broken() -> str:
        raise KeyError("x")

    with pytest.raises(KeyError):
        ask_all({"a": broken})


def test_who_failed_once_is_not_asked_again(store: Store) -> None:
    gone = Register("provincial", "http://127.0.0.1:1", "us-east-1", "dr-0-register", "town", Credential("k", "s"))
    registers = Registers({"same-city": store.register(), "provincial": gone})

    def steps() -> Any:
        first = yield Look()
        second = yield Look()
        return first, second

    assert registers.drive(steps()) == ({"same-city": ()}, {"same-city": ()})
    assert isinstance(registers.silent["provincial"], TricenterError)
