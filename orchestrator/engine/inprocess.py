"""The in-process engine of one-shot commands: runs a flow where it is called, under the same limits, with the same
evidence. Killed, its run is cleared up by whoever comes next, and is not resumed: who ran the command runs it again.
"""

from __future__ import annotations

import atexit
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from orchestrator.catalogue.ledger import Claim, Ledger
from orchestrator.catalogue.records import Order, RunRow
from orchestrator.engine.execution import (
    Execution,
    Halted,
    JournalFault,
    NoJournal,
    clean_up,
    conduct,
    do_cleanups,
    worker_id,
)
from orchestrator.engine.heart import Heart, silent_seconds
from orchestrator.engine.port import Actions, FlowSpec
from orchestrator.errors import Aborted, InvalidInput, TricenterError, UnknownName, Unreachable
from orchestrator.person import login_name
from orchestrator.process import Leash
from policies.limits import Limits

CLAIM_POLL_SECONDS = 0.25

#: Called with what is being done, how much of it is done, and how much there is.
Observer = Callable[[str, float, float], None]

#: Puts something around the run that a flow sees.
Wrap = Callable[[Execution], Any]

log = logging.getLogger(__name__)


class Runner:
    """Runs flows in this process, and clears up after processes that died. Several threads may use one."""

    def __init__(
        self, program: Any, ledger: Ledger, flows: Mapping[str, FlowSpec], actions: Actions, limits: Limits
    ) -> None:
        self._program, self._ledger, self._flows, self._actions = program, ledger, flows, actions
        self._limits = limits
        self._heart: Heart | None = None
        self._lock = threading.Lock()

    def run(
        self,
        flow: str | FlowSpec,
        arguments: Mapping[str, str],
        /,
        *,
        observer: Observer | None = None,
        reason: str = "",
        deadline: datetime | None = None,
        on_run: Callable[[str], None] = lambda _: None,
        wrap: Wrap | None = None,
    ) -> Any:
        """Run a flow to its end and return its result; its errors are recorded and raised.

        Waits while the limits do not allow it. `on_run` is told the run's id when it begins; `wrap` may put
        something around the run that the flow sees, and around each of its parts. Raises Busy when
        the same is being done already.
        """
        spec = find_flow(self._flows, flow) if isinstance(flow, str) else flow
        order = make_order(self._program, spec, arguments, reason=reason, deadline=deadline)
        heart = self._beating()
        row = self._ledger.submit(order)
        claim = self._claim(row, heart, observer)
        on_run(row.id)
        try:
            return self._conduct(claim, spec, heart, observer, wrap)
        except (Halted, JournalFault) as error:
            raise Unreachable(
                f"run {row.id} could not be written down any more: {error}",
                hint="when the catalogue's database answers again, run the same command again",
            ) from error

    def recover(self) -> list[RunRow]:
        """Clear up after processes of this host that died; return their runs. May be repeated, and run at once."""
        ended = self._ledger.reap(socket.gethostname(), silent_seconds(self._ledger.url))
        for row in ended:
            clean_up(self._ledger, self._actions, row.id, failed=True)
        do_cleanups(self._ledger, self._actions, self._ledger.orphaned_cleanups(socket.gethostname()))
        return ended

    def _conduct(self, claim: Claim, spec: FlowSpec, heart: Heart, observer: Observer | None, wrap: Wrap | None) -> Any:
        execution = Execution(
            self._ledger,
            claim,
            NoJournal(),
            self._limits,
            leash=Leash(),
            observer=observer,
            order_part=lambda part: make_order(self._program, find_flow(self._flows, part.flow), part.arguments),
            staff=lambda: self._begin_part(claim.run.id, heart, wrap),
        )
        heart.executions[claim.run.id] = execution
        try:
            return conduct(execution, spec, self._program, self._actions, wrap=wrap)
        finally:
            del heart.executions[claim.run.id]

    def _begin_part(self, parent: str, heart: Heart, wrap: Wrap | None) -> bool:
        """Execute a part of a run whose turn has come in a thread of its own; False when there is none."""
        claim = self._ledger.claim(heart.worker, self._limits, parent=parent)
        if claim is None:
            return False

        def execute() -> None:
            # How it ended stands in its row, where the whole looks.
            with suppress(TricenterError, Halted, JournalFault):
                self._conduct(claim, find_flow(self._flows, claim.run.flow), heart, None, wrap)
            if whole := heart.executions.get(parent):
                whole.wake.set()

        threading.Thread(target=execute, daemon=True, name=f"tricenter-{claim.run.id}").start()
        return True

    def _claim(self, row: RunRow, heart: Heart, observer: Observer | None) -> Claim:
        try:
            while (claim := self._ledger.claim(heart.worker, self._limits, run_id=row.id)) is None:
                if observer:
                    observer("等待名额 waiting for a slot", 0, 0)
                self._look(row.id)
                time.sleep(CLAIM_POLL_SECONDS)
        except BaseException:
            with suppress(Exception):
                self._ledger.request_abort(row.id, "interrupted")
            raise
        return claim

    def _look(self, run_id: str) -> None:
        if self._ledger.catalogue.run(run_id).state.ended:
            raise Aborted("the run was aborted while it waited")

    def _beating(self) -> Heart:
        with self._lock:
            if self._heart is None:
                self._heart = Heart(self._ledger, worker_id("one-shot"), "one-shot", os.cpu_count() or 1, self._lost)
                self._heart.start()
                atexit.register(self.close)
            return self._heart

    def close(self) -> None:
        """Say that this process executes no more runs. May be repeated."""
        with self._lock:
            heart, self._heart = self._heart, None
        if heart:
            heart.stop()
            with suppress(Exception):
                self._ledger.dismiss(heart.worker)

    def _lost(self, reason: str) -> None:
        heart = self._heart
        for each in list(heart.executions.values()) if heart else []:
            each.leash.pull(Unreachable(f"the catalogue was lost: {reason}", hint="run the same command again"))


def find_flow(flows: Mapping[str, FlowSpec], name: str) -> FlowSpec:
    if name not in flows:
        raise UnknownName("flow", name, flows)
    return flows[name]


def make_order(
    program: Any,
    spec: FlowSpec,
    arguments: Mapping[str, str],
    *,
    reason: str = "",
    deadline: datetime | None = None,
    requested_by: str = "",
    retry_of: str | None = None,
) -> Order:
    """Return what is asked of the ledger. Raises InvalidInput or UnknownName for arguments that the flow has not."""
    for name in arguments:
        if name not in spec.known:
            raise UnknownName(f"argument of {spec.name}", name, spec.known)
    if missing := [each for each in spec.required if each not in arguments]:
        raise InvalidInput(f"{spec.name} wants {', '.join(missing)}", hint=f"arguments: {' '.join(spec.arguments)}")
    return Order(
        flow=spec.name,
        subject=spec.subject(arguments),
        arguments=dict(arguments),
        slots=spec.slots(program, arguments),
        deadline=deadline,
        reason=reason,
        requested_by=requested_by or login_name(),
        retry_of=retry_of,
    )
