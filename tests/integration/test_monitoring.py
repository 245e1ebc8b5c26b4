"""A vault is stopped: Prometheus and Alertmanager page once, within the objective, and let go when it is back."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from exporters.metrics import METRICS
from exporters.rules.write import rules_file
from orchestrator.process import Child
from tests.bench.servers import ADMIN, BY_ROLE, TENANT_BUCKETS, Weed
from tests.integration.prometheus import Alertmanager, Prometheus, wait_until
from tests.integration.vault_site import VaultSite, make_split_site

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
RPO_SECONDS = 25
TIER = f"""
tier: both
title: {{zh: 同城, en: Near}}
backup_every: 5s
copies:
  same-city: {{rpo: {RPO_SECONDS}s, rto: 4h, retention: {{keep_within: 14d, lock: 2d}}}}
drill: {{every: 365d}}
gbt20988_level: 3
"""
PAGE = "TricenterVaultUnreachable"
PATIENCE = 60.0


class Pager:
    """Takes what Alertmanager sends: the labels of the alerts that fired, with the receiver."""

    def __init__(self) -> None:
        self.fired: list[dict[str, str]] = []
        pager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                firing = [each["labels"] for each in told["alerts"] if each["status"] == "firing"]
                pager.fired += [{**labels, "receiver": self.path.strip("/")} for labels in firing]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def pager() -> Iterator[Pager]:
    made = Pager()
    yield made
    made.close()


@pytest.fixture
def weed(tmp_path: Path) -> Iterator[Weed]:
    made = Weed(tmp_path / "weed", centre="same-city")
    try:
        made.start()
        made.admin().ensure_bucket(TENANT_BUCKETS[0], lock_days=1)
        yield made
    finally:
        made.stop()


@pytest.fixture
def site(weed: Weed, tmp_path: Path) -> VaultSite:
    made = make_split_site(weed.endpoint, {**BY_ROLE, "admin": ADMIN}, tmp_path / "site")
    (made.folder / "tiers" / "both.yaml").write_text(TIER, encoding="utf-8")
    (made.tree / "file").write_text("a few words", encoding="utf-8")
    return made


@pytest.fixture
def address(site: VaultSite) -> Iterator[str]:
    """Where the server of the site shows its metrics: it backs up by its own schedule."""
    argv = [sys.executable, "-m", "tests.integration.quick_serve", "serve", "--listen", "127.0.0.1:0", "--jobs", "2"]
    with Child(argv, env=site.variables(), cwd=ROOT) as child:
        url = next(word for line in child.lines() for word in line.split() if word.startswith("http://"))
        threading.Thread(target=lambda: list(child.lines()), daemon=True).start()  # it must not block on what it says
        yield url.removeprefix("http://").strip("/")


def routes(pager: Pager) -> dict[str, Any]:
    """The example of the configuration as it is shipped, but that it waits for nothing and pages us."""
    shipped = (resources.files("exporters.rules") / "alertmanager.example.yml").read_text(encoding="utf-8")
    configuration: dict[str, Any] = YAML(typ="safe").load(shipped)
    for route in (configuration["route"], *configuration["route"]["routes"]):
        route.update({"group_wait": "0s", "group_interval": "1s"})
    for receiver in configuration["receivers"]:
        receiver["webhook_configs"][0]["url"] = f"{pager.url}/{receiver['name']}"
    return configuration


def test_a_dead_vault_is_one_page_within_the_objective_and_ends_when_it_is_back(
    weed: Weed, address: str, pager: Pager, tmp_path: Path
) -> None:
    rules = tmp_path / "tricenter.rules.yml"
    rules.write_text(rules_file(every=timedelta(seconds=1), patience=0), encoding="utf-8")
    manager = Alertmanager(tmp_path / "am", routes(pager))
    prometheus = Prometheus(tmp_path / "prom", [address], [rules], alertmanagers=[manager.address])
    with manager, prometheus:
        wait_until(lambda: prometheus.query("tricenter_points > 0"), seconds=PATIENCE, what="a first recovery point")
        assert_shown(prometheus)
        assert states(manager).get(PAGE) is None

        weed.stop()
        wait_until(lambda: states(manager).get(PAGE) == "active", seconds=PATIENCE, what="the page")
        wait_until(lambda: "TricenterRpoMissed" in states(manager), seconds=PATIENCE, what="the objective missed")
        assert states(manager)["TricenterRpoMissed"] == "suppressed"
        assert states(manager)[PAGE] == "active"
        assert began(prometheus, PAGE) < began(prometheus, "TricenterRpoMissed")  # within its objective
        paged = [each for each in pager.fired if (each["receiver"], each.get("centre")) == ("duty", "same-city")]
        assert {each["alertname"] for each in paged} == {PAGE}

        weed.start()
        ended = {PAGE, "TricenterRpoMissed"}
        wait_until(lambda: not ended & prometheus.alerts(), seconds=PATIENCE, what="the end of the alerts")
        wait_until(lambda: not ended & states(manager).keys(), seconds=PATIENCE, what="their end at Alertmanager")


def assert_shown(prometheus: Prometheus) -> None:
    """What is always shown has arrived, and no rule fails."""
    names = {series["__name__"] for series, _ in prometheus.query('{__name__=~"tricenter_.+"}')}
    assert names >= {each.name for each in METRICS if each.always and not each.name.startswith("tricenter_escrow")}
    rules = [rule for group in prometheus.get("/api/v1/rules")["data"]["groups"] for rule in group["rules"]]
    assert rules
    assert not [rule for rule in rules if rule["health"] == "err"]


def began(prometheus: Prometheus, name: str) -> str:
    """When an alert began to hold."""
    alerts = prometheus.get("/api/v1/alerts")["data"]["alerts"]
    return next(str(each["activeAt"]) for each in alerts if each["labels"]["alertname"] == name)


def states(manager: Alertmanager) -> dict[str, str]:
    """By name: `active`, or `suppressed` when another one inhibits it."""
    return {each["labels"]["alertname"]: each["status"]["state"] for each in manager.alerts()}
