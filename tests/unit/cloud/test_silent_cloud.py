"""A cloud that logs in and then answers nothing: every wait ends, soon after its deadline."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchestrator.cloud import bubble, compute, sweep
from orchestrator.cloud.connection import Connection, answered_within, connect
from orchestrator.cloud.waiting import pause, wait_for
from orchestrator.errors import Aborted, Unreachable
from orchestrator.process import Leash, leashed

SERVICES = ("compute", "network", "block-storage", "image")


class Keystone(BaseHTTPRequestHandler):
    """Logs everybody in, and sends them to a port where nobody speaks."""

    silent = ""

    def _answer(self, status: int, body: dict[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Subject-Token", "t")
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        here = f"http://127.0.0.1:{self.server.server_address[1]}/v3/"
        self._answer(200, {"version": {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": here}]}})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        catalog = [
            {
                "type": each,
                "name": each,
                "id": each,
                "endpoints": [{"interface": "public", "region": "R", "region_id": "R", "url": self.silent, "id": each}],
            }
            for each in SERVICES
        ]
        domain = {"id": "default", "name": "Default"}
        token = {
            "methods": ["password"],
            "user": {"id": "u", "name": "admin", "domain": domain},
            "project": {"id": "p", "name": "admin", "domain": domain},
            "roles": [],
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "catalog": catalog,
        }
        self._answer(201, {"token": token})

    def log_message(self, *args: object) -> None:
        return None


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Connection]:
    """A connection to a cloud whose services accept connections and never say a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as mute:
        Keystone.silent = f"http://127.0.0.1:{mute.getsockname()[1]}/v2.1"
        keystone = ThreadingHTTPServer(("127.0.0.1", 0), Keystone)
        threading.Thread(target=keystone.serve_forever, daemon=True).start()
        auth = {
            "auth_url": f"http://127.0.0.1:{keystone.server_address[1]}/v3",
            "username": "admin",
            "password": "p",
            "project_name": "admin",
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        file = tmp_path / "clouds.yaml"
        file.write_text(json.dumps({"clouds": {"city": {"auth": auth, "region_name": "R"}}}))
        yield connect("city", config_file=file)
        keystone.shutdown()
        keystone.server_close()


@pytest.mark.parametrize(
    "act",
    [
        lambda cloud: sweep.delete_bubble(cloud, "d", deadline_seconds=-4.5),
        lambda cloud: compute.await_active(cloud, "s", deadline_seconds=-4.5),
        lambda cloud: compute.delete_servers(cloud, [], deadline_seconds=-4.5),
    ],
)
def test_what_waits_for_a_silent_cloud_ends(silent: Connection, act: Callable[[Connection], object]) -> None:
    begin = time.monotonic()
    with pytest.raises(Unreachable):
        act(silent)  # the grace of 5 s is for the last answer; with -4.5 half a second is left of it
    assert time.monotonic() - begin < 12


def test_a_block_of_requests_ends_with_the_earliest_limit_around_it(silent: Connection) -> None:
    begin = time.monotonic()
    with answered_within(silent, 0.3), answered_within(silent, 60), pytest.raises(Unreachable):
        bubble.ensure_bubble(silent, "d", {"office": "10.0.0.0/24"})
    assert time.monotonic() - begin < 12
    assert silent.tricenter_wire.until is None


def test_waiting_ends_with_the_deadline_and_tells_the_last_answer() -> None:
    with pytest.raises(Unreachable, match="server x: still BUILD after 0 s"):
        wait_for(lambda: "BUILD", lambda status: status == "ACTIVE", "server x", 0.01)


def test_waiting_ends_when_the_work_is_stopped() -> None:
    leash = Leash()
    leash.pull(Aborted("a person said so"))
    with leashed(leash), pytest.raises(Aborted):
        pause()
