"""An engine that kills itself: a real worker on a real site, ended by SIGKILL at every point of its runs. A program.

Each engine is a process of its own, forked from one that has imported everything and runs no threads: a restart then
costs what an engine's start costs, and not what Python's does. Nothing but modules passes from one to the next.

A point is a step's name and a moment. A step that is done again comes by its points again, so each point fires once:

    before   the attempt's row is written, the act has not begun
    inside   the act is at work: at half of its undisturbed time; if it is faster, when it returns, its row still open
    done     the act returned and its row is closed; the journal does not know
    after    the journal has it

The engine's own steps have names in brackets: it claims a run, takes it over with steps in its journal, takes away
what the run made, and writes down the run's end.

A run's parts have points of their own when they are of a flow that is killed nowhere else.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import pkgutil
import re
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TextIO

import drills
import orchestrator
import policies
from orchestrator.app import App
from orchestrator.catalogue.ledger import Claim, Ledger
from orchestrator.catalogue.records import RunRow
from orchestrator.engine import execution
from orchestrator.engine.durable import DurableEngine, DurableJournal
from orchestrator.engine.execution import Execution
from orchestrator.engine.worker import Worker
from orchestrator.tenants import flows as tenant_flows

MOMENTS = ("before", "inside", "done", "after")
CLAIM, TAKE_OVER, CLEAN_UP, END = "(claim)", "(take-over)", "(clean-up)", "(end)"

SHORTEST_SECONDS = 0.003
UNKNOWN_SECONDS = 0.03
POLL_SECONDS = 0.05
#: No engine may need longer than this to come to its next point, or to the run's end.
STUCK_SECONDS = 90
MOST_KILLS = 500
#: A run and one of its parts at a time.
JOBS = 2

#: The flows of parts that are killed. Others have cases of their own, and are left alone when they are parts.
KILLED_PARTS = ("recover",)

#: No part of an engine.
NOT_LOADED = ("orchestrator.catalogue.migrations", "orchestrator.lab", "orchestrator.__main__")

#: What differs between two runs of one shape: names of points, of systems and of what points to them, addresses,
#: hashes and what begins them.
_OWN = re.compile(
    r"\d{8}T\d{6}Z-[0-9a-f]{8}|\bt-[0-9a-f]{8}\b(/[a-z]+)?|[a-z]+\.test-[0-9a-f]+\.internal|\b10\.\d+\.\d+\.\d+"
    r"|(?<=^read:)[0-9a-f]+$|(?<=^wait:approve:)[0-9a-f]+$"
)


@dataclass(frozen=True)
class Task:
    """What a driver is to do: work until these runs have ended; with `kill`, die at every point on the way.

    `seconds` are the undisturbed times of steps by their shape, `moments` those of each point.
    """

    site: str
    overlay: str
    runs: list[str]
    log: str
    kill: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    moments: Sequence[str] = MOMENTS


@dataclass(frozen=True)
class Kill:
    """One kill: at which point, and whether the act was at work or had just returned. `part` is the flow of a part."""

    step: str
    moment: str
    at_work: bool
    part: str = ""


def shape(step: str) -> str:
    """Return a step's name without what is its run's own."""
    return _OWN.sub("*", step)


class Killer:
    """Ends this process at the first point that has not fired yet."""

    def __init__(self, task: Task, fired: list[Kill]) -> None:
        self._task, self._fired = task, {(each.part, each.step, each.moment) for each in fired}
        self._journaled = {each.part for each in fired if each.moment == "after"}
        self._runs: dict[str, RunRow] = {}
        self._here = threading.local()
        self._dying = threading.Lock()

    def at(self, step: str, moment: str, part: str | None, *, at_work: bool = False) -> None:
        """Die here, unless this was done before, or it is a point of a part that is left alone (None)."""
        if self._is_due(step, moment, part):
            self._dying.acquire()  # never let go: of two threads that come to a point, one kills and is heard of
            with Path(self._task.log).open("a", encoding="utf-8") as log:
                log.write(json.dumps(asdict(Kill(step, moment, at_work, part))) + "\n")
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)  # the signal is on its way

    def _is_due(self, step: str, moment: str, part: str | None) -> bool:
        wanted = self._task.kill and moment in self._task.moments and part is not None
        return wanted and (part, step, moment) not in self._fired

    @contextmanager
    def inside(self, step: str, part: str | None) -> Iterator[None]:
        self.at(step, "before", part)
        if not self._is_due(step, "inside", part):
            yield
            return
        seconds = self._task.seconds.get(shape(step), 2 * UNKNOWN_SECONDS)
        timer = threading.Timer(max(seconds / 2, SHORTEST_SECONDS), self.at, (step, "inside", part), {"at_work": True})
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
        self.at(step, "inside", part)

    def hook(self) -> None:
        """Put the points around what the engine does with a step, a run and its end."""
        self._hook_steps()
        self._hook_looks()
        self._hook_engine()

    def _hook_steps(self) -> None:
        step, attempt, once = Execution.step, Execution._try, DurableJournal.once

        def stepping(self_: Execution, name: str, act: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            self._here.part = part_of(self_.claim.run)
            return step(self_, name, act, *args, **kwargs)

        def trying(self_: Execution, name: str, act: Callable[..., Any], args: Any, kwargs: Any) -> Any:
            part = part_of(self_.claim.run)

            def acting(*a: Any, **k: Any) -> Any:
                self._here.within = True
                with self.inside(name, part):
                    return act(*a, **k)

            try:
                ended = attempt(self_, name, acting, args, kwargs)
            finally:
                self._here.within = False
            self.at(name, "done", part)
            return ended

        def journaling(self_: DurableJournal, name: str, do: Callable[[], Any]) -> Any:
            ended = once(self_, name, do)
            self.at(name, "after", self._here.part)
            return ended

        Execution.step = stepping  # type: ignore[method-assign, assignment]
        Execution._try = trying  # type: ignore[method-assign, assignment]
        DurableJournal.once = journaling  # type: ignore[method-assign, assignment]

    def _hook_looks(self) -> None:
        look = tenant_flows._look

        def looking(*asked: Any) -> Any:
            if getattr(self._here, "within", False):  # the look of a step is that step's
                return look(*asked)
            self._here.count = getattr(self._here, "count", 0) + 1
            name = f"(look {self._here.count})"
            with self.inside(name, ""):
                found = look(*asked)
            self.at(name, "done", "")
            return found

        tenant_flows._look = looking

    def _hook_engine(self) -> None:
        claim, start, clean_up, end = Ledger.claim, DurableEngine.start, execution.clean_up, Ledger.end

        def claiming(self_: Ledger, *args: Any, **kwargs: Any) -> Claim | None:
            if claimed := claim(self_, *args, **kwargs):
                self._runs[claimed.run.id] = claimed.run
            return claimed

        def starting(self_: DurableEngine, run_id: str, *args: Any, **kwargs: Any) -> None:
            part = part_of(self._runs[run_id])
            name = TAKE_OVER if part in self._journaled else CLAIM
            self.at(name, "before", part)
            start(self_, run_id, *args, **kwargs)
            self.at(name, "done", part)

        def cleaning(ledger: Ledger, actions: Any, run_id: str, **kwargs: Any) -> None:
            part = part_of(self._runs[run_id])
            with self.inside(CLEAN_UP, part):
                clean_up(ledger, actions, run_id, **kwargs)
            self.at(CLEAN_UP, "done", part)

        def ending(self_: Ledger, ended: Claim, *args: Any, **kwargs: Any) -> None:
            end(self_, ended, *args, **kwargs)
            self.at(END, "done", part_of(ended.run))

        Ledger.claim = claiming  # type: ignore[method-assign, assignment]
        DurableEngine.start = starting  # type: ignore[method-assign, assignment]
        execution.clean_up = cleaning
        Ledger.end = ending  # type: ignore[method-assign, assignment]


def part_of(run: RunRow) -> str | None:
    """Return "" for a run that is nobody's part, else the flow of the part, None for one that is left alone."""
    if run.parent is None:
        return ""
    return run.flow if run.flow in KILLED_PARTS else None


def be_engine(task: Task, fired: list[Kill]) -> None:
    """Be the engine of the site until the runs have ended, and, after kills, until nothing is known of them."""
    signal.alarm(STUCK_SECONDS if task.kill else 6 * STUCK_SECONDS)
    Killer(task, fired).hook()
    app = App(Path(task.site), Path(task.overlay))
    worker = Worker(app, kind="server", jobs=JOBS, schedule=False)
    worker.start()
    while not all(_is_over(app, run_id, forgotten=task.kill) for run_id in task.runs):
        time.sleep(POLL_SECONDS)
    worker.stop(5)


def _is_over(app: App, run_id: str, *, forgotten: bool) -> bool:
    row = app.catalogue.run(run_id)
    if row.not_before:
        raise SystemExit(f"run {run_id} is held back: {row.error}")
    if not row.state.ended:
        return False
    runs = [run_id, *(each.id for each in app.catalogue.parts(run_id))]
    return not (forgotten and any(journal_rows(app.state / "catalogue.sqlite", each) for each in runs))


def journal_rows(database: Path, run_id: str) -> int:
    """Return how many rows of DBOS name the run."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as db:
        return sum(
            db.execute(f"select count(*) from {table} where workflow_uuid like ?", (f"{run_id}.%",)).fetchone()[0]
            for table in ("workflow_status", "workflow_input", "workflow_output", "operation_outputs")
        )


def drive(task: Task) -> list[Kill]:
    """Start engines, one after the other's end, until one ends by itself. Return the kills."""
    while True:
        fired = read_kills(task.log)
        sys.stdout.flush()
        sys.stderr.flush()
        if (pid := os.fork()) == 0:
            _be_child(task, fired)
        _, status = os.waitpid(pid, 0)
        code, now = os.waitstatus_to_exitcode(status), read_kills(task.log)
        if code == 0:
            return now
        if code != -signal.SIGKILL or len(now) != len(fired) + 1 or len(now) > MOST_KILLS:
            raise SystemExit(f"an engine ended with {code} after {len(now)} kills, the last at {now[-1:]}")


def _be_child(task: Task, fired: list[Kill]) -> NoReturn:
    code = 1
    try:
        be_engine(task, fired)
        code = 0
    except SystemExit as error:
        print(error, file=sys.stderr)
    except BaseException:
        logging.exception("the engine")
    finally:
        sys.stderr.flush()
        os._exit(code)


def read_kills(log: str) -> list[Kill]:
    try:
        return [Kill(**json.loads(line)) for line in Path(log).read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []


def load_all() -> None:
    """Import the whole program, once for all engines."""
    for package in (policies, orchestrator, drills):
        for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not each.name.startswith(NOT_LOADED):
                importlib.import_module(each.name)
    for service in ("block_storage.v3", "compute.v2", "identity.v3", "image.v2", "network.v2"):
        importlib.import_module(f"openstack.{service}._proxy")


def main(words: Mapping[str, Any], out: TextIO) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(name)s %(message)s")
    load_all()
    began = time.monotonic()
    kills = drive(Task(**words))
    json.dump({"kills": [asdict(each) for each in kills], "seconds": time.monotonic() - began}, out)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.stdout)
