"""Metrics that are written to a file or pushed, by a command that then ends: all of one view, and never an old one.

What was written stays where it is although it is no longer so. Hence the time of writing is among them, and where the
catalogue could not be read, that time is all that is put in the place of what was written before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from exporters import metrics as m
from exporters import notice_metrics as n
from exporters.collector import TricenterCollector
from exporters.view import families

#: Counters are told without their ending.
ERRORS = m.VIEW_ERRORS.name.removesuffix("_total")


class Written(Collector):
    """The metrics of one view, as they are written at `moment`, in seconds since 1970; of no view without `seen`."""

    def __init__(self, seen: Sequence[Family], moment: float) -> None:
        self._families = [*seen, *families([(n.WRITTEN, (), moment)])]

    def describe(self) -> Iterator[Family]:
        return iter(())

    def collect(self) -> Iterator[Family]:
        return iter(self._families)


def read_whole(collector: TricenterCollector, patience_seconds: float) -> list[Family]:
    """Return the whole view, its counts as well; nothing when it cannot be read within so long."""
    end = time.monotonic() + patience_seconds
    while time.monotonic() < end:
        found = {each.name: each for each in collector.collect()}
        if found[ERRORS].samples[0].value > 0:
            return []
        if m.WORKERS.name in found:  # of the counts, which are read last
            return list(found.values())
        time.sleep(0.05)
    return []
