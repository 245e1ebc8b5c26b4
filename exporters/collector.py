"""The collector that Prometheus reads: a view of the catalogue that is never far behind and never in the way.

A scrape never raises and never waits long. One thread reads the catalogue and writes the view; a scrape takes what
that brings within a short patience, or the last good view with its age. A small site's is always of the moment. A large
one's is as old as a reading takes, which nobody waits for.

A metric is added in three lines: `_read_counts` reads a value, `_samples` yields what a function makes of it, and the
list of metrics names it. What `_live` yields is written anew for each scrape, by prometheus_client: a few series.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from exporters import metrics as m
from exporters.archive_view import archive_samples
from exporters.copy_view import active_samples, lag_samples, readiness_samples, stored_samples, tenant_samples
from exporters.drift_view import drift_samples
from exporters.exposition import Exposition, Stream, write
from exporters.notice_view import notice_samples
from exporters.parity_view import parity_samples
from exporters.pulse import Counted, empty_histogram
from exporters.quota_view import quota_samples
from exporters.standing_view import standing_samples
from exporters.view import (
    Sample,
    activity_samples,
    board_samples,
    empty_family,
    expected_samples,
    families,
    key_samples,
    lock_samples,
    plan_samples,
    spot_samples,
    upkeep_samples,
)
from orchestrator.catalogue.activity import Activity, read_activity
from orchestrator.catalogue.archives import ArchiveAt, read_archives
from orchestrator.catalogue.board import Board, read_board
from orchestrator.catalogue.database import now
from orchestrator.catalogue.drifts import DriftCount, read_drifts
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.keys import Keys, read_keys
from orchestrator.catalogue.landed import Landed
from orchestrator.catalogue.locks import Locks, read_locks
from orchestrator.catalogue.notices import Outbox, read_outbox
from orchestrator.catalogue.parities import ParityAt, read_parities
from orchestrator.catalogue.plans import PlanAt, read_plans
from orchestrator.catalogue.quota_uses import QuotaUses, read_quota_uses
from orchestrator.catalogue.scenario import Expected, read_expected
from orchestrator.catalogue.spot_checks import SpotCheck, last_spot_checks
from orchestrator.catalogue.standing import Standing, read_standing
from orchestrator.catalogue.store import Catalogue
from orchestrator.catalogue.stored import Stored, read_stored
from orchestrator.catalogue.verifications import Upkeep, read_upkeep
from policies.plan_digest import plan_digests
from policies.site import Site

#: Seconds from one reading to the next: of the board, and of the counts, which look at every row.
BOARD_EVERY = 5.0
COUNTS_EVERY = 60.0
#: Reading takes no more than this share of the time, however large the catalogue is.
SHARE = 0.1
#: A scrape waits so long for a reading when there is a view that is not older than so long (seconds both), and so long
#: when there is none; Prometheus itself gives up after 10 seconds.
BRIEFLY = 0.25
FRESH = 120.0
PATIENCE = 4.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pace:
    """When the next reading may begin, on the monotonic clock."""

    every: float
    not_before: float = 0.0

    def read(self, began: float) -> None:
        ended = time.monotonic()
        self.not_before = max(began + self.every, ended + (ended - began) * (1 / SHARE - 1))

    @property
    def due(self) -> bool:
        return time.monotonic() >= self.not_before


class TricenterCollector(Collector):
    """Gives the metrics of a site. Safe to scrape from several threads at once."""

    def __init__(self, site: Site, catalogue: Catalogue, *, clock: Callable[[], datetime] = now) -> None:
        self._site, self._catalogue, self._clock = site, catalogue, clock
        self._lock = threading.Lock()
        self._reading: threading.Thread | None = None
        self._board_pace, self._counts_pace = _Pace(BOARD_EVERY), _Pace(COUNTS_EVERY)
        self._landed = Landed()
        self._activity: Activity | None = None
        self._upkeep: Upkeep | None = None
        self._keys: Keys | None = None
        self._locks: Mapping[Key, Locks] | None = None
        self._plans: tuple[PlanAt, ...] = ()
        self._spot_checks: Sequence[SpotCheck] = ()
        self._archives: Sequence[ArchiveAt] = ()
        self._quota_uses: QuotaUses | None = None
        self._parities: Sequence[ParityAt] = ()
        self._standing: Standing | None = None
        self._drifts: Sequence[DriftCount] = ()
        self._expected: Mapping[Key, Expected] = {}
        self._stored: Mapping[Key, Stored] = {}
        self._counted = Counted(site)
        self._exposition = Exposition()
        self._shown_at = -FRESH
        self._outbox: Outbox | None = None
        self._errors = 0
        self._digests = plan_digests(site)
        self._build: Sample = (m.BUILD, (version("tricenter"), site.site), 1.0)

    def describe(self) -> Iterator[Family]:
        """Yield the families without samples, so that registering the collector reads nothing."""
        yield from (empty_family(each) for each in m.METRICS if each.kind != "histogram")
        yield empty_histogram()

    def collect(self) -> Iterator[Family]:
        """Yield the families of the same text as a scrape gets: for who wants them one by one, and few of them."""
        return iter(text_string_to_metric_families(self.scrape().text().decode()))

    def scrape(self, *, openmetrics: bool = False) -> Stream:
        """Return the text of a view that is fresh, or of the last one that could be read. Never raises."""
        if reading := self._begin_reading():
            reading.join(BRIEFLY if time.monotonic() - self._shown_at < FRESH else PATIENCE)
        return self._exposition.answer(self._live(), openmetrics=openmetrics)

    def _live(self) -> Sequence[Family]:
        return (*families((self._build, (m.VIEW_ERRORS, (), self._errors))), *self._counted.families())

    def _begin_reading(self) -> threading.Thread | None:
        """Return the reading that is under way, begun now when one is due; None when the view is fresh."""
        with self._lock:
            if self._reading and self._reading.is_alive():
                return self._reading
            if not self._board_pace.due:
                return None
            self._reading = threading.Thread(target=self._read, name="view", daemon=True)
            self._reading.start()
            return self._reading

    def _read(self) -> None:
        began = time.monotonic()
        try:
            board = read_board(self._site, self._catalogue, self._clock(), landed=self._landed)
            if not self._activity:
                self._show(board)  # the counts take longer, and nobody waits for them to see the objectives
            if self._counts_pace.due:
                self._read_counts()
            self._show(board)
        except Exception as error:  # noqa: BLE001  # a scrape that fails shows nothing at all, this error included
            self._errors += 1
            log.warning("the last good view is shown, for the catalogue could not be read: %s", error)
        finally:
            self._board_pace.read(began)

    def _show(self, board: Board) -> None:
        self._exposition = write(self._samples(board))
        self._shown_at = time.monotonic()

    def _samples(self, board: Board) -> Iterator[Sample]:
        yield from board_samples(board)
        if self._activity:
            yield from activity_samples(self._activity, board)
            yield from tenant_samples(self._activity.tenants)
            yield from active_samples(self._counted.history, self._site)
        if self._upkeep:
            yield from upkeep_samples(self._upkeep, self._site)
        if self._locks is not None:
            yield from lock_samples(self._locks, self._site)
        if self._keys:
            yield from key_samples(self._keys, self._site)
        yield from plan_samples(self._plans)
        yield from readiness_samples(self._plans)
        yield from expected_samples(self._expected, self._site)
        yield from spot_samples(self._spot_checks, self._site)
        yield from archive_samples(self._archives, self._site)
        yield from drift_samples(self._drifts, self._site)
        yield from parity_samples(self._parities, self._site)
        if self._standing:
            yield from standing_samples(self._standing, self._site)
        if self._quota_uses:
            yield from quota_samples(self._quota_uses, self._site)
        yield from lag_samples(board)
        yield from stored_samples(self._stored, self._site)
        yield from self._counted.samples()
        if self._outbox:
            yield from notice_samples(self._outbox, self._site)

    def _read_counts(self) -> None:
        began = time.monotonic()
        moment = self._clock()
        self._activity, self._upkeep = read_activity(self._catalogue), read_upkeep(self._catalogue)
        self._locks = read_locks(self._catalogue)
        self._spot_checks = last_spot_checks(self._catalogue)
        self._keys = read_keys(self._catalogue)
        self._outbox = read_outbox(self._catalogue)
        self._archives = read_archives(self._catalogue)
        self._quota_uses = read_quota_uses(self._catalogue)
        self._standing = read_standing(self._catalogue)
        self._parities = read_parities(self._catalogue)
        self._drifts = read_drifts(self._catalogue)
        self._plans = read_plans(self._site, self._catalogue, moment, digests=self._digests)
        self._expected = read_expected(self._site, self._catalogue, moment)
        within = (ref.tier.schedule.read_all_within for ref in self._site.systems())
        self._stored = read_stored(self._catalogue, moment, within)
        self._counted.read(self._catalogue, moment)
        self._counts_pace.read(began)
