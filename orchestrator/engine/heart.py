"""The heart of a process that executes runs: it says that it lives, and hears what became of its runs.

Several workers agree on who is dead by one clock, the database's. A worker that cannot reach the database knows by
its own clock when the others will take its runs over, and is still before that: it would otherwise act on a run
that somebody else is acting on.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Literal

from orchestrator.catalogue.ledger import AbortRequested, Ledger, Superseded
from orchestrator.catalogue.records import WorkerRow
from orchestrator.engine.execution import Execution
from orchestrator.errors import Aborted
from orchestrator.process import started_at

Kind = Literal["server", "worker", "one-shot"]

BEAT_SECONDS = 1.0
PROGRESS_SECONDS = 1.0

#: A worker that is silent for this long is dead to the others …
SILENT_SECONDS = 8.0
#: … and one that could not say anything for this long ends itself. The difference is what clocks may differ by.
LEASE_SECONDS = 6.0
#: On SQLite there is one engine, and nobody to take over from it: a slow disk is no death.
LONELY_FACTOR = 10

log = logging.getLogger(__name__)


def silent_seconds(url: str) -> float:
    return SILENT_SECONDS * (LONELY_FACTOR if url.startswith("sqlite") else 1)


def lease_seconds(url: str) -> float:
    return LEASE_SECONDS * (LONELY_FACTOR if url.startswith("sqlite") else 1)


class Heart:
    """Beats in a thread of its own, from `start` to `stop`. `executions` are the runs of this process by id."""

    def __init__(self, ledger: Ledger, worker: str, kind: Kind, jobs: int, on_lost: Callable[[str], None]) -> None:
        """`on_lost` is called, once, with the reason when the lease is lost."""
        self._ledger, self.worker, self._kind, self._jobs, self._on_lost = ledger, worker, kind, jobs, on_lost
        self._lease = lease_seconds(ledger.url)
        self.executions: dict[str, Execution] = {}
        self._stop = threading.Event()
        self._last = _clock()
        self._threads = [
            threading.Thread(target=each, daemon=True, name=f"tricenter-{name}")
            for name, each in (("heart", self._beat), ("watchdog", self._watch), ("ears", self._listen))
        ]

    def start(self) -> None:
        """Enlist this process as a worker, and begin to beat."""
        moment = datetime.now(UTC)
        self._ledger.enlist(
            WorkerRow(
                id=self.worker,
                kind=self._kind,
                host=socket.gethostname(),
                pid=os.getpid(),
                pid_started=started_at(os.getpid()) or 0,
                version=version("tricenter"),
                jobs=self._jobs,
                started_at=moment,
                beat_at=moment,
            )
        )
        self._last = _clock()
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        """Beat no more. The process says separately that it leaves."""
        self._stop.set()
        for each in self._threads:
            if each is not threading.current_thread():
                each.join(2 * BEAT_SECONDS)

    @property
    def silence(self) -> float:
        """How long ago the last beat that arrived was sent, in seconds."""
        return _clock() - self._last

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            sent = _clock()
            try:
                self._ledger.beat(self.worker)
            except Superseded as error:
                self._lose(str(error))
                return
            except Exception as error:  # noqa: BLE001  # whatever it is: the watchdog counts the seconds
                log.warning("no heartbeat: %s", type(error).__name__)
            else:
                self._last = sent

    def _watch(self) -> None:
        """Look at the clock and at nothing else: no lock, no database, so that nothing can hold it up."""
        while not self._stop.wait(BEAT_SECONDS / 5):
            if self.silence > self._lease:
                self._lose(f"the database did not hear of this worker for {self.silence:.0f} s")
                return

    def _lose(self, reason: str) -> None:
        if not self._stop.is_set():
            self._stop.set()
            self._on_lost(reason)

    def _listen(self) -> None:
        """Tell the catalogue how far each run is, and stop those that were aborted or are somebody else's by now."""
        told: dict[str, object] = {}
        while not self._stop.wait(PROGRESS_SECONDS):
            for run_id, execution in list(self.executions.items()):
                latest = execution.latest
                try:
                    if latest is not None and told.get(run_id) != latest:
                        told[run_id] = latest
                        what, done, total = latest
                        self._ledger.progress(execution.claim, {"what": what, "done": done, "total": total})
                    else:
                        self._ledger.look(execution.claim)
                except AbortRequested:
                    execution.leash.pull(Aborted("the run was aborted", hint="what it had made was taken away again"))
                except Superseded as error:
                    execution.halting.set()
                    execution.leash.pull(Aborted(f"the run was taken over: {error}"))
                except Exception as error:  # noqa: BLE001  # the heart and the watchdog see to a lost database
                    log.debug("cannot look after run %s: %r", run_id, error)
            for gone in told.keys() - self.executions.keys():
                del told[gone]


def _clock() -> float:
    # Counts while the machine is suspended, too: the others' clocks do.
    return time.clock_gettime(time.CLOCK_BOOTTIME)
