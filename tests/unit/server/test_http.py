"""The pages that need no token, and the addresses that `serve` listens on."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from fake_flows import Hand
from starlette.testclient import TestClient

from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import InvalidInput, Refused
from orchestrator.server import listening
from orchestrator.server.control import Served
from orchestrator.server.http import SILENT_SECONDS, Pulse, application
from orchestrator.server.listening import HttpServer, listen_on
from orchestrator.server.serving import Address
from policies.site import Site


@dataclass(frozen=True)
class Engine:
    id: str


@pytest.fixture
def pages(site: Site, store: Catalogue) -> Iterator[TestClient]:
    with TestClient(application(Served(site, store))) as client:
        yield client


def test_metrics_in_the_format_that_is_asked_for(pages: TestClient) -> None:
    got = pages.get("/metrics")
    assert (got.status_code, got.headers["Content-Type"].split(";")[0]) == (200, "text/plain")
    assert "# TYPE tricenter_rpo_actual_seconds gauge" in got.text
    got = pages.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert (got.status_code, got.headers["Content-Type"].split(";")[0]) == (200, "application/openmetrics-text")
    assert got.text.endswith("# EOF\n")


def test_metrics_are_packed_and_chosen_for_who_asks_so(pages: TestClient) -> None:
    assert pages.get("/metrics", headers={"Accept-Encoding": "gzip"}).headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in pages.get("/metrics", headers={"Accept-Encoding": "identity"}).headers
    chosen = pages.get("/metrics", params={"name[]": "tricenter_points"}).text
    assert "tricenter_points{" in chosen
    assert "tricenter_rpo" not in chosen


def test_health_follows_the_catalogue(pages: TestClient, store: Catalogue, tmp_path: Path) -> None:
    got = pages.get("/healthz")
    assert (got.status_code, got.json()["status"], got.json()["site"]) == (200, "ok", "dalian")
    assert got.headers["Content-Type"].startswith("application/json")
    store.engine.dispose()
    (tmp_path / "catalogue.sqlite").unlink()
    got = pages.get("/healthz")
    assert (got.status_code, got.json()["status"]) == (503, "the catalogue does not answer")
    assert str(tmp_path) not in got.text, "where the catalogue is, is nobody's business"
    assert pages.get("/").status_code == 200


def test_ready_while_the_engine_is_enlisted(site: Site, store: Catalogue, hand: Hand) -> None:
    with TestClient(application(Served(site, store, engine=Engine(hand.worker)))) as pages:
        assert pages.get("/readyz").status_code == 200
        hand.ledger.dismiss(hand.worker)
        got = pages.get("/readyz")
        assert (got.status_code, got.json()["status"]) == (503, "the engine is not enlisted")
        assert pages.get("/healthz").status_code == 200


def test_ready_without_an_engine_is_healthy(pages: TestClient) -> None:
    assert pages.get("/readyz").status_code == 200


def test_a_beat_that_stands_still_is_counted_from_when_it_was_first_seen() -> None:
    moments = iter([0.0, 5.0, 6.0, 6.0 + SILENT_SECONDS + 1])
    pulse = Pulse(lambda: next(moments))
    assert [pulse.seconds_since(beat) for beat in "aabb"] == [0.0, 5.0, 0.0, SILENT_SECONDS + 1]


def test_front_page_links_the_pages(pages: TestClient) -> None:
    got = pages.get("/")
    assert got.status_code == 200
    for page in ("metrics", "healthz", "readyz"):
        assert f'href="/{page}"' in got.text
    assert "大连" in got.text
    assert "/api/v1" not in got.text


def test_other_pages_and_methods(pages: TestClient) -> None:
    assert pages.get("/etc/passwd").status_code == 404
    assert pages.get("/api/v1/runs").status_code == 404, "no API without a token to guard it"
    assert pages.post("/").status_code == 405
    assert pages.delete("/metrics").status_code == 405
    got = pages.head("/healthz")
    assert (got.status_code, got.text) == (200, "")


def test_port_in_use_is_refused_by_number() -> None:
    with closing(listen_on("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Refused, match=f"port {port} on 127.0.0.1 is in use") as caught:
            listen_on("127.0.0.1", port)
    assert "--listen" in caught.value.hint


def test_address_of_another_machine_is_invalid() -> None:
    with pytest.raises(InvalidInput, match=r"cannot listen on 192\.0\.2\.1"):
        listen_on("192.0.2.1", 15099)


@pytest.mark.parametrize(
    "sent", [b"", b"GET /metrics HTT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhal"]
)
def test_a_client_that_falls_silent_is_hung_up_on(
    site: Site, store: Catalogue, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(listening, "REQUEST_SECONDS", 0.2)
    with HttpServer(application(Served(site, store)), listen_on("127.0.0.1", 0)) as server:
        port = int(server.url.strip("/").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(sent)
            began = time.monotonic()
            while client.recv(4096):
                pass
            assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:15090", ("127.0.0.1", 15090)), ("[::1]:1", ("::1", 1)), ("localhost:0", ("localhost", 0))],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert Address().convert(text, None, None) == address


@pytest.mark.parametrize("text", ["", "15090", ":15090", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "h:65536", "h:１"])
def test_no_addresses(text: str) -> None:
    with pytest.raises(click.BadParameter, match="HOST:PORT"):
        Address().convert(text, None, None)
