"""Debian's Prometheus and Alertmanager on free ports of the loopback, for tests: each with a folder of its own.

Neither is a service of this machine: a test starts it, asks it, and ends it. Everything happens every second or faster,
so that a test need not wait for the intervals that suit a city.
"""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from orchestrator.process import Child
from tests.bench.servers import free_ports

START_SECONDS = 60
Value = TypeVar("Value")


class _Server:
    """A program that listens on a port of its own and says on a page when it is ready."""

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        self.folder, self.ports = folder, ports
        self._child: Child | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    def argv(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> Self:
        """Start the server and wait until it is ready."""
        with (self.folder / "log").open("ab") as log:
            self._child = Child(self.argv(), output=log)
        end = time.monotonic() + START_SECONDS
        while not self._ready():
            if time.monotonic() > end or not self._child.running:
                raise RuntimeError(f"{self.argv()[0]} does not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """End the server as a power cut would: nobody needs what it holds. May be repeated."""
        if self._child is not None:
            if self._child.running:
                os.kill(self._child.pid, signal.SIGKILL)
            self._child.__exit__()
            self._child = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def get(self, page: str, **words: str) -> Any:
        """Return what an API page says. A fault of the question is raised with what the server said of it."""
        query = f"?{urllib.parse.urlencode(words)}" if words else ""
        try:
            with urllib.request.urlopen(f"{self.url}{page}{query}", timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(f"{page} {words}: {error.read().decode()}") from None

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


class Prometheus(_Server):
    """A Prometheus that scrapes `targets` (`host:port`) and judges the `rules` (files).

    `targets` are one job, `tricenter`. Alerts go to the `alertmanagers` (`host:port`).
    """

    def __init__(
        self,
        folder: Path,
        targets: Sequence[str],
        rules: Sequence[Path] = (),
        *,
        alertmanagers: Sequence[str] = (),
        every: str = "1s",
    ) -> None:
        super().__init__(folder, free_ports(1))
        job = {"job_name": "tricenter", "static_configs": [{"targets": list(targets)}]}
        configuration: dict[str, Any] = {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "rule_files": [str(each.resolve()) for each in rules],
            "scrape_configs": [job],
        }
        if alertmanagers:
            sent = {"static_configs": [{"targets": list(alertmanagers)}]}
            configuration["alerting"] = {"alertmanagers": [sent]}
        # JSON is YAML
        (folder / "prometheus.yml").write_text(json.dumps(configuration), encoding="utf-8")

    def argv(self) -> list[str]:
        return [
            "prometheus", f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}", f"--web.listen-address=127.0.0.1:{self.ports[0]}",
            "--rules.alert.resend-delay=1s", "--enable-feature=exemplar-storage", "--log.level=warn",
        ]  # fmt: skip

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the series that the expression has now, each with its labels and its value."""
        data = self.get("/api/v1/query", query=expression)["data"]
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(each["metric"], float(each["value"][1])) for each in data["result"]]

    def alerts(self, state: str = "firing") -> set[str]:
        """Return the names of the alerts that are in the state now."""
        alerts = self.get("/api/v1/alerts")["data"]["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == state}

    def scraped(self) -> bool:
        """Whether every target has answered a scrape, one at least."""
        targets = self.get("/api/v1/targets")["data"]["activeTargets"]
        return bool(targets) and all(each["health"] == "up" for each in targets)


class Alertmanager(_Server):
    """An Alertmanager that is alone: no other one is asked for."""

    def __init__(self, folder: Path, configuration: Mapping[str, Any]) -> None:
        super().__init__(folder, free_ports(1))
        (folder / "alertmanager.yml").write_text(json.dumps(configuration), encoding="utf-8")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.ports[0]}"

    def argv(self) -> list[str]:
        return [
            "prometheus-alertmanager", f"--config.file={self.folder / 'alertmanager.yml'}",
            f"--storage.path={self.folder / 'data'}", f"--web.listen-address=127.0.0.1:{self.ports[0]}",
            "--cluster.listen-address=", "--log.level=warn",
        ]  # fmt: skip

    def alerts(self) -> list[dict[str, Any]]:
        """Return what it holds, with state (`active`, `suppressed`) and what inhibits each."""
        held: list[dict[str, Any]] = self.get("/api/v2/alerts")
        return held


def wait_until(look: Callable[[], Value], *, seconds: float, what: str) -> Value:
    """Return what `look` gives as soon as it is true of it. Fails after so many seconds, and says what was awaited."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)
    return found
