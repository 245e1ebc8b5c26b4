"""Connections: wrong entries, refused logins and dead endpoints, against a real socket; writes are counted."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchestrator.cloud.connection import Login, connect, disconnect, writes
from orchestrator.cloud.credentials import credential_file, stored_id
from orchestrator.errors import CredentialRefused, InvalidInput, UnknownName, Unreachable

PASSWORD = "right-and-secret"


class Keystone(BaseHTTPRequestHandler):
    """As much of an Identity service as a login and one write need."""

    def _answer(self, status: int, body: dict[str, object], **headers: str) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        here = f"http://127.0.0.1:{self.server.server_address[1]}/v3/"
        version = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": here}]}
        self._answer(200, {"version": version} if self.path.startswith("/v3") else {"domains": []})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "domain" in asked:
            return self._answer(201, {"domain": {"id": "new", "name": asked["domain"]["name"]}})
        if asked["auth"]["identity"]["password"]["user"]["password"] != PASSWORD:
            return self._answer(401, {"error": {"message": "no", "code": 401}})
        here = f"http://127.0.0.1:{self.server.server_address[1]}/v3"
        endpoint = {"interface": "public", "region": "R", "region_id": "R", "url": here, "id": "e"}
        token = {
            "methods": ["password"],
            "user": {"id": "u", "name": "admin", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "p", "name": "admin", "domain": {"id": "default", "name": "Default"}},
            "roles": [],
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "catalog": [{"type": "identity", "name": "keystone", "id": "c", "endpoints": [endpoint]}],
        }
        return self._answer(201, {"token": token}, X_Subject_Token="t")

    def log_message(self, *args: object) -> None:
        return None


@pytest.fixture
def keystone(request: pytest.FixtureRequest) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), getattr(request, "param", Keystone))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v3"
    server.shutdown()
    server.server_close()


class Guarded(Keystone):
    """Wants a login for the list of its versions, which is asked for before there is one."""

    def do_GET(self) -> None:
        self._answer(401, {"error": {"message": "who are you?", "code": 401}})


def clouds(folder: Path, url: str, password: str = PASSWORD) -> Path:
    auth = {"auth_url": url, "username": "admin", "password": password, "project_name": "admin"}
    file = folder / "clouds.yaml"
    file.write_text(
        json.dumps(
            {"clouds": {"city": {"auth": {**auth, "user_domain_id": "default", "project_domain_id": "default"},
                                 "region_name": "R"}}}
        )
    )  # fmt: skip
    return file


def test_writes_are_counted_and_logins_and_reads_are_none(keystone: str, tmp_path: Path) -> None:
    city = connect("city", config_file=clouds(tmp_path, keystone))
    city.identity.get("/domains")
    assert writes(city) == 0
    city.identity.create_domain(name="land")
    assert writes(city) == 1
    disconnect(city)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("keystone", [Guarded], indirect=True)
def test_a_login_asked_for_before_the_login_is_no_wait_for_ever(keystone: str, tmp_path: Path) -> None:
    city = connect("city", config_file=clouds(tmp_path, keystone))
    city.identity.create_domain(name="land")
    assert writes(city) == 1
    disconnect(city)


def test_a_refused_password_is_told_without_the_password(keystone: str, tmp_path: Path) -> None:
    with pytest.raises(CredentialRefused) as caught:
        connect("city", config_file=clouds(tmp_path, keystone, "wrong-and-secret"))
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_a_closed_port_is_told_in_seconds(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v3"
    began = time.monotonic()
    with pytest.raises(Unreachable, match="city"):
        connect("city", config_file=clouds(tmp_path, url), login_seconds=0.2)
    assert time.monotonic() - began < 5


def test_an_unknown_cloud_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownName) as caught:
        connect("citty", config_file=clouds(tmp_path, "http://127.0.0.1:1/v3"))
    assert "'city'" in caught.value.hint


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no clouds\.yaml"):
        connect("city", config_file=tmp_path / "none.yaml")


def test_a_login_hides_its_password() -> None:
    assert "secret" not in repr(Login("u", "secret", "p"))


def test_a_half_written_credential_counts_as_none(tmp_path: Path) -> None:
    file = credential_file(tmp_path, "land", "production")
    assert stored_id(file) is None
    file.write_text('{"clouds": {"land": {"auth": {"application_cred')
    assert stored_id(file) is None
    file.write_text('{"clouds": {"land": {"auth": {"application_credential_id": "abc"}}}}')
    assert stored_id(file) == "abc"
