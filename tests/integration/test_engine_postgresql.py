"""The contract of an engine, held by the durable one on a real PostgreSQL."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.catalogue.database import now
from orchestrator.catalogue.records import Order, RunState, WorkerRow
from orchestrator.engine.durable import upgrade
from tests.integration.fleet import until
from tests.integration.postgresql import Postgresql
from tests.unit.engine import harness
from tests.unit.engine.contract import Contract

pytestmark = pytest.mark.integration


class TestDurable(Contract):
    @pytest.fixture
    def engine(self, postgresql_url: str, tmp_path: Path) -> Iterator[harness.Engine]:
        upgrade(postgresql_url)
        with harness.engine("durable", postgresql_url, tmp_path) as engine:
            yield engine

    def test_a_claim_whose_answer_was_lost_is_made_good(self, engine: harness.Durable) -> None:
        """The database has given the worker a run that the worker does not know of."""
        made = engine.ledger.submit(Order("later", "demo", {"who": "demo"}, ("tenant:a",)))  # a flow it has not yet
        assert engine.ledger.claim(engine.worker.id, {}, run_id=made.id)
        engine.town.flow(lambda run: run.step("answer", lambda: 42), "later")
        until(lambda: engine.ledger.catalogue.run(made.id).state.ended, 20, engine.ledger.catalogue.runs)
        row = engine.ledger.catalogue.run(made.id)
        assert (row.state, row.result, row.generation) == (RunState.DONE, 42, 2)

    def test_the_journals_that_a_dead_worker_left_are_deleted(
        self, engine: harness.Durable, postgresql_url: str, postgresql: Postgresql, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def journals() -> list[tuple[str]]:
            with postgresql.connect(postgresql_url.rpartition("/")[2]) as db:
                return db.execute("SELECT workflow_uuid FROM dbos.workflow_status").fetchall()

        monkeypatch.setattr(engine.worker, "_forget", lambda *_: None)  # as if it had not come to that
        engine.town.flow(lambda run: run.step("answer", lambda: 42))
        made = engine.run()
        assert journals() == [(f"{made.id}.1",)]
        nobody = WorkerRow("dead", "worker", socket.gethostname(), 2**22, 1, "1", 1, now(), now())
        engine.ledger.enlist(nobody)
        until(lambda: journals() == [], 20, journals)
