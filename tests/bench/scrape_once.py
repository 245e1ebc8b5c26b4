"""What the benchmark of scrapes measures, each as a process of its own, so that its memory is nobody else's.

`serve` shows the pages of `tricenter serve --metrics-only` for a made site and says where in its first line. `bare`
says what prometheus_client alone takes for as many series. Both stay until they are interrupted.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from orchestrator.catalogue.store import Catalogue
from orchestrator.server.control import Served
from orchestrator.server.http import application
from orchestrator.server.listening import HttpServer, listen_on
from tests.bench.tick import TIERS, made_site

#: So many series of each metric stand in the registry that is compared with: a system at a centre has about as many.
METRICS = 36


def serve(url: str, tenants: str) -> None:
    served = Served(made_site(int(tenants)), Catalogue(url))
    with HttpServer(application(served), listen_on("127.0.0.1", 0)) as server:
        print(server.url, flush=True)
        stay()


class _Static(Collector):
    """So many gauges with the labels that most of ours have. They are made once, before the clock runs."""

    def __init__(self, series: int) -> None:
        labels = ("tenant", "system", "tier", "centre")
        self._families = [
            GaugeMetricFamily(f"bare_number_{number}_seconds", "One of many.", labels=labels)
            for number in range(METRICS)
        ]
        for number in range(series):
            place, metric = divmod(number, METRICS)
            bureau, system = divmod(place // 2, len(TIERS))
            names = f"bureau-{bureau}", f"system-{system}", TIERS[system], ("same-city", "provincial")[place % 2]
            self._families[metric].add_metric(names, number * 0.37)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        return iter(self._families)


def bare(series: str) -> None:
    registry = CollectorRegistry()
    registry.register(_Static(int(series)))
    began, cpu = time.perf_counter(), time.process_time()
    size = len(generate_latest(registry))
    told = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu, "bytes": size}
    print(json.dumps(told), flush=True)
    stay()


def stay() -> None:
    with suppress(KeyboardInterrupt):
        signal.pause()


if __name__ == "__main__":
    {"serve": serve, "bare": bare}[sys.argv[1]](*sys.argv[2:])
