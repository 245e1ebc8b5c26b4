"""What holds of the catalogue's versions, whatever database is behind it. Run on SQLite and on PostgreSQL.

Who runs it has the fixture `url`: an empty database of its own.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, func, insert, inspect, select, text, update

from orchestrator.catalogue import migrating
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import open_engine
from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.records import Order, Outcome, RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import Busy, InvalidInput
from orchestrator.process import run, started_at
from tests import catalogue_version_1 as old

BEGAN = datetime(2026, 1, 23, 12, tzinfo=UTC)
STATES = {"done": BEGAN + timedelta(minutes=5), "failed": BEGAN + timedelta(minutes=6), "running": None}


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    made = open_engine(url)
    yield made
    made.dispose()


def write_version_1(engine: Engine, host: str = "elsewhere", pid: int = 1, pid_started: int = 1) -> None:
    """Make the tables as they were, with a run in each state and a row in every other table."""
    where = {"host": host, "pid": pid, "pid_started": pid_started}
    system = {"tenant": "a", "system": "b"}
    with engine.begin() as db:
        old.metadata.create_all(db)
        db.execute(insert(old.schema).values(version=1))
        db.execute(insert(old.systems).values(**system, created_at=BEGAN))
        for state, ended in STATES.items():
            row = {"id": state, "flow": "backup", "subject": "a/b", "state": state, "started_at": BEGAN}
            failed = {"error_type": "CheckFailed", "error": "坏了"} if state == "failed" else {}
            db.execute(insert(old.runs).values(**row, **where, ended_at=ended, **failed))
            outcome = "started" if state == "running" else "interrupted" if state == "failed" else "passed"
            attempt = {"run_id": state, "step": "copy", "started_at": BEGAN, "outcome": outcome}
            closed = {"ended_at": ended, "detail": {"bytes": 3}} if outcome == "passed" else {}
            db.execute(insert(old.attempts).values(**attempt, **closed))
            for action in ("remove-scratch", "delete-cloud-objects"):
                db.execute(insert(old.cleanups).values(run_id=state, action=action, arguments={"name": state}))
        point = {"id": "p", "run_id": "done", "tier": "t", "data_time": BEGAN, "finished_at": BEGAN, "bytes": 1}
        db.execute(insert(old.points).values(**point, **system, added_bytes=1, document="d", sources=[]))
        db.execute(insert(old.landings).values(point_id="p", centre="provincial", landed_at=BEGAN))
        drill = {"id": "d", "plan": "p", "centre": "provincial", "kind": "restore", "verdict": "met", "stages": {}}
        db.execute(insert(old.drills).values(**drill, **system, started_at=BEGAN, ended_at=BEGAN, restored_bytes=1))
        db.execute(
            insert(old.tenant_centres).values(tenant="a", centre="provincial", applied_at=BEGAN, writes=1, pending=0)
        )
        db.execute(insert(old.lease_fences).values(name="r", fence=7))
        db.execute(
            insert(old.lease_holders).values(name="r", holder="x", exclusive=1, fence=7, expires_at=BEGAN, **where)
        )


def counts(engine: Engine) -> dict[str, int]:
    with engine.connect() as db:
        return {
            name: db.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in old.metadata.tables.items()
        }


def differences(engine: Engine, metadata: Any) -> list[Any]:
    with engine.connect() as db:
        return list(compare_metadata(MigrationContext.configure(db, opts={"compare_type": True}), metadata))


def test_the_steps_lead_to_the_tables_that_the_program_works_with(engine: Engine) -> None:
    with engine.begin() as db:
        config = migrating._config()
        config.attributes["connection"] = db
        command.upgrade(config, "head")
    assert differences(engine, t.metadata) == []


def test_an_empty_database_gets_the_newest_tables_at_once(engine: Engine) -> None:
    steps = migrating.upgrade(engine)
    assert [each.version for each in steps] == list(range(1, t.SCHEMA_VERSION + 1))
    assert differences(engine, t.metadata) == []
    assert migrating.upgrade(engine) == ()
    assert migrating.read_version(engine) == t.SCHEMA_VERSION


def test_the_first_step_leads_to_the_tables_that_were_released(engine: Engine) -> None:
    with engine.begin() as db:
        config = migrating._config()
        config.attributes["connection"] = db
        command.upgrade(config, "0001")
    assert differences(engine, old.metadata) == []


def test_an_upgrade_loses_no_row(engine: Engine, url: str) -> None:
    write_version_1(engine)
    before = counts(engine)
    with pytest.raises(InvalidInput, match="version 1; this program works with") as refused:
        Catalogue(url)
    assert "tricenter db upgrade" in refused.value.hint
    assert [each.version for each in migrating.steps_from(1)] == list(range(2, t.SCHEMA_VERSION + 1))
    migrating.upgrade(engine)
    assert counts(engine) == before
    assert differences(engine, t.metadata) == []
    catalogue = Catalogue(url)
    done, failed, running = (catalogue.run(each) for each in STATES)
    assert (done.state, done.started_at, done.queued_at, done.ended_at) == (RunState.DONE, BEGAN, BEGAN, STATES["done"])
    assert (done.arguments, done.slots, done.generation, done.worker) == ({}, (), 1, None)
    assert (failed.error_type, failed.error) == ("CheckFailed", "坏了")
    assert running.state is RunState.INTERRUPTED
    assert running.ended_at
    assert running.ended_at > BEGAN
    ended = {each.outcome: each.ended_at for state in STATES for each in catalogue.attempts(state)}
    assert ended == {Outcome.PASSED: STATES["done"], Outcome.INTERRUPTED: running.ended_at}
    assert catalogue.attempts("failed")[0].ended_at == STATES["failed"]
    assert (catalogue.attempts("done")[0].detail, catalogue.attempts("done")[0].generation) == ({"bytes": 3}, 1)
    ledger = Ledger(catalogue)
    assert {(each.action, each.host) for each in ledger.open_cleanups("running")} == {
        ("remove-scratch", "elsewhere"),
        ("delete-cloud-objects", None),
    }
    assert len(ledger.orphaned_cleanups("elsewhere")) == 6
    assert ledger.submit(Order("backup", "a/b", {}, ())).generation == 0
    assert [each.point.id for each in catalogue.points_at("provincial")] == ["p"]
    catalogue.engine.dispose()


def test_a_run_of_an_older_program_that_is_at_work_is_not_pulled_from_under_it(engine: Engine) -> None:
    write_version_1(engine, socket.gethostname(), os.getpid(), started_at(os.getpid()) or 0)
    with pytest.raises(Busy, match=f"run running .* pid {os.getpid()}"):
        migrating.upgrade(engine)
    assert migrating.read_version(engine) == 1


def test_a_newer_catalogue_is_refused(engine: Engine, url: str) -> None:
    migrating.upgrade(engine)
    with engine.begin() as db:
        db.execute(update(t.schema).values(version=t.SCHEMA_VERSION + 1))
    for work in (lambda: Catalogue(url), lambda: migrating.upgrade(engine)):
        with pytest.raises(
            InvalidInput, match=f"version {t.SCHEMA_VERSION + 1}; this program knows {t.SCHEMA_VERSION}"
        ):
            work()


def test_two_who_open_an_empty_database_at_once_make_it_once(url: str) -> None:
    faults = at_once(lambda: Catalogue(url).engine.dispose())
    assert faults == []


def test_two_who_upgrade_at_once_do_it_once(engine: Engine, url: str) -> None:
    write_version_1(engine)
    before, steps = counts(engine), list[int]()

    def work() -> None:
        own = open_engine(url)
        steps.append(len(migrating.upgrade(own)))
        own.dispose()

    assert at_once(work) == []
    assert sorted(steps) == [0, 0, 0, t.SCHEMA_VERSION - 1]
    assert counts(engine) == before


@pytest.mark.parametrize("statements", [3, 40])
def test_an_upgrade_that_is_killed_has_changed_nothing(engine: Engine, url: str, statements: int) -> None:
    write_version_1(engine)
    before = counts(engine)
    script = (
        "import os, signal\n"
        "from sqlalchemy import Engine, event\n"
        "from orchestrator.catalogue.database import open_engine\n"
        "from orchestrator.catalogue.migrating import upgrade\n"
        "seen = []\n"
        "@event.listens_for(Engine, 'after_cursor_execute')\n"
        "def count(connection, cursor, statement, *_):\n"
        "    changes = statement.strip().split()[0].upper() in ('CREATE', 'ALTER', 'UPDATE', 'INSERT', 'DROP')\n"
        "    seen.extend([statement] * changes)\n"
        f"    if len(seen) == {statements}:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        f"upgrade(open_engine({url!r}))\n"
    )
    assert run([sys.executable, "-c", script], deadline_seconds=60, check=False).code == -9
    assert migrating.read_version(engine) == 1
    assert counts(engine) == before
    with engine.connect() as db:
        assert not inspect(db).has_table("workers")
        assert db.execute(text("SELECT host FROM runs")).scalars().all() == ["elsewhere"] * len(STATES)
    migrating.upgrade(engine)
    assert differences(engine, t.metadata) == []


def at_once(work: Any) -> list[BaseException]:
    faults: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001
            faults.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return faults
