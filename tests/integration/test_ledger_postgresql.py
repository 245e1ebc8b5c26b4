"""The contracts of the ledger and of the catalogue's versions on a real PostgreSQL, and what only it has."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from orchestrator.catalogue.database import clock, now, open_engine, serialise, writing
from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.records import Point, WorkerRow
from orchestrator.catalogue.store import Catalogue
from orchestrator.catalogue.taking import CLAIMING
from orchestrator.errors import Unreachable
from tests.integration.postgresql import Postgresql
from tests.ledger_contract import *  # noqa: F403
from tests.migration_contract import *  # noqa: F403

pytestmark = pytest.mark.integration


@pytest.fixture
def url(postgresql_url: str) -> str:
    return postgresql_url


@pytest.fixture
def claimers() -> int:
    return 4


def test_the_session_says_who_it_is_and_has_a_deadline_for_everything(url: str) -> None:
    engine = open_engine(url)
    with engine.connect() as db:
        for name, value in {
            "application_name": "tricenter",
            "lock_timeout": "30s",
            "statement_timeout": "1min",
            "idle_in_transaction_session_timeout": "5s",
            "transaction_isolation": "read committed",
        }.items():
            assert db.execute(text(f"SHOW {name}")).scalar_one() == value
    engine.dispose()


def test_times_are_the_databases(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.catalogue.database.now", lambda: pytest.fail("this machine's clock was asked"))
    engine = open_engine(url)
    with engine.connect() as db:
        assert abs(clock(db).timestamp() - time.time()) < 5
    engine.dispose()


def test_a_lost_connection_is_one_error_and_then_forgotten(url: str, postgresql: Postgresql) -> None:
    catalogue = Catalogue(url)
    with pytest.raises(Unreachable) as told:
        cut_in_the_middle(catalogue, postgresql)
    assert "hunter2" not in str(told.value)
    assert catalogue.open_runs() == []
    catalogue.engine.dispose()


def cut_in_the_middle(catalogue: Catalogue, server: Postgresql) -> None:
    with writing(catalogue.engine) as db:
        pid = db.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with server.connect() as other:
            other.execute("SELECT pg_terminate_backend(%s)", (pid,))
        db.execute(text("SELECT 1"))


def test_a_process_that_is_frozen_in_a_transaction_holds_up_the_others_for_seconds_only(url: str) -> None:
    frozen, other = Catalogue(url), Catalogue(url)
    Ledger(other).enlist(WorkerRow("w", "worker", "h", 1, 1, "1", 1, now(), now()))
    seconds: list[float] = []

    def stand_still() -> None:
        with writing(frozen.engine) as db:
            serialise(db, CLAIMING)
            began = time.monotonic()
            assert Ledger(other).claim("w", {}) is None
            seconds.append(time.monotonic() - began)
            clock(db)

    with pytest.raises(Unreachable):
        stand_still()
    assert seconds
    assert seconds[0] < 10
    for each in (frozen, other):
        each.engine.dispose()


def test_what_is_written_while_the_database_restarts_is_written(url: str, postgresql: Postgresql) -> None:
    catalogue = Catalogue(url)
    with ThreadPoolExecutor(1) as writer:
        postgresql.stop()
        written = writer.submit(
            catalogue.add_point, Point("p", "r", "t", "s", "tier", now(), now(), 1, 1, "document", ())
        )
        time.sleep(2)
        assert not written.done()
        postgresql.start()
        written.result(30)
    assert [each.id for each in catalogue.points()] == ["p"]
    catalogue.engine.dispose()


def test_a_server_that_is_silent_is_noticed_in_time() -> None:
    """It takes the connection and says nothing more, as a half-dead machine does."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begin = time.monotonic()
        with pytest.raises(Unreachable):
            Catalogue(f"postgresql://li:hunter2@127.0.0.1:{silent.getsockname()[1]}/d")
        assert time.monotonic() - begin < 15
