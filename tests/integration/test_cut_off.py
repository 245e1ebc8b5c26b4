"""A worker that is cut off from the database in the middle of a step: it is still before another takes its run over.

It seems to be on another machine (a host name of its own), so that the other worker goes by its silence, and not by
its process. The times are the database's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.records import Order, Outcome, RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.engine.heart import LEASE_SECONDS
from orchestrator.errors import Unreachable
from orchestrator.process import run, started_at
from tests.integration.cuts import Line, dead_network, silent_proxy
from tests.integration.fleet import TRICENTER, WorkerProcess, processes, until
from tests.integration.long_flow import LONG
from tests.integration.postgresql import Postgresql

pytestmark = pytest.mark.integration

DALIAN = Path(__file__).parents[2] / "examples" / "dalian"
WORKER = [sys.executable, str(Path(__file__).with_name("long_flow.py")), "worker", "--no-schedule"]
ELSEWHERE = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$0" "$@"']
SLACK_SECONDS = 1.0
TAKE_OVER_SECONDS = 15.0


@pytest.fixture
def ledger(postgresql_url: str) -> Iterator[Ledger]:
    ledger = Ledger(Catalogue(postgresql_url))
    yield ledger
    ledger.catalogue.engine.dispose()


@pytest.mark.parametrize("line_to", [silent_proxy, dead_network])
def test_a_worker_without_its_database_stops_before_another_takes_over(
    ledger: Ledger,
    postgresql: Postgresql,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    line_to: Callable[[int], AbstractContextManager[Line]],
) -> None:
    (tmp_path / "overlay.yaml").write_text(f"state: {tmp_path / 'state'}\n")
    site = {"TRICENTER_SITE": str(DALIAN), "TRICENTER_OVERLAY": str(tmp_path / "overlay.yaml")}
    direct = {**site, "TRICENTER_DATABASE_URL": ledger.url}
    run([TRICENTER, "db", "upgrade"], env=direct, deadline_seconds=60)
    with line_to(postgresql.port) as line, processes() as start:
        indirect = {**site, "TRICENTER_DATABASE_URL": ledger.url.replace(f":{postgresql.port}/", f":{line.port}/")}
        worker = start([*line.prefix, *ELSEWHERE, *WORKER], indirect)
        given = {"folder": str(tmp_path)}
        made = ledger.submit(Order(LONG.name, LONG.subject(given), given, LONG.slots(None, given)))
        child = until_there_is_a_child(tmp_path / "child", worker)
        other = start(WORKER, direct)
        (tmp_path / "short").touch()
        assert {each.host == "elsewhere" for each in ledger.catalogue.workers()} == {True, False}

        line.cut()
        cut, at = time.monotonic(), ledger.clock()
        gone = seconds_until_gone(worker, child, cut)
        assert worker.wait(10) == Unreachable.exit_code
        until(lambda: ledger.catalogue.run(made.id).state.ended, TAKE_OVER_SECONDS + 10, lambda: other.said)

    row, attempts = ledger.catalogue.run(made.id), ledger.catalogue.attempts(made.id)
    assert (row.state, row.result, row.generation, row.worker) == (RunState.DONE, "waited", 2, other.id)
    assert [(each.step, each.generation, each.outcome) for each in attempts] == [
        ("begin", 1, Outcome.PASSED), ("wait", 1, Outcome.INTERRUPTED), ("wait", 2, Outcome.PASSED),
    ]  # fmt: skip
    taken = (attempts[-1].started_at - at).total_seconds()
    with capsys.disabled():
        print(f"\n  {line_to.__name__}: process and child were gone after {gone:.1f} s, taken over after {taken:.1f} s")
    assert gone <= LEASE_SECONDS + SLACK_SECONDS
    assert gone < taken <= TAKE_OVER_SECONDS
    assert any("this worker ends itself" in line for line in worker.said)


def until_there_is_a_child(file: Path, worker: WorkerProcess) -> int:
    until(lambda: file.exists() and file.read_text().isdigit(), 30, lambda: worker.said)
    return int(file.read_text())


def seconds_until_gone(worker: WorkerProcess, child: int, cut: float) -> float:
    def nobody_is_left() -> bool:
        return started_at(worker.pid) is None and started_at(child) is None

    until(nobody_is_left, 30, lambda: worker.said, every=0.02)
    return time.monotonic() - cut
