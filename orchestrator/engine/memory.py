"""The engine in memory: replays and crashes on demand, so that a flow's way after a crash is tested in no time.

The same contract as the durable one, without its processes: results go through the journal's text, and a journal
that does not fit the flow is a fault of the engine and no answer of a step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from orchestrator.catalogue.ledger import Claim, Ledger
from orchestrator.catalogue.records import HELD, RunRow
from orchestrator.engine import place
from orchestrator.engine.execution import Ended, Execution, Halted, JournalFault, conduct, read_back, written_down
from orchestrator.engine.inprocess import make_order
from orchestrator.engine.port import Actions, FlowSpec
from orchestrator.errors import TricenterError
from policies.limits import Limits


@dataclass
class MemoryJournal:
    """Satisfies `orchestrator.engine.execution.Journal`. `entries` outlive an execution, as a database does."""

    entries: list[tuple[str, str, bool]] = field(default_factory=list)
    _next: int = 0

    def once(self, name: str, do: Callable[[], Ended]) -> Ended:
        self._next += 1
        if self._next <= len(self.entries):
            return self._again(name)
        self.entries.append((name, *written_down(do())))
        return self._again(name)

    def changed(self, name: str) -> bool:
        mark = f"changed:{name}"
        if self._next < len(self.entries) and self.entries[self._next][0] != mark:
            return False
        self.once(mark, lambda: Ended(None))
        return True

    def position(self) -> int:
        return self._next

    def _again(self, name: str) -> Ended:
        known, text, failed = self.entries[self._next - 1]
        if known != name:
            raise JournalFault(f"the journal has step {known!r} where the flow has {name!r}")
        try:
            return read_back(text, failed)
        except Exception as error:
            raise JournalFault(f"step {name}: {type(error).__name__}: {error}") from error


@dataclass
class MemoryEngine:
    """Executes queued runs where it is called, one claim at a time."""

    program: Any
    ledger: Ledger
    flows: Mapping[str, FlowSpec]
    actions: Actions
    worker: str
    limits: Limits = field(default_factory=dict)
    executions: dict[str, Execution] = field(default_factory=dict)
    journals: dict[str, list[tuple[str, str, bool]]] = field(default_factory=dict)

    def execute(self) -> RunRow | None:
        """Execute the next run until it ends or its execution is halted; None when no run is to be had.

        A halted one still belongs to the worker, as after a crash: give it back to go on.
        """
        claim = self.ledger.claim(self.worker, self.limits)
        return self._execute(claim) if claim else None

    def give_back(self, row: RunRow) -> None:
        """Put a run whose execution was halted into the queue again."""
        self.ledger.release(Claim(row, self.worker, row.generation))

    def _execute(self, claim: Claim) -> RunRow:
        entries = self.journals.setdefault(claim.run.id, [])
        if claim.run.pinned_host not in (None, place.this_place()):
            del entries[claim.run.pinned_step or 0 :]
        execution = Execution(
            self.ledger,
            claim,
            MemoryJournal(entries),
            self.limits,
            order_part=lambda part: make_order(self.program, self.flows[part.flow], part.arguments),
            staff=lambda: self._begin_part(claim.run.id),
        )
        self.executions[claim.run.id] = execution
        try:
            with suppress(Halted, JournalFault, TricenterError):
                conduct(execution, self.flows[claim.run.flow], self.program, self.actions)
        finally:
            self.executions.pop(claim.run.id, None)
        return self.ledger.catalogue.run(claim.run.id)

    def _begin_part(self, parent: str) -> bool:
        """Execute a part of a run in a thread of its own; False when none can be had."""
        claim = self.ledger.claim(self.worker, self.limits, parent=parent)
        if claim is None:
            return False

        def execute() -> None:
            row = self._execute(claim)
            if row.state in HELD:
                self.give_back(row)

        threading.Thread(target=execute, daemon=True).start()
        return True
