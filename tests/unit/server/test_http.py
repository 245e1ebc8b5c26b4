"""The pages, asked as a WSGI server would, and the addresses that `serve` accepts."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import click
import pytest

from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import InvalidInput, Refused
from orchestrator.server.commands import Address
from orchestrator.server.http import application, open_server
from policies.load import load_site
from policies.site import Site

Ask = Callable[..., tuple[int, dict[str, str], str]]


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(Path(__file__).parents[3] / "examples" / "dalian")


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    made = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    yield made
    made.engine.dispose()


@pytest.fixture
def ask(site: Site, catalogue: Catalogue) -> Ask:
    app = application(site, catalogue)

    def asked(path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
        environ: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": method}
        setup_testing_defaults(environ)
        environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        seen: list[Any] = []
        body = b"".join(app(environ, lambda status, fields, error=None: seen.extend((status, fields))))  # type: ignore[arg-type, return-value]
        return int(seen[0].split()[0]), dict(seen[1]), body.decode()

    return asked


def test_metrics_in_the_format_that_is_asked_for(ask: Ask) -> None:
    code, headers, body = ask("/metrics")
    assert (code, headers["Content-Type"].split(";")[0]) == (200, "text/plain")
    assert "# TYPE tricenter_rpo_actual_seconds gauge" in body
    code, headers, body = ask("/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert (code, headers["Content-Type"].split(";")[0]) == (200, "application/openmetrics-text")
    assert body.endswith("# EOF\n")


def test_health_follows_the_catalogue(ask: Ask, catalogue: Catalogue, tmp_path: Path) -> None:
    code, headers, body = ask("/healthz")
    assert (code, json.loads(body)["status"], json.loads(body)["site"]) == (200, "ok", "dalian")
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    catalogue.engine.dispose()
    (tmp_path / "catalogue.sqlite").unlink()
    code, _, body = ask("/healthz")
    assert code == 503
    assert json.loads(body)["error"] == "OperationalError"


def test_front_page_links_both(ask: Ask) -> None:
    code, _, body = ask("/")
    assert code == 200
    assert 'href="/metrics"' in body
    assert 'href="/healthz"' in body
    assert "大连" in body


def test_other_pages_and_methods(ask: Ask) -> None:
    assert ask("/etc/passwd")[0] == 404
    assert ask("/", method="POST")[0] == 405
    assert ask("/metrics", method="DELETE")[0] == 405
    assert ask("/healthz", method="HEAD")[::2] == (200, "")


def test_port_in_use_is_refused_by_number(site: Site, catalogue: Catalogue) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Refused, match=f"port {port} on 127.0.0.1 is in use") as caught:
            open_server("127.0.0.1", port, site, catalogue)
    assert "--listen" in caught.value.hint


def test_address_of_another_machine_is_invalid(site: Site, catalogue: Catalogue) -> None:
    with pytest.raises(InvalidInput, match=r"cannot listen on 192\.0\.2\.1"):
        open_server("192.0.2.1", 15099, site, catalogue)


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
