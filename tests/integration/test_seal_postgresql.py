"""A database sealed under write load: what was acknowledged is in the last dump, and nothing is accepted after."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from orchestrator.backups.document import SourceProof
from orchestrator.backups.places import Back
from orchestrator.backups.seal.postgresql import (
    prove_database_sealed,
    seal_database,
    sealed_server,
    unseal_database,
)
from orchestrator.backups.sources.postgresql import connect, fingerprint_tables
from orchestrator.errors import CheckFailed, Refused
from orchestrator.process import run as run_program
from tests.integration.database_town import ACCESS, Bureau, Writers, make_bureau, proof_of, repository_of
from tests.integration.postgresql import Postgresql
from tests.integration.test_places_postgresql import Cut, cut_after

pytestmark = pytest.mark.integration

RUN = "20261123T101500Z-3f9a1c07"
SEALED = "_sealed_3f9a1c07"


@pytest.fixture
def bureau(postgresql: Postgresql) -> Bureau:
    return make_bureau(postgresql)


def seal(bureau: Bureau) -> object:
    return seal_database(ACCESS, bureau.place, "register", RUN)


def dump(bureau: Bureau) -> str:
    """The last dump, made as a backup makes it: by our own user, under the name that only we know."""
    server = sealed_server(ACCESS, bureau.place, seal_database(ACCESS, bureau.place, "register", RUN))
    words = ["pg_dump", "--format=plain", "--no-owner", "--no-privileges"]
    return run_program(words, env=server.environment(), deadline_seconds=60).stdout + "\n"


def proved(bureau: Bureau, proof: SourceProof | None = None) -> tuple[str, ...]:
    sealed = seal_database(ACCESS, bureau.place, "register", RUN)
    return prove_database_sealed(ACCESS, bureau.place, sealed, proof).faults


def test_under_write_load_no_acknowledged_row_is_lost_and_none_is_accepted_after(bureau: Bureau) -> None:
    with Writers(bureau) as writers:
        end = time.monotonic() + 30
        while writers.total() < 500:
            assert time.monotonic() < end, writers.refused[-3:]
            time.sleep(0.01)
        sealed = seal_database(ACCESS, bureau.place, "register", RUN)
        at_seal = writers.total()
        text = dump(bureau)
        time.sleep(0.5)  # they go on trying all the time
        at_end = writers.total()
        assert len(writers.refused) > writers.count
    assert at_end - at_seal <= writers.count  # acknowledged before, counted by the test a moment later
    server = sealed_server(ACCESS, bureau.place, sealed)
    with connect(server) as connection:
        tables = fingerprint_tables(connection)
        there = {row[0] for row in connection.execute("SELECT n FROM entries").fetchall()}
    assert set(writers.acknowledged) <= there
    body = text.split("COPY public.entries")[1].split("\\.")[0].splitlines()[1:]
    assert {int(line) for line in body} == there
    assert proved(bureau, proof_of(tables)) == ()
    assert "does not exist" in writers.refused[-1]


def test_it_outlives_a_restart_and_is_undone_exactly(bureau: Bureau, postgresql: Postgresql) -> None:
    before = bureau.state()
    seal(bureau)
    postgresql.restart()
    with pytest.raises(psycopg.OperationalError, match="does not exist"), bureau.as_client():
        pass
    with pytest.raises(psycopg.OperationalError, match="does not exist"), bureau.as_client(user="postgres"):
        pass
    with bureau.as_client(bureau.database + SEALED) as stray:  # a program that tries every database of the server
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            stray.execute("INSERT INTO entries VALUES (-1)")
        (fault,) = proved(bureau)
        assert fault.startswith(f"connected: {bureau.owner}@127.0.0.1")
    assert unseal_database(ACCESS, bureau.place, RUN) is True
    assert unseal_database(ACCESS, bureau.place, RUN) is False
    assert bureau.state() == before
    assert bureau.names() == {""}


@pytest.mark.parametrize("end", ["seal", "unseal"])
def test_cut_off_at_every_statement(bureau: Bureau, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    before, cuts = bureau.state(), 0
    for after in itertools.count():
        try:
            with cut_after(monkeypatch, after):
                seal(bureau)
            break
        except Cut:
            cuts += 1
        if end == "unseal":
            unseal_database(ACCESS, bureau.place, RUN)
            assert bureau.state() == before, after
    assert bureau.names() == {SEALED}
    for after in itertools.count():
        try:
            with cut_after(monkeypatch, after):
                unseal_database(ACCESS, bureau.place, RUN)
            break
        except Cut:
            cuts += 1
    assert cuts > 15
    assert bureau.state() == before
    assert len(bureau.rows()) == 100


def test_what_stands_in_the_way_is_named_and_nothing_is_changed(bureau: Bureau) -> None:
    before = bureau.state()
    with bureau.server.connect(bureau.database) as superuser:
        with pytest.raises(Refused, match="lacks rights") as refused:
            seal(bureau)
        assert "pg_signal_backend" in refused.value.hint
        assert superuser.execute("SELECT 1").fetchone() == (1,)
    assert bureau.state() == before
    seal(bureau)
    with bureau.server.connect() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(bureau.database)))
    assert f"there is a database {bureau.database} again" in proved(bureau)
    with pytest.raises(CheckFailed, match="another database of that name"):
        unseal_database(ACCESS, bureau.place, RUN)
    gone = replace(bureau.place, database="no_such_database")
    with pytest.raises(CheckFailed, match="no such database"):
        seal_database(ACCESS, gone, "register", RUN)


def test_a_write_after_the_last_copy_is_found(bureau: Bureau) -> None:
    sealed = seal_database(ACCESS, bureau.place, "register", RUN)
    with connect(sealed_server(ACCESS, bureau.place, sealed)) as connection:
        proof = proof_of(fingerprint_tables(connection))
    assert proved(bureau, proof) == ()
    with bureau.as_client(sealed.name) as stray:
        stray.execute("SET default_transaction_read_only = off")
        stray.execute("INSERT INTO entries VALUES (-1)")
    assert proved(bureau, proof) == ("public.entries changed",)


def test_a_failback_over_a_sealed_database_and_its_undo(bureau: Bureau) -> None:
    """Production was sealed by a switchover; the failback puts the newer data in its place, unsealed."""
    before = bureau.state()
    seal(bureau)
    sealed = (bureau.names(), bureau.place)
    later, text = "20261125T080000Z-99998888", "CREATE TABLE entries (n integer);\nINSERT INTO entries VALUES (5);\n"
    for _ in range(2):
        bureau.place.put(ACCESS, later, repository_of(text), proof_of(), Path("/nonexistent"))
        assert bureau.place.swap(ACCESS, later).before
        assert bureau.rows() == [5]
        assert bureau.state()[2:] == before[2:]  # neither read-only nor closed
        with bureau.as_client() as client:
            client.execute("INSERT INTO entries VALUES (6)")
        assert bureau.place.undo(ACCESS, later) is Back.BACK
        assert (bureau.names(), bureau.place) == sealed
    bureau.place.put(ACCESS, later, repository_of(text), proof_of(), Path("/nonexistent"))
    bureau.place.swap(ACCESS, later)
    bureau.place.commit(ACCESS, later)
    assert bureau.names() == {""}
    assert bureau.state() == before
