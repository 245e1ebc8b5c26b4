"""Every flow, killed by SIGKILL at every step boundary and inside every step, comes to its end all the same.

For each flow one run is left alone, for the list of its steps and their times. Then one like it is killed at every
point that `crash_driver` names, one after the other: each new engine resumes the run and comes to the next point. The
run must end as the undisturbed one did, must not do a journaled step again, and must leave nothing behind.
"""

from __future__ import annotations

import re
import signal
import sqlite3
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import func, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.records import AttemptRow, Outcome, RunRow, RunState
from orchestrator.cloud import block_storage
from orchestrator.lab.layout import Centre
from orchestrator.process import run as run_program
from policies.site import SystemRef
from tests.conftest import RunningLab
from tests.integration.crash_cases import CASES, Case
from tests.integration.crash_driver import (
    CLAIM,
    CLEAN_UP,
    END,
    TAKE_OVER,
    Kill,
    journal_rows,
    part_of,
    shape,
)
from tests.integration.crash_kinds import (
    KIND_CASES,
    check_all_ended,
    check_epoch,
    check_folders,
    check_name,
    content,
    make_active,
    marks_of,
    order_of,
)
from tests.integration.crash_site import ROOT, SWITCHED, CrashSite, crash_site

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

LOOK_SECONDS = 1.0

#: The last step of an apply, which proves that nothing is left to do.
LOOK_AGAIN = "look-again"

#: Steps of a run that has parts: what it waits for stands in the ledger, and is looked at again by every engine.
OF_PARTS = frozenset({"sync", "systems", "reprotect"})

#: How the attempts at a journaled step end that is killed so; what fires at "done" is in no journal, and done again.
OUTCOMES = {"before": Outcome.INTERRUPTED, "inside": Outcome.INTERRUPTED, "done": Outcome.PASSED}
ENGINE_POINTS = {
    (CLAIM, "before"), (CLAIM, "done"), (TAKE_OVER, "before"), (TAKE_OVER, "done"),
    (CLEAN_UP, "before"), (CLEAN_UP, "inside"), (CLEAN_UP, "done"), (END, "done"),
}  # fmt: skip


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crash")


@pytest.fixture(scope="module")
def site(lab: RunningLab, work: Path) -> Iterator[CrashSite]:
    with crash_site(lab, work) as made:
        yield made


@dataclass
class Row:
    """A line of the table."""

    name: str
    steps: int
    kills: list[Kill]
    alone_seconds: float
    killed_seconds: float
    survived: bool = False

    def cells(self) -> list[str]:
        engine = [each for each in self.kills if each.step.startswith("(") and not each.step.startswith("(look")]
        own = [each for each in self.kills if each not in engine]
        count = Counter(each.moment for each in own)
        at_work = sum(each.at_work for each in own)
        inside = f"{count['inside']} ({at_work} at work)"
        points = [str(count["before"]), inside, str(count["done"]), str(count["after"]), str(len(engine))]
        passed = len(self.kills) if self.survived else 0
        times = [f"{self.alone_seconds:.1f}", f"{self.killed_seconds:.1f}"]
        return [self.name, str(self.steps), *points, f"{passed}/{len(self.kills)}", *times]


HEADS = ["flow", "steps", "before", "inside", "done", "after", "engine", "survived", "alone s", "killed s"]


@dataclass
class Matrix:
    """The table as it grows."""

    rows: list[Row] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [HEADS, *(each.cells() for each in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        total = sum(len(each.kills) for each in self.rows)
        passed = sum(len(each.kills) for each in self.rows if each.survived)
        return "\n".join(["", *table, f"survived {passed}/{total}", ""])


@pytest.fixture(scope="module")
def matrix(tell: Callable[[str], None]) -> Iterator[Matrix]:
    made = Matrix()
    yield made
    tell(str(made))


@pytest.mark.parametrize("case", [*CASES, *KIND_CASES], ids=str)
def test_killed_at_every_point_a_run_ends_as_if_nothing_had_been(
    case: Case, site: CrashSite, work: Path, matrix: Matrix
) -> None:
    place = work / str(case).replace(" ", "-")
    case.prepare(site, place / "prepare")
    alone_id, alone_seconds = undisturbed(case, site, place / "alone")
    left_alone = attempts_of(site, alone_id)
    times = {shape(each.step): each.seconds or 0.0 for own in left_alone.values() for each in own}
    times |= {f"(look {number})": LOOK_SECONDS for number in (1, 2)}
    times["systems"] = 0.0  # killed before there is a part: at work, each part is killed at points of its own

    run_id = site.submit(case.flow, case.arguments(site, 1))
    kills, seconds = site.drive([run_id], place / "killed", times, case.moments)
    attempts = attempts_of(site, run_id)
    steps = sum(len({each.step for each in own}) for own in attempts.values())
    row = Row(str(case), steps, kills, alone_seconds, seconds)
    matrix.rows.append(row)

    check_run(site, run_id, kills)
    assert attempts.keys() == left_alone.keys()
    for part, own in attempts.items():
        check_points(case, own, [each for each in kills if each.part == part])
        assert shapes(case, own) == shapes(case, left_alone[part])
    case.check(site, site.app.catalogue.run(run_id), 1)
    check_nothing_is_left(case, site, run_id, place)
    row.survived = True


def attempts_of(site: CrashSite, run_id: str) -> dict[str, list[AttemptRow]]:
    """Return the attempts of a run, and of its parts that are killed, by the part's flow."""
    catalogue = site.app.catalogue
    runs = [catalogue.run(run_id), *catalogue.parts(run_id)]
    return {part: catalogue.attempts(each.id) for each in runs if (part := part_of(each)) is not None}


@pytest.mark.parametrize(
    ("step", "centre"),
    [("seal:", "production"), ("epoch", "production"), ("swap:", "production"), ("commit", "same-city")],
)
def test_a_command_that_is_killed_is_taken_back_by_the_next_one_or_finished_once_it_commits(
    site: CrashSite, work: Path, step: str, centre: Centre
) -> None:
    place, name = work / f"command-{step.rstrip(':')}", SWITCHED[0]
    make_active("production", site, place)
    marks = marks_of(site, name)
    run = kill_command(site, step, order_of("switchover", "same-city", name)(site, 0))
    raised = {"seal:": [], "commit": [run.id]}.get(step, [run.id, f"{run.id}-undo"])
    check_epoch(site, f"{site.tenants[0]}/{name}", run.id, raised, centre)
    if step == "commit":
        marks = [("production", "sealed"), *(each for each in marks if each[0] == "provincial")]
    assert marks_of(site, name) == marks
    assert content(site, name, centre) == site.contents[name]
    check_name(site, name, centre)
    check_folders(site, name)
    check_all_ended(site)


def test_a_failover_that_is_killed_can_be_held_again(site: CrashSite, work: Path) -> None:
    place, name = work / "command-again", SWITCHED[0]
    make_active("production", site, place)
    marks, order = marks_of(site, name), order_of("failover", "provincial", name)(site, 0)
    run = kill_command(site, "swap:", order)
    check_epoch(site, f"{site.tenants[0]}/{name}", run.id, [run.id], "provincial")
    check_name(site, name, "production")
    assert marks_of(site, name) == marks
    (again,) = site.do(place / "again", ("drill", order))
    check_epoch(site, f"{site.tenants[0]}/{name}", again.id, [again.id], "provincial")
    check_name(site, name, "provincial")
    assert marks_of(site, name) == [each for each in marks if each[0] != "provincial"]  # what stood there is gone
    assert content(site, name, "provincial") == site.contents[name]
    check_folders(site, name)
    check_all_ended(site)


def kill_command(site: CrashSite, step: str, order: Mapping[str, str]) -> RunRow:
    """Have a command hold a run, kill it when a step's act has returned, and return the run after the next command."""
    words = ["drill", "run", order["plan"], "--kind", order["kind"], "--centre", order["centre"], "--output", "json"]
    with site.answering():
        killed = run_program(
            [sys.executable, "-m", "tests.integration.crash_command", step, "inside", *words],
            env=site.variables(), cwd=ROOT, deadline_seconds=300, check=False,
        )  # fmt: skip
    assert killed.code == -signal.SIGKILL, killed.stderr
    site.app.runner.close()  # whatever the next command is, it begins so
    run = site.app.catalogue.runs(flow="drill")[0]
    assert run.state is RunState.INTERRUPTED
    return run


def undisturbed(case: Case, site: CrashSite, place: Path) -> tuple[str, float]:
    """Let the flow run once alone; a tenant was applied already. Return the run and how long it took."""
    if case.flow == "tenant-apply":
        row = site.app.catalogue.runs(flow=case.flow)[-1]
    else:
        (row,) = site.do(place, (case.flow, case.arguments(site, 0)))
    case.check(site, row, 0)
    assert row.started_at is not None
    assert row.ended_at is not None
    return row.id, (row.ended_at - row.started_at).total_seconds()


def shapes(case: Case, attempts: Sequence[AttemptRow]) -> list[str]:
    """Return the steps, each once. What a kill left half made is updated where it was to be created.

    A cloud gives a new security group rules of its own. They go in the step that makes the group, or, when that was
    killed in between, in steps of the next look.
    """
    told = [shape(each.step) for each in attempts]
    if not case.replayed:
        told = [re.sub("^(create|update) ", "", each) for each in told if not each.startswith("remove security rule")]
    return list(dict.fromkeys(told))


def check_run(site: CrashSite, run_id: str, kills: Sequence[Kill]) -> None:
    """The run is done; each kill but the last, which came after its end, cost one more claim.

    One that came before the run was claimed again did not; of a run without parts there is none.
    """
    catalogue = site.app.catalogue
    row, parts = catalogue.run(run_id), catalogue.parts(run_id)
    assert [each.error for each in (row, *parts) if each.state is not RunState.DONE] == []
    assert kills[-1] == Kill(END, "done", at_work=False)
    assert row.generation == len(kills) or (parts and row.generation < len(kills))
    assert len({each.part for each in parts}) == len(parts)
    assert len({(each.part, each.step, each.moment) for each in kills}) == len(kills)


def check_points(case: Case, attempts: Sequence[AttemptRow], kills: Sequence[Kill]) -> None:
    """Every point fired, and the evidence says of every attempt how it ended.

    A journaled step was begun four times: killed before and inside its act, killed when its act had passed and the
    journal did not know that, and passed for good. A fifth attempt would be a finished step that was done again.
    """
    fired, outcomes = {(each.step, each.moment) for each in kills}, defaultdict(list)
    for each in attempts:
        assert each.ended_at is not None, each
        outcomes[each.step].append(each.outcome)
    engine = {each for each in ENGINE_POINTS if each[1] in case.moments}
    journaled = {step for step, moment in fired if moment == "after"}
    if "after" not in case.moments:  # then nothing tells a take-over from a claim, and what is journaled from the rest
        engine, journaled = {each for each in engine if each[0] != TAKE_OVER}, outcomes.keys() - OF_PARTS
    assert fired >= engine
    begun = [*(OUTCOMES[each] for each in case.moments if each in OUTCOMES), Outcome.PASSED]
    for step, ends in outcomes.items():
        if step in OF_PARTS:
            assert fired >= {(step, each) for each in case.moments if each != "after"}
            assert ends[-1] is Outcome.PASSED
            assert set(ends) == {Outcome.INTERRUPTED, Outcome.PASSED}, (step, ends)
        elif step in journaled:
            assert ends == begun, (step, ends)
            assert fired >= {(step, each) for each in case.moments}
        else:
            check_derived(step, ends, fired)
    assert case.replayed == (journaled == outcomes.keys() - OF_PARTS)


def check_derived(step: str, ends: Sequence[Outcome], fired: set[tuple[str, str]]) -> None:
    """What is derived anew is not done again once it is there: only the look at the end is, by every engine."""
    assert fired >= {(step, "before"), (step, "inside")}
    assert ends[:2] == [Outcome.INTERRUPTED] * 2, (step, ends)
    assert set(ends[2:]) <= {Outcome.PASSED}, (step, ends)
    assert len(ends[2:]) == ((step, "done") in fired) or step == LOOK_AGAIN, (step, ends)


def check_nothing_is_left(case: Case, site: CrashSite, run_id: str, place: Path) -> None:
    app = site.app
    assert app.ledger.slots_in_use() == {}
    runs = [run_id, *(each.id for each in app.catalogue.parts(run_id))]
    scratch = app.state / "scratch"
    for each in runs:
        assert app.ledger.open_cleanups(each) == []
        assert journal_rows(site.database, each) == 0
        assert processes_with(f"TRICENTER_SCRATCH={scratch / each}") == []
    with app.catalogue.engine.connect() as db:
        for table in (t.lease_holders, t.workers):
            assert db.execute(select(func.count()).select_from(table)).scalar_one() == 0, table.name
    with closing(sqlite3.connect(site.database)) as db:
        assert db.execute("select name from queues").fetchall() == []
    assert not scratch.exists() or list(scratch.iterdir()) == []
    assert processes_with(f"TMPDIR={place / 'killed'}") == []
    assert sorted(each.name for each in (place / "killed").iterdir()) == ["driver.log", "kills"]
    for centre in ("production", "same-city"):
        check_cloud(site, centre, runs)
    for centre in case.vaults:
        check_vault(site, centre, site.system(case.systems[1]))


def check_cloud(site: CrashSite, centre: str, runs: Sequence[str]) -> None:
    cloud = site.app.tenant_cloud(centre, site.tenants[0])
    volumes, network = block_storage.volumes(cloud), cloud.network
    listings = (cloud.block_storage.snapshots(), cloud.image.images(), cloud.compute.servers(), network.ports())
    for each in (*volumes, *(one for listing in (*listings, network.networks()) for one in listing)):
        assert not any(run_id in each.name for run_id in runs), each


def check_vault(site: CrashSite, centre: str, ref: SystemRef) -> None:
    """No lock is left but of who died, and a check that wants a lock of its own finds nothing wrong.

    Who was killed counts as alive until init reaps him, which takes seconds on some machines: his lock then waits for
    the next backup, which clears it so.
    """
    bucket, repository = site.app.bucket(centre, ref.tenant.tenant), site.app.repository(centre, ref)
    repository.clear_dead_locks()
    assert [each.key for each in bucket.list(f"{ref.name}/locks/")] == []
    repository.check()
    assert repository.locks() == 0


def processes_with(variable: str) -> list[int]:
    """Return the processes that have this variable, a second after the last death at the most."""
    end = time.monotonic() + 1
    while True:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if variable.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.05)
