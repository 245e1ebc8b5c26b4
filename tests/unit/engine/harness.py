"""Both engines behind one face, so that one suite of tests holds them to one contract."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from orchestrator.catalogue.ledger import Claim, Ledger, Superseded
from orchestrator.catalogue.records import Order, RunRow, RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.engine.execution import Halted
from orchestrator.engine.heart import Heart
from orchestrator.engine.memory import MemoryEngine
from orchestrator.engine.parts import end_parts
from orchestrator.engine.port import FlowSpec, Run
from orchestrator.engine.worker import Worker

SECONDS = 20.0


class Crash(Halted):
    """Ends an execution where it stands: nothing of it is heard of again."""


@dataclass
class Town:
    """What the flows under test run in: they note here what they do."""

    flows: dict[str, FlowSpec] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)

    def flow(self, act: Callable[[Run], Any], name: str = "flow") -> None:
        """Make `act` the flow of this name."""

        def run(run: Run, program: Any, arguments: Mapping[str, str]) -> Any:
            return act(run)

        def slots(program: Any, arguments: Mapping[str, str]) -> tuple[str, ...]:
            return ("tenant:a",)

        self.flows[name] = FlowSpec(name, ("who?",), lambda arguments: arguments.get("who", "demo"), slots, run)

    def note(self, what: str, result: Any = None) -> Any:
        """Note that something is done; crash there once, when the test asked for it."""
        self.notes.append(what)
        if what in self.crashes:
            self.crashes.remove(what)
            raise Crash(what)
        return result

    @property
    def actions(self) -> dict[str, Callable[..., Any]]:
        return {"tidy": lambda what: self.note(f"tidy {what}"), "undo": lambda what: self.note(f"undo {what}")}

    def actions_with(self, ledger: Ledger) -> dict[str, Callable[..., Any]]:
        return {**self.actions, "end-parts": lambda run: end_parts(ledger, run, "the whole has ended", SECONDS)}


class Engine(Protocol):
    """What a test asks of an engine."""

    town: Town
    ledger: Ledger

    def run(self, flow: str = "flow", who: str = "demo") -> RunRow:
        """Submit a run, execute it until it ends or is held, taking up again whatever crashes, and return it."""

    def submit(self, flow: str = "flow", who: str = "demo") -> RunRow: ...

    def work_until(self, condition: Callable[[], bool]) -> None:
        """Let the engine work until the condition holds."""


def order(town: Town, flow: str, who: str) -> Order:
    spec, arguments = town.flows[flow], {"who": who}
    return Order(flow=flow, subject=spec.subject(arguments), arguments=arguments, slots=spec.slots(None, arguments))


class _Engine:
    def __init__(self, town: Town, ledger: Ledger) -> None:
        self.town, self.ledger = town, ledger

    def submit(self, flow: str = "flow", who: str = "demo") -> RunRow:
        return self.ledger.submit(order(self.town, flow, who))

    def run(self, flow: str = "flow", who: str = "demo") -> RunRow:
        made = self.submit(flow, who)
        self.work_until(lambda: self._settled(made.id))
        return self.ledger.catalogue.run(made.id)

    def work_until(self, condition: Callable[[], bool]) -> None:
        raise NotImplementedError

    def _settled(self, run_id: str) -> bool:
        row = self.ledger.catalogue.run(run_id)
        return row.state.ended or row.not_before is not None


class InMemory(_Engine):
    def __init__(self, town: Town, ledger: Ledger) -> None:
        super().__init__(town, ledger)
        self._heart = Heart(ledger, "w", "worker", 4, lambda reason: None)
        self._heart.start()
        self._engine = MemoryEngine(
            town, ledger, town.flows, town.actions_with(ledger), "w", executions=self._heart.executions
        )

    def close(self) -> None:
        self._heart.stop()

    def work_until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        threads: list[threading.Thread] = []

        def execute() -> None:
            row = self._engine.execute()
            if row and row.state in (RunState.RUNNING, RunState.WAITING):
                self._engine.give_back(row)

        while not condition():
            assert time.monotonic() < end, "the run does not come to an end"
            threads = [each for each in threads if each.is_alive()]
            if not threads:
                threads.append(threading.Thread(target=execute, daemon=True))
                threads[-1].start()
            time.sleep(0.01)


class Durable(_Engine):
    def __init__(self, town: Town, ledger: Ledger) -> None:
        super().__init__(town, ledger)
        site = SimpleNamespace(limits={}, keep_runs=timedelta(days=30))
        app: Any = SimpleNamespace(
            site=site, ledger=ledger, flows=town.flows, actions=town.actions_with(ledger), tick=lambda now: None
        )
        self.worker = Worker(app, kind="worker", jobs=4, schedule=False)
        self.worker.start()

    def work_until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end, "the run does not come to an end"
            for row in self.ledger.catalogue.runs(states=[RunState.RUNNING, RunState.WAITING]):
                if row.id not in self.worker.at_work:  # its execution crashed
                    with suppress(Superseded):  # it has ended in this moment
                        self.ledger.release(Claim(row, self.worker.id, row.generation))
            time.sleep(0.02)

    def close(self) -> None:
        self.worker.stop(5)


@contextmanager
def engine(kind: str, url: str, folder: Path) -> Iterator[Engine]:
    ledger = Ledger(Catalogue(url))
    made = InMemory(Town(), ledger) if kind == "memory" else Durable(Town(), ledger)
    try:
        yield made
    finally:
        made.close()
        ledger.catalogue.engine.dispose()
