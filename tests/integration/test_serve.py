"""`tricenter serve --metrics-only` as a real process: scraped over HTTP, asked for its health, and ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.catalogue.database import now
from orchestrator.catalogue.records import Point
from orchestrator.catalogue.store import Catalogue
from orchestrator.process import Child, run

pytestmark = pytest.mark.integration

DALIAN = Path(__file__).parents[2] / "examples" / "dalian"
TRICENTER = [str(Path(sys.executable).with_name("tricenter")), "--site", str(DALIAN)]
WAIT_SECONDS = 60


class Server:
    def __init__(self, child: Child, url: str, catalogue: Path) -> None:
        self.child, self.url, self.catalogue = child, url, catalogue

    def get(self, page: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"{self.url}{page}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def samples(self) -> dict[tuple[str, str, str], float]:
        code, body = self.get("metrics")
        assert code == 200
        return {
            (sample.name, sample.labels.get("system", ""), sample.labels.get("centre", "")): sample.value
            for family in text_string_to_metric_families(body)
            for sample in family.samples
        }

    def wait_for(self, name: str, value: float, *labels: str) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while (seen := self.samples().get((name, *(labels or ("", ""))))) != value:
            assert time.monotonic() < end, f"{name} is {seen}, not {value}"
            time.sleep(0.5)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    file = tmp_path / "catalogue.sqlite"
    env = {"TRICENTER_DATABASE_URL": f"sqlite:///{file}", "HOME": str(tmp_path)}
    with Child([*TRICENTER, "serve", "--metrics-only", "--listen", "127.0.0.1:0"], env=env) as child:
        url = next(word for line in child.lines() for word in line.split() if word.startswith("http://"))
        yield Server(child, url, file)


def test_scrape_follows_the_catalogue(server: Server) -> None:
    first = server.samples()
    place = ("land-registry", "same-city")
    assert first[("tricenter_rpo_objective_seconds", *place)] == 3600
    assert first[("tricenter_points", *place)] == 0
    assert ("tricenter_point_last_data_timestamp_seconds", *place) not in first

    catalogue, data = Catalogue(f"sqlite:///{server.catalogue}"), now() - timedelta(minutes=30)
    catalogue.add_point(
        Point("p", "run", "natural-resources", "land-registry", "remote-dr", data, data, 1, 1, "document", ())
    )
    catalogue.set_landings("same-city", "natural-resources", "land-registry", {"p": data})
    catalogue.engine.dispose()
    server.wait_for("tricenter_point_last_data_timestamp_seconds", data.timestamp(), *place)
    assert server.samples()[("tricenter_rpo_actual_seconds", *place)] == pytest.approx(1800, abs=WAIT_SECONDS)


def test_health_and_view_survive_a_catalogue_that_goes_and_comes_back(server: Server) -> None:
    before = server.samples()
    assert server.get("healthz")[0] == 200
    kept = {each: each.read_bytes() for each in server.catalogue.parent.glob("catalogue.sqlite*")}
    for each in kept:
        each.unlink()
    code, body = server.get("healthz")
    assert (code, json.loads(body)["status"]) == (503, "the catalogue does not answer")
    server.wait_for("tricenter_view_errors_total", 1)
    assert server.samples().keys() == before.keys()
    for each, content in kept.items():
        each.write_bytes(content)
    assert server.get("healthz")[0] == 200


def test_many_scrapes_at_once(server: Server) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(server.get, ["metrics"] * 64))
    assert {code for code, _ in answers} == {200}
    assert len({len(body.splitlines()) for _, body in answers}) == 1


def test_silent_client_holds_up_nobody(server: Server) -> None:
    host, _, port = server.url.removeprefix("http://").strip("/").partition(":")
    with socket.create_connection((host, int(port))):
        assert server.get("healthz")[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_cleanly(server: Server, number: signal.Signals) -> None:
    server.get("metrics")
    os.kill(server.child.pid, number)
    assert server.child.wait(WAIT_SECONDS) == 0
    assert server.child.stderr == ""


def test_second_server_on_the_port_is_refused(server: Server, tmp_path: Path) -> None:
    address = server.url.removeprefix("http://").strip("/")
    env = {"TRICENTER_DATABASE_URL": f"sqlite:///{server.catalogue}", "HOME": str(tmp_path)}
    ended = run(
        [*TRICENTER, "serve", "--metrics-only", "--listen", address],
        env=env,
        deadline_seconds=WAIT_SECONDS,
        check=False,
    )
    assert ended.code == 5
    assert address.rpartition(":")[2] in ended.stderr
    assert "Traceback" not in ended.stderr
