"""What is counted while the server runs: durations and failures of runs, which vault answered last, the audit walk.

The catalogue forgets old runs, so counts of its rows would fall; these begin at 0 with the process and only rise, as
counters must.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from exporters import engine_metrics as e
from exporters.metric import Metric
from orchestrator.catalogue.audit_check import Stretch
from orchestrator.catalogue.epochs import Adopted
from orchestrator.catalogue.pulse import Ended, Pulse, read_pulse
from orchestrator.catalogue.records import RunState
from orchestrator.catalogue.store import Catalogue
from policies.site import Site

#: Seconds: a drift check takes one, a backup some, a drill minutes, a first copy hours.
BUCKETS = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200)
#: Errors whose first occurrence must alert: a counter that begins with it would never have risen.
WATCHED = ("Fenced", "Unreachable", "CorruptObject")
#: What ended shortly before the server started still tells which vault answers.
BEFORE = timedelta(hours=6)
#: A run's end is dated before it is committed: so far back is looked again.
OVERLAP = timedelta(minutes=2)

Sample = tuple[Metric, tuple[str, ...], float]


@dataclass
class _Flow:
    """Runs of a flow by bucket, the last one beyond all bounds; with each the run that came last."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    last: list[Exemplar | None] = field(default_factory=lambda: [None] * (len(BUCKETS) + 1))
    total: float = 0.0

    def add(self, run: Ended, seconds: float) -> None:
        bucket = bisect_left(BUCKETS, seconds)
        self.counts[bucket] += 1
        self.last[bucket] = Exemplar({"run": run.id}, seconds, run.ended_at.timestamp())
        self.total += seconds


def empty_histogram() -> HistogramMetricFamily:
    return HistogramMetricFamily(e.RUN_DURATION.name, e.RUN_DURATION.help, labels=e.RUN_DURATION.labels)


class Counted:
    """Grows with each `read`; `samples` and `families` show it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._since: datetime | None = None
        self._started: datetime | None = None
        self._seen: dict[str, datetime] = {}
        self._flows: dict[str, _Flow] = {}
        self._failed = Counter[str]()
        self._answered: dict[str, datetime] = {}
        self._away: dict[str, datetime] = {}
        self._stretch: Stretch | None = None
        self._pulse: Pulse | None = None
        self._families: tuple[HistogramMetricFamily, ...] = ()

    @property
    def history(self) -> Sequence[Adopted]:
        """The epochs that are known here."""
        return self._pulse.history if self._pulse else ()

    def read(self, catalogue: Catalogue, moment: datetime) -> None:
        """Take in what ended since the last time. Raises Unreachable, and then has taken in nothing."""
        self._started = self._started or moment
        pulse = read_pulse(catalogue, self._since or moment - BEFORE, self._stretch)
        self._pulse, self._stretch = pulse, pulse.stretch
        for flow in pulse.flows:
            self._flows.setdefault(flow, _Flow())
        for run in pulse.ended:
            if run.id not in self._seen:
                self._take(run)
        newest = max((each.ended_at for each in pulse.ended), default=self._since or moment)
        self._since = max(newest - OVERLAP, self._since or newest - OVERLAP)
        self._seen = {
            run: at
            for run, at in {**self._seen, **{each.id: each.ended_at for each in pulse.ended}}.items()
            if at >= self._since
        }
        self._families = tuple(self._distribution())

    def _take(self, run: Ended) -> None:
        for centre in run.away:
            self._away[centre] = max(run.ended_at, self._away.get(centre, run.ended_at))
        if run.state is RunState.DONE:
            for centre in run.vaults - run.away:
                self._answered[centre] = max(run.ended_at, self._answered.get(centre, run.ended_at))
        assert self._started is not None
        if run.ended_at < self._started:
            return  # of an earlier process's time: it told of vaults, and is not counted
        if run.seconds is not None:
            self._flows[run.flow].add(run, run.seconds)
        if run.state is RunState.FAILED:
            self._failed[run.error_type or "unknown"] += 1

    def samples(self) -> Iterator[Sample]:
        """Yield all but the histogram; nothing before the first look."""
        if (pulse := self._pulse) is None:
            return
        for error_type in sorted({*WATCHED, *self._failed}):
            yield e.RUNS_FAILED, (error_type,), self._failed[error_type]
        for kind, beat in pulse.beats.items():
            yield e.WORKER_BEAT, (kind,), beat.timestamp()
        yield from self._vaults()
        yield e.EPOCH, (), pulse.history[-1].record.epoch if pulse.history else 0
        if pulse.history:
            yield e.EPOCH_ADOPTED, (), pulse.history[-1].adopted_at.timestamp()
        yield e.AUDIT_HEAD, (), pulse.audit_head
        yield e.AUDIT_BROKEN, (), float(pulse.stretch.broken is not None)
        if pulse.stretch.whole_at:
            yield e.AUDIT_WALKED, (), pulse.stretch.whole_at.timestamp()
        if pulse.unsealed_since:
            yield e.AUDIT_UNSEALED, (), pulse.unsealed_since.timestamp()
        yield e.CLOCK_SKEW, (), pulse.skew.total_seconds()

    def _vaults(self) -> Iterator[Sample]:
        for centre in map(str, self._site.vaults()):
            answered, away = self._answered.get(centre), self._away.get(centre)
            yield e.VAULT_AWAY, (centre,), float(away is not None and (answered is None or answered <= away))
            if answered:
                yield e.VAULT_ANSWERED, (centre,), answered.timestamp()

    def families(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram, with exemplars; nothing while there is no flow. Safe while `read` is at work."""
        return iter(self._families)

    def _distribution(self) -> Iterator[HistogramMetricFamily]:
        if not self._flows:
            return
        made = empty_histogram()
        for name, flow in sorted(self._flows.items()):
            buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
            count = 0
            for bound, more, last in zip((*BUCKETS, inf), flow.counts, flow.last, strict=True):
                count += more
                text = floatToGoString(bound)  # type: ignore[no-untyped-call]
                buckets.append((text, count, last) if last else (text, count))
            made.add_metric([name], buckets, flow.total)
        yield made
