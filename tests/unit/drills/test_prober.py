"""The prober against real sockets: what is right at once, what becomes right, what never does, and what drips."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from drills import prober


@contextmanager
def website(respond: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            respond(self)

        def log_message(self, *args: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def page(status: int, body: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return respond


def http(port: int, **changes: Any) -> dict[str, Any]:
    asked = {"kind": "http", "address": "127.0.0.1", "port": port, "within": 0.3, "tls": False, "path": "/"}
    return prober.answer({**asked, "status": 200, "contains": "", **changes})


@pytest.fixture
def closed() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def test_a_page_that_is_right() -> None:
    with website(page(200, "登记处 open".encode())) as port:
        found = http(port, contains="登记处")
    assert (found["passed"], found["tries"]) == (True, 1)
    assert found["got"] == "200, 14 bytes"


def test_a_page_that_lacks_the_text_says_what_it_has_instead() -> None:
    with website(page(200, b"<h1>database is down</h1>")) as port:
        found = http(port, contains="welcome")
    assert not found["passed"]
    assert "without 'welcome': <h1>database is down</h1>" in found["got"]


def test_a_status_that_is_wanted_is_right_whatever_it_is() -> None:
    with website(page(503, b"")) as port:
        assert http(port, status=503)["passed"]
        assert http(port)["got"].startswith("503")


def test_it_is_asked_again_until_it_is_right() -> None:
    begin = time.monotonic()

    def respond(handler: BaseHTTPRequestHandler) -> None:
        page(200 if time.monotonic() - begin > 0.5 else 502, b"ok")(handler)

    with website(respond) as port:
        found = http(port, within=5)
    assert found["passed"]
    assert found["tries"] > 1
    assert [each[:3] for each in found["seen"]] == ["502", "200"]
    assert found["seconds"] < 2


def test_a_server_that_drips_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "TRY_SECONDS", 0.3)
    stop = threading.Event()

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not stop.wait(0.05):
            try:
                handler.wfile.write(b".")
            except OSError:
                return

    with website(respond) as port:
        begin = time.monotonic()
        found = http(port, within=0.3)
        stop.set()
    assert not found["passed"]
    assert "TimeoutError" in found["got"]
    assert time.monotonic() - begin < 3


def test_nothing_listens(closed: int) -> None:
    found = prober.answer({"kind": "tcp", "address": "127.0.0.1", "port": closed, "within": 0.3})
    assert not found["passed"]
    assert "ConnectionRefusedError" in found["got"]


def test_a_port_that_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = {"kind": "tcp", "address": "127.0.0.1", "port": server.getsockname()[1], "within": 1}
        assert prober.answer(asked)["passed"]


def test_a_database_that_is_dead_is_a_finding_without_its_password(closed: int) -> None:
    asked = {
        "kind": "server-sql", "address": "127.0.0.1", "port": closed, "within": 0.3, "database": "d", "user": "u",
        "password": "hidden-word", "query": "select 1", "expect": "1",
    }  # fmt: skip
    found = prober.answer(asked)
    assert not found["passed"]
    assert "OperationalError" in found["got"]
    assert "hidden-word" not in json.dumps(found)
