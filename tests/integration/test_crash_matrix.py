"""Every flow, killed by SIGKILL at every step boundary and inside every step, comes to its end all the same.

For each flow one run is left alone, for the list of its steps and their times. Then one like it is killed at every
point that `crash_driver` names, one after the other: each new engine resumes the run and comes to the next point. The
run must end as the undisturbed one did, must not do a journaled step again, and must leave nothing behind.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import func, select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.records import AttemptRow, Outcome, RunState
from orchestrator.cloud import block_storage
from policies.site import SystemRef
from tests.conftest import RunningLab
from tests.integration.crash_cases import CASES, Case
from tests.integration.crash_driver import CLAIM, CLEAN_UP, END, TAKE_OVER, Kill, journal_rows, shape
from tests.integration.crash_site import CrashSite, crash_site

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

LOOK_SECONDS = 1.0

#: The last step of an apply, which proves that nothing is left to do.
LOOK_AGAIN = "look-again"

#: What must be killed at each journaled step; once what fires at "done" is in no journal, its step is done again.
STEP_MOMENTS = ("before", "inside", "done", "after")
STEP_OUTCOMES = (Outcome.INTERRUPTED, Outcome.INTERRUPTED, Outcome.PASSED, Outcome.PASSED)
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
def matrix(request: pytest.FixtureRequest) -> Iterator[Matrix]:
    made = Matrix()
    yield made
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(made)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_killed_at_every_point_a_run_ends_as_if_nothing_had_been(
    case: Case, site: CrashSite, work: Path, matrix: Matrix
) -> None:
    place = work / str(case).replace(" ", "-")
    case.prepare(site, place / "prepare")
    alone_id, alone_seconds = undisturbed(case, site, place / "alone")
    left_alone = site.app.catalogue.attempts(alone_id)
    times = {shape(each.step): each.seconds or 0.0 for each in left_alone}
    times |= {f"(look {number})": LOOK_SECONDS for number in (1, 2)}

    run_id = site.submit(case.flow, case.arguments(site, 1))
    kills, seconds = site.drive([run_id], place / "killed", times)
    attempts = site.app.catalogue.attempts(run_id)
    row = Row(str(case), len({each.step for each in attempts}), kills, alone_seconds, seconds)
    matrix.rows.append(row)

    check_run(site, run_id, kills)
    check_points(case, attempts, kills)
    assert shapes(case, attempts) == shapes(case, left_alone)
    case.check(site, site.app.catalogue.run(run_id), 1)
    check_nothing_is_left(case, site, run_id, place)
    row.survived = True


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
    """The run is done; each kill but the last, which came after its end, cost one more claim."""
    row = site.app.catalogue.run(run_id)
    assert row.state is RunState.DONE, row.error
    assert kills[-1] == Kill(END, "done", at_work=False)
    assert row.generation == len(kills)
    assert len({(each.step, each.moment) for each in kills}) == len(kills)


def check_points(case: Case, attempts: Sequence[AttemptRow], kills: Sequence[Kill]) -> None:
    """Every point fired, and the evidence says of every attempt how it ended.

    A journaled step was begun four times: killed before and inside its act, killed when its act had passed and the
    journal did not know that, and passed for good. A fifth attempt would be a finished step that was done again.
    """
    fired, outcomes = {(each.step, each.moment) for each in kills}, defaultdict(list)
    for each in attempts:
        assert each.ended_at is not None, each
        outcomes[each.step].append(each.outcome)
    assert fired >= ENGINE_POINTS
    journaled = {step for step, moment in fired if moment == "after"}
    for step, ends in outcomes.items():
        if step in journaled:
            assert tuple(ends) == STEP_OUTCOMES, (step, ends)
            assert fired >= {(step, moment) for moment in STEP_MOMENTS}
        else:
            check_derived(step, ends, fired)
    assert case.replayed == (journaled == outcomes.keys())


def check_derived(step: str, ends: Sequence[Outcome], fired: set[tuple[str, str]]) -> None:
    """What is derived anew is not done again once it is there: only the look at the end is, by every engine."""
    assert fired >= {(step, "before"), (step, "inside")}
    assert ends[:2] == [Outcome.INTERRUPTED] * 2, (step, ends)
    assert set(ends[2:]) <= {Outcome.PASSED}, (step, ends)
    assert len(ends[2:]) == ((step, "done") in fired) or step == LOOK_AGAIN, (step, ends)


def check_nothing_is_left(case: Case, site: CrashSite, run_id: str, place: Path) -> None:
    app = site.app
    assert app.ledger.open_cleanups(run_id) == []
    assert app.ledger.slots_in_use() == {}
    assert journal_rows(site.database, run_id) == 0
    with app.catalogue.engine.connect() as db:
        for table in (t.lease_holders, t.workers):
            assert db.execute(select(func.count()).select_from(table)).scalar_one() == 0, table.name
    with closing(sqlite3.connect(site.database)) as db:
        assert db.execute("select name from queues").fetchall() == []
    scratch = app.state / "scratch"
    assert not scratch.exists() or list(scratch.iterdir()) == []
    assert processes_with(f"TMPDIR={place / 'killed'}") == []
    assert processes_with(f"TRICENTER_SCRATCH={scratch / run_id}") == []
    assert sorted(each.name for each in (place / "killed").iterdir()) == ["driver.log", "kills"]
    check_cloud(site, run_id)
    for centre in case.vaults:
        check_vault(site, centre, site.system(case.systems[1]))


def check_cloud(site: CrashSite, run_id: str) -> None:
    cloud = site.app.tenant_cloud("production", site.tenants[0])
    for each in (*block_storage.volumes(cloud), *cloud.block_storage.snapshots(), *cloud.image.images()):
        assert run_id not in each.name, each


def check_vault(site: CrashSite, centre: str, ref: SystemRef) -> None:
    """No lock is left of whoever died, and a check that wants a lock of its own finds nothing wrong."""
    bucket, repository = site.app.bucket(centre, ref.tenant.tenant), site.app.repository(centre, ref)
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
