"""Three workers on one catalogue, as real processes: killed, frozen, joined by another, and their database restarted.

What happened is judged from the catalogue's evidence, whose times are the database's: nothing is lost, nothing is
done by two at once, no limit is passed, and nothing is left behind.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from orchestrator.catalogue.database import patient
from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.records import HELD, Order, Outcome, RunRow, RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.engine.inprocess import make_order
from orchestrator.errors import Unreachable
from orchestrator.process import run
from policies.limits import lookup
from tests.conftest import RunningLab
from tests.integration.fleet import (
    TRICENTER,
    Evidence,
    Fleet,
    WorkerProcess,
    make_fleet,
    processes,
    read_evidence,
    until,
)
from tests.integration.postgresql import Postgresql

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

ROUNDS = 5
JOBS = 4
WORKER = [TRICENTER, "worker", "--no-schedule", "--jobs", str(JOBS)]
#: After so many runs have ended, each of these is done to the fleet.
KILLED, JOINED, FROZEN, RESTARTED = 30, 50, 70, 130
FROZEN_SECONDS = 14.0  # more than the 8 after which a silent worker is dead
AWAY_SECONDS = 2.0
NO_END_SECONDS = 600


@dataclass
class Harm:
    """What a worker held when it was harmed, and when that was by the database's clock."""

    worker: WorkerProcess
    at: datetime
    runs: list[RunRow]


@dataclass
class Story:
    """The test's own side: it asks for runs, and harms the fleet meanwhile."""

    fleet: Fleet
    postgresql: Postgresql
    ledger: Ledger
    start: Callable[..., WorkerProcess]
    workers: list[WorkerProcess] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    killed: Harm | None = None
    frozen: Harm | None = None
    thawed_at: datetime | None = None
    seconds: float = 0.0
    away: float = 0.0

    def add_worker(self) -> None:
        self.workers.append(self.start(WORKER, self.fleet.env))

    @cached_property
    def orders(self) -> list[Order]:
        app = self.fleet.app
        return [make_order(app, app.flows["backup"], {"system": str(ref)}) for ref in app.site.systems()]

    @patient
    def ask(self) -> None:
        """Ask, all in one, for what was not asked for often enough; what has an open run is passed over."""
        made = self.ledger.submit_new(each for each in self.orders if self.asked[each.subject] < ROUNDS)
        self.asked.update(each.subject for each in made)

    @patient
    def ended(self) -> int:
        return len(self.ledger.catalogue.runs(states=[each for each in RunState if each.ended]))

    def tell(self) -> None:
        """Let the story happen, until every run has ended."""
        began = time.monotonic()
        for after, happen in ((KILLED, self.kill), (JOINED, self.add_worker), (FROZEN, self.freeze)):
            self._go_on_until(lambda after=after: self.ended() >= after)  # type: ignore[misc]
            happen()
        frozen = time.monotonic()
        self._go_on_until(lambda: time.monotonic() - frozen > FROZEN_SECONDS)
        self.thaw()
        self._go_on_until(lambda: self.ended() >= RESTARTED)
        self.away = self.postgresql.restart(AWAY_SECONDS)
        self._go_on_until(lambda: self.ended() >= ROUNDS * len(self.orders))
        self.seconds = time.monotonic() - began

    def kill(self) -> None:
        self.killed = self._harm(signal.SIGKILL)

    def freeze(self) -> None:
        self.frozen = self._harm(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the frozen worker go on: it has been taken for dead meanwhile, and must end itself."""
        assert self.frozen
        assert self.frozen.worker.id not in {each.id for each in self.ledger.catalogue.workers()}
        self.thawed_at = self.ledger.clock()
        os.kill(self.frozen.worker.pid, signal.SIGCONT)
        assert self.frozen.worker.wait(10) == Unreachable.exit_code, self.frozen.worker.said

    @property
    def unharmed(self) -> list[WorkerProcess]:
        harmed = [each.worker for each in (self.killed, self.frozen) if each]
        return [each for each in self.workers if each not in harmed]

    def _harm(self, number: signal.Signals) -> Harm:
        """Send a signal to the first worker that has two runs in its hands: which one that is nobody can say."""
        found: list[tuple[WorkerProcess, list[RunRow]]] = []

        def one_has_two() -> bool:
            found[:] = [(each, held) for each in self.unharmed if len(held := self._held(each)) > 1]
            return bool(found)

        self._go_on_until(one_has_two)
        (worker, held), at = found[0], self.ledger.clock()
        os.kill(worker.pid, number)
        # What it had just sent to the database is carried out all the same: a run may come to its end by that.
        left: list[RunRow] = []

        def is_clear() -> bool:
            now = [self.ledger.catalogue.run(each.id) for each in held]
            left[:] = [one for one, other in zip(held, now, strict=True) if not _was_ended(one, other)]
            return not left or all(
                other.generation > one.generation
                for one, other in zip(held, now, strict=True)
                if not _was_ended(one, other)
            )

        self._go_on_until(is_clear)
        assert left, "it brought them all to their ends in this moment"
        return Harm(worker, at, left)

    def _held(self, worker: WorkerProcess) -> list[RunRow]:
        return [each for each in self.ledger.catalogue.runs(states=HELD) if each.worker == worker.id]

    def _go_on_until(self, condition: Callable[[], bool]) -> None:
        def asked_and_done() -> bool:
            self.ask()
            return condition()

        until(asked_and_done, NO_END_SECONDS, self._how_it_is, every=0.2)

    def _how_it_is(self) -> object:
        open_runs = [(each.subject, each.state, each.generation) for each in self.ledger.catalogue.open_runs()]
        return open_runs, [each.said for each in self.workers]


def _was_ended(held: RunRow, now: RunRow) -> bool:
    """Return whether a run came to its end in the hands of the worker that held it."""
    return now.state.ended and now.generation == held.generation


@pytest.fixture
def story(lab: RunningLab, postgresql: Postgresql, postgresql_url: str, tmp_path: Path) -> Iterator[Story]:
    fleet = make_fleet(lab, tmp_path / "site", postgresql_url)
    run([TRICENTER, "db", "upgrade"], env=fleet.env, deadline_seconds=60)
    ledger = Ledger(Catalogue(postgresql_url))
    with processes() as start:
        yield Story(fleet, postgresql, ledger, start)
    ledger.catalogue.engine.dispose()


def test_two_hundred_backups_survive_what_happens_to_their_workers(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        story.add_worker()
    story.tell()
    catalogue = story.ledger.catalogue
    with printed(capsys):
        tell_facts(story)
    every_run_was_done_once(story)
    evidence = read_evidence(catalogue)
    assert evidence.overlapping() == []
    assert evidence.broken(story.fleet.app.site.limits) == []
    most = evidence.highest(evidence.claims)
    assert (most["vault:same-city"], most["vault:provincial"], most["centre:production"]) == (2, 3, 4), "never tight"
    the_zombie_did_no_harm(story)
    for each in story.unharmed:
        os.kill(each.pid, signal.SIGTERM)
    assert [each.wait(30) for each in story.unharmed] == [0, 0], [each.said for each in story.workers]
    assert left_behind(story) == {}, journals(story)


def every_run_was_done_once(story: Story) -> None:
    catalogue, app = story.ledger.catalogue, story.fleet.app
    runs = catalogue.runs()
    assert {each.state for each in runs} == {RunState.DONE}, [(each.id, each.error) for each in runs if each.error]
    assert Counter(each.subject for each in runs) == {str(ref): ROUNDS for ref in app.site.systems()}
    nearest = {str(ref): str(next(iter(ref.copies))) for ref in app.site.systems()}
    wanted = {(each.id, nearest[each.subject]) for each in runs}
    assert {(each.point.id, each.centre) for each in catalogue.points_at()} == wanted
    assert len(catalogue.points()) == len(runs)
    for each in runs:
        attempts = catalogue.attempts(each.id)
        assert Counter((one.generation, one.step) for one in attempts).most_common(1)[0][1] == 1
        assert all(one.ended_at and each.ended_at and one.ended_at <= each.ended_at for one in attempts)
        assert [one.step for one in attempts if one.outcome is Outcome.PASSED][-1] == "observe-landing"


def the_zombie_did_no_harm(story: Story) -> None:
    """What the frozen worker held was taken from it while it stood still, and nothing that it wrote after counts."""
    assert story.frozen
    assert story.thawed_at
    for held in story.frozen.runs:
        now = story.ledger.catalogue.run(held.id)
        assert now.generation > held.generation
        assert now.worker != story.frozen.worker.id
        late = [
            each
            for each in story.ledger.catalogue.attempts(held.id)
            if each.generation == held.generation and each.ended_at and each.ended_at > story.thawed_at
        ]
        assert late == []


def left_behind(story: Story) -> dict[str, int]:
    """Return the rows that nobody needs any more, by table."""
    database = story.fleet.url.rpartition("/")[2]
    queries = {
        "lease_holders": "true",
        "workers": "true",
        "run_slots": "released_at IS NULL",
        "cleanups": "done_at IS NULL",
        "attempts": "ended_at IS NULL",
    }
    with story.postgresql.connect(database) as db:
        found = {
            table: db.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0]  # type: ignore[index]
            for table, where in queries.items()
        }
        tables = db.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'dbos'").fetchall()
        for (table,) in tables:
            if table not in ("dbos_migrations", "application_versions"):
                counted: Any = db.execute(sql.SQL("SELECT count(*) FROM dbos.{}").format(sql.Identifier(table)))
                found[f"dbos.{table}"] = counted.fetchone()[0]
    return {table: count for table, count in found.items() if count}


def journals(story: Story) -> list[Any]:
    """Return whose journals are left, and who ended those runs."""
    with story.postgresql.connect(story.fleet.url.rpartition("/")[2]) as db:
        names = db.execute("SELECT workflow_uuid, executor_id, status FROM dbos.workflow_status").fetchall()
    runs = {each.id: each for each in story.ledger.catalogue.runs()}
    ends = [(runs[name.rpartition(".")[0]].worker, runs[name.rpartition(".")[0]].ended_at) for name, _, _ in names]
    return [*names, *ends, story.killed and story.killed.at, story.frozen and story.frozen.at]


@contextmanager
def printed(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    with capsys.disabled():
        print()
        yield


def tell_facts(story: Story) -> None:
    runs, app = story.ledger.catalogue.runs(), story.fleet.app
    evidence = read_evidence(story.ledger.catalogue)
    print(f"  {len(runs)} backups in {story.seconds:.0f} s: {60 * len(runs) / story.seconds:.0f} a minute")
    print(f"  ends {dict(Counter(str(each.state) for each in runs))}")
    print(f"  generations {dict(Counter(each.generation for each in runs))}")
    print(f"  the database was away once, for {story.away:.1f} s")
    for what, harm in (("killed", story.killed), ("frozen", story.frozen)):
        assert harm
        taken = [taken_over(evidence, harm, each) for each in harm.runs]
        shown = ", ".join(f"{free:.1f} s free and {again:.1f} s at work" for free, again in taken)
        print(f"  {what} with {len(harm.runs)} runs, which were again after {shown}")
    by_attempts, by_slots = evidence.highest(evidence.executions), evidence.highest(evidence.claims)
    minutes = evidence.busiest_minute()
    for slot in sorted(by_slots):
        limit = lookup(app.site.limits, slot)
        told = f"  {slot}: at most {by_attempts[slot]} at once by its attempts, {by_slots[slot]} by its slots"
        print(
            f"{told}, of {limit.concurrent}"
            + (f"; {minutes[slot]} in a minute of {limit.per_minute}" * bool(limit.per_minute))
        )


def taken_over(evidence: Evidence, harm: Harm, held: RunRow) -> tuple[float, float]:
    """Return after how many seconds a run was free again, and at work again."""
    free = evidence.claims[held.id, held.generation][1]
    again = evidence.executions[held.id, held.generation + 1][0]
    return (free - harm.at).total_seconds(), (again - harm.at).total_seconds()
