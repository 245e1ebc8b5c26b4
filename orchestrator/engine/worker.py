"""A worker: takes runs from the queue, executes them on the durable engine, and takes over from the dead.

Every worker is the same, and none leads. Who may take what is decided in the database, one transaction each.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol

from orchestrator.catalogue.ledger import Claim, Ledger, Superseded
from orchestrator.catalogue.records import Order, RunRow
from orchestrator.engine import place
from orchestrator.engine.durable import DurableEngine, DurableJournal
from orchestrator.engine.execution import Execution, clean_up, conduct, do_cleanups, worker_id
from orchestrator.engine.heart import Heart, Kind, silent_seconds
from orchestrator.engine.inprocess import find_flow, make_order
from orchestrator.engine.port import Actions, FlowSpec, Part
from orchestrator.errors import Interrupted, TricenterError, Unreachable
from policies.site import Site

LOOP_SECONDS = 0.5
REAP_SECONDS = 2.0
TICK_SECONDS = 15.0
TIDY_SECONDS = 600.0
FORGET_AFTER_SECONDS = 5.0
GRACE_SECONDS = 20.0

log = logging.getLogger(__name__)


class Program(Protocol):
    """What a worker needs of the object graph."""

    @property
    def site(self) -> Site: ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def flows(self) -> Mapping[str, FlowSpec]: ...

    @property
    def actions(self) -> Actions: ...

    def tick(self, now: datetime) -> Any:
        """Put whatever is due into the queue."""


def end_process(reason: str) -> None:
    """End at once, without a last word to anybody: the kernel kills the children, and the others take over."""
    sys.stderr.write(f"错误 error: this worker ends itself: {reason}\n")
    sys.stderr.flush()
    os._exit(Unreachable.exit_code)


class Worker:
    """Executes runs from `start` to `stop`, some at a time, in threads of its own."""

    def __init__(
        self,
        app: Program,
        *,
        kind: Kind,
        jobs: int,
        schedule: bool = True,
        on_lost: Callable[[str], None] = end_process,
    ) -> None:
        """`jobs` is how many runs are executed at once; `on_lost` ends the process when its lease is lost."""
        self._app, self._jobs, self._schedule = app, jobs, schedule
        self.id = worker_id(kind)
        self.failed = threading.Event()
        self._ledger, self._limits = app.ledger, app.site.limits
        self._heart = Heart(self._ledger, self.id, kind, jobs, self._lost)
        self._end = on_lost
        self._engine = DurableEngine(self._ledger.url, self.id, self._conduct)
        self._claims: dict[str, Claim] = {}
        self._unreleased: dict[str, Claim] = {}
        self._ended: dict[str, tuple[int, float]] = {}
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._loop = threading.Thread(target=self._work, daemon=True, name="tricenter-worker")
        self._worked = time.monotonic()
        self._due = dict.fromkeys(("reap", "tick", "tidy"), 0.0)

    def start(self) -> None:
        """Begin to work. Raises Unreachable when the database does not answer or lacks the engine's tables."""
        self._engine.launch()
        self._heart.start()
        self._loop.start()

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Hand the runs back and leave. What does not let go in time is cut off, as by a crash."""
        self._stop.set()
        self._wake.set()
        self._loop.join(10)
        held = dict(self._claims)
        pulls = [threading.Thread(target=self._halt, args=(run_id,), daemon=True) for run_id in held]
        for each in pulls:
            each.start()
        end = time.monotonic() + grace_seconds
        while self._claims and time.monotonic() < end:
            time.sleep(0.05)
        stuck = set(self._claims)
        for claim in {**held, **self._unreleased}.values():
            with suppress(Superseded, TricenterError):
                self._ledger.release(claim)
        with suppress(Exception):
            self._forget(0)
        self._heart.stop()
        with suppress(Exception):
            self._ledger.dismiss(self.id)
        if stuck:
            log.warning("these runs did not let go and are cut off: %s", ", ".join(sorted(stuck)))
            sys.stderr.flush()
            os._exit(0)
        self._engine.close()

    @property
    def at_work(self) -> frozenset[str]:
        """The runs that are being executed here."""
        return frozenset(self._claims)

    @property
    def busy(self) -> int:
        """How many runs are being executed here; those that wait for a person do not count."""
        return sum(not self._is_waiting(each) for each in self._claims)

    @property
    def idle_seconds(self) -> float:
        """Seconds since the loop last came to its end, with whatever of it was due: the tick, the claims, the dead."""
        return time.monotonic() - self._worked

    # --- the loop

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self._once()
            except Exception as error:
                # A database that is away for a moment. If it stays away, the watchdog ends this process.
                log.warning("the worker goes on after %s: %s", type(error).__name__, error)
                log.debug("its traceback", exc_info=True)
            self._wake.wait(LOOP_SECONDS)
            self._wake.clear()

    def _once(self) -> None:
        self._release_again()
        if self._is_time("reap", REAP_SECONDS):
            self._disown()
            self._reap()
            self._ledger.sealer.soon()
        if self._schedule and self._is_time("tick", TICK_SECONDS):
            self._app.tick(datetime.now(UTC))
        while self.busy < self._jobs and not self._stop.is_set():
            claim = self._ledger.claim(self.id, self._limits, flows=tuple(self._app.flows))
            if claim is None:
                break
            self._execute(claim)
        self._forget()
        if self._is_time("tidy", TIDY_SECONDS):
            self._tidy()
        self._worked = time.monotonic()

    def _tidy(self) -> None:
        self._engine.tidy(lambda: {each.id for each in self._ledger.catalogue.open_runs()})
        self._ledger.forget(self._ledger.clock() - self._app.site.keep_runs)
        self._ledger.trim_audit(self._ledger.clock() - self._app.site.audit.keep)

    def _is_time(self, what: str, every: float) -> bool:
        if time.monotonic() < self._due[what]:
            return False
        self._due[what] = time.monotonic() + every
        return True

    def _execute(self, claim: Claim) -> None:
        run = claim.run
        self._claims[run.id] = claim
        moved = run.pinned_host is not None and run.pinned_host != place.this_place()
        try:
            self._engine.start(run.id, claim.generation, keep=run.pinned_step if moved else None)
        except Exception:
            del self._claims[run.id]
            self._unreleased[run.id] = claim
            raise

    def _conduct(self, run_id: str, journal: DurableJournal) -> None:
        """Called by the engine, in a thread of its own."""
        claim = self._claims[run_id]
        execution = Execution(self._ledger, claim, journal, self._limits, order_part=self._order_part)
        self._heart.executions[run_id] = execution
        try:
            conduct(execution, self._app.flows[claim.run.flow], self._app, self._app.actions)
        except TricenterError as error:
            log.info("run %s ended: %s", run_id, error)
        except Exception:
            # Not an answer of the flow: its end could not be written down. It goes back, and is done from there.
            log.exception("run %s lost its engine", run_id)
            self._unreleased[run_id] = claim
        finally:
            self._heart.executions.pop(run_id, None)
            self._claims.pop(run_id, None)
            self._ended[run_id] = (claim.generation, time.monotonic())
            if claim.run.parent and (whole := self._heart.executions.get(claim.run.parent)):
                whole.wake.set()
            self._wake.set()  # there is room for the next

    def _order_part(self, part: Part) -> Order:
        self._wake.set()  # it may be for us
        return make_order(self._app, find_flow(self._app.flows, part.flow), part.arguments)

    # --- the dead

    def _reap(self) -> None:
        gone = {each.id for each in self._ledger.catalogue.workers()}
        for row in self._ledger.reap(socket.gethostname(), silent_seconds(self._ledger.url)):
            log.warning("cleared up after the interrupted run %s (%s %s)", row.id, row.flow, row.subject)
            clean_up(self._ledger, self._app.actions, row.id, failed=True)
        for worker in gone - {each.id for each in self._ledger.catalogue.workers()}:
            log.warning("worker %s is gone; its runs were taken over", worker)
            self._engine.dismiss(worker)
            self._due["tidy"] = 0.0  # of what it ended last, it has not deleted the journals
        do_cleanups(self._ledger, self._app.actions, self._ledger.orphaned_cleanups(socket.gethostname()))

    def _release_again(self) -> None:
        for run_id, claim in list(self._unreleased.items()):
            with suppress(Superseded):
                self._ledger.release(claim)
            del self._unreleased[run_id]

    def _disown(self) -> None:
        """Give back what is ours in the database and nobody's here: the answer to a claim, or to an end, was lost."""
        for run_id in self._ledger.disown(self.id, self._claims.keys() | self._unreleased.keys()):
            log.warning("run %s was given back: the database was away when it was claimed or ended", run_id)

    def _forget(self, after_seconds: float = FORGET_AFTER_SECONDS) -> None:
        """Delete the journals of runs that have ended, a moment after the engine has let go of them."""
        for run_id, (generation, when) in list(self._ended.items()):
            if time.monotonic() - when > after_seconds:
                row: RunRow = self._ledger.catalogue.run(run_id)
                if row.state.ended:
                    self._engine.forget(run_id, max(generation, row.generation))
                del self._ended[run_id]

    # --- stopping

    def _halt(self, run_id: str) -> None:
        if execution := self._heart.executions.get(run_id):
            execution.halting.set()
            execution.leash.pull(Interrupted("the worker is stopping", hint="another one goes on with the run"))

    def _lost(self, reason: str) -> None:
        self.failed.set()
        self._end(reason)

    def _is_waiting(self, run_id: str) -> bool:
        execution = self._heart.executions.get(run_id)
        return execution is not None and execution.waiting
