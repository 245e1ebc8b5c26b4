"""Metrics that are written to a file or pushed, by a command that then ends: all of one view, and never an old one.

What was written stays where it is although it is no longer so. Hence the time of writing is among them, and what could
not be read is not written: then nothing but that is left in the place of what was written before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from exporters import metrics as m
from exporters import notice_metrics as n
from exporters.collector import TricenterCollector
from exporters.view import families

#: What is written of a catalogue that does not answer.
ALWAYS = ("tricenter_build_info", "tricenter_view_errors")
#: Read last: where it is, all of the view is there.
LAST_READ = m.WORKERS.name


class WrittenOnce(Collector):
    """The metrics of one view, as they are written. `whole` says whether the catalogue could be read."""

    def __init__(self, collector: TricenterCollector, *, patience_seconds: float, moment: float | None = None) -> None:
        """Read the view, within `patience_seconds` and what one scrape takes."""
        found, end = list(collector.collect()), time.monotonic() + patience_seconds
        while not (self._is_whole(found) or self._has_failed(found)) and time.monotonic() < end:
            time.sleep(0.05)
            found = list(collector.collect())
        self.whole = self._is_whole(found) and not self._has_failed(found)
        kept = found if self.whole else [each for each in found if each.name in ALWAYS]
        self._families = [*kept, *families([(n.WRITTEN, (), time.time() if moment is None else moment)])]

    def describe(self) -> Iterator[Family]:
        return iter(())

    def collect(self) -> Iterator[Family]:
        return iter(self._families)

    @staticmethod
    def _is_whole(found: list[Family]) -> bool:
        return any(each.name == LAST_READ for each in found)

    @staticmethod
    def _has_failed(found: list[Family]) -> bool:
        return any(each.name == ALWAYS[1] and each.samples[0].value > 0 for each in found)
