"""A database put beside, swapped, undone, committed, on a real server with the rights of a member of the owner only."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from orchestrator.backups import databases as db
from orchestrator.backups.places import Back, place_from
from orchestrator.backups.sources.postgresql import connect
from orchestrator.errors import CheckFailed, Refused, TricenterError, Unreachable
from tests.integration.database_town import ACCESS, Bureau, make_bureau, proof_of, repository_of
from tests.integration.postgresql import Postgresql

pytestmark = pytest.mark.integration

RUN = "20261123T101500Z-3f9a1c07"
OTHER = "20261124T101500Z-11112222"
DUMP = "CREATE TABLE entries (n integer PRIMARY KEY);\nINSERT INTO entries VALUES (7), (8);\n"
NOWHERE = Path("/nonexistent")


@pytest.fixture
def bureau(postgresql: Postgresql) -> Bureau:
    return make_bureau(postgresql)


def put(bureau: Bureau, run: str = RUN, dump: str = DUMP) -> None:
    bureau.place.put(ACCESS, run, repository_of(dump), proof_of(), NOWHERE)


def test_put_leaves_the_place_alone_and_swap_undo_brings_it_back_exactly(bureau: Bureau) -> None:
    before = bureau.state()
    put(bureau)
    assert bureau.state() == before
    assert bureau.names() == {"", "_new_3f9a1c07"}
    with connect(bureau.place.data(ACCESS, RUN, NOWHERE)) as beside:
        assert beside.execute("SELECT sum(n) FROM entries").fetchone() == (15,)
    with bureau.as_client() as client:
        swapped = bureau.place.swap(ACCESS, RUN)
        with pytest.raises(psycopg.OperationalError):
            client.execute("SELECT 1")
    assert swapped.sessions == 1
    assert swapped.before == f"{bureau.database}_before_3f9a1c07"
    assert bureau.rows() == [7, 8]
    # the application's owner owns what was restored, and what the server knows of the database came along
    with bureau.as_client() as client:
        client.execute("INSERT INTO entries VALUES (9)")
        client.execute("ALTER TABLE entries ADD COLUMN more text")
    assert bureau.state()[2:] == before[2:]
    assert bureau.place.data(ACCESS, RUN, NOWHERE).database == bureau.database
    closed = pytest.raises(psycopg.OperationalError, match="not currently accepting connections")
    with closed, bureau.as_client(swapped.before):
        pass
    assert bureau.place.undo(ACCESS, RUN) is Back.BACK
    assert bureau.state() == before
    assert bureau.names() == {""}
    assert bureau.rows() == list(range(1, 101))
    assert bureau.place.undo(ACCESS, RUN) is Back.NOTHING


def test_commit_drops_what_was_before_and_leaves_no_mark(bureau: Bureau) -> None:
    before = bureau.state()
    put(bureau)
    with pytest.raises(CheckFailed, match="nothing was swapped"):
        bureau.place.commit(ACCESS, RUN)
    bureau.place.swap(ACCESS, RUN)
    bureau.place.swap(ACCESS, RUN)
    bureau.place.commit(ACCESS, RUN)
    bureau.place.commit(ACCESS, RUN)
    assert bureau.names() == {""}
    assert bureau.rows() == [7, 8]
    assert bureau.state() == before
    assert bureau.place.undo(ACCESS, RUN) is Back.NOTHING
    assert bureau.rows() == [7, 8]


def test_a_place_where_nothing_stood_is_empty_again_after_the_undo(bureau: Bureau) -> None:
    with bureau.server.connect() as connection:
        connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(bureau.database)))
    put(bureau)
    assert bureau.place.swap(ACCESS, RUN).before is None
    with bureau.as_client(user=bureau.user) as client:
        assert client.execute("SELECT count(*) FROM entries").fetchone() == (2,)
    assert bureau.place.undo(ACCESS, RUN) is Back.BACK
    assert bureau.names() == set()


def test_what_was_put_and_not_swapped_is_dropped(bureau: Bureau) -> None:
    put(bureau)
    bureau.place.drop(ACCESS, RUN)
    assert bureau.names() == {""}
    put(bureau)
    assert bureau.place.undo(ACCESS, RUN) is Back.DROPPED
    put(bureau)
    bureau.place.swap(ACCESS, RUN)
    bureau.place.drop(ACCESS, RUN)
    assert bureau.rows() == [7, 8]


def test_a_second_run_swaps_over_an_uncommitted_one_and_both_go_back(bureau: Bureau) -> None:
    before = bureau.state()
    put(bureau)
    bureau.place.swap(ACCESS, RUN)
    put(bureau, OTHER, DUMP.replace("(8)", "(80)"))
    bureau.place.swap(ACCESS, OTHER)
    assert bureau.rows() == [7, 80]
    bureau.place.undo(ACCESS, OTHER)
    assert bureau.rows() == [7, 8]
    bureau.place.undo(ACCESS, RUN)
    assert bureau.state() == before
    assert bureau.rows() == list(range(1, 101))


def test_a_dump_that_fails_leaves_the_place_alone_and_can_be_undone(bureau: Bureau) -> None:
    with pytest.raises(TricenterError):
        put(bureau, dump=DUMP + "SELECT nonsense;\n")
    assert bureau.rows() == list(range(1, 101))
    put(bureau)
    assert bureau.place.undo(ACCESS, RUN) is Back.DROPPED
    assert bureau.names() == {""}


class Cut(Exception):
    pass


@contextmanager
def cut_after(monkeypatch: pytest.MonkeyPatch, statements: int) -> Iterator[list[int]]:
    """End the work after so many statements, as kill -9 does: the connection is gone, and with it what is open."""
    done = [0]
    real = psycopg.Connection.execute

    def execute(self: psycopg.Connection[Any], *args: Any, **kwargs: Any) -> Any:
        if done[0] == statements:
            self.close()
            raise Cut
        done[0] += 1
        return real(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Connection, "execute", execute)
        yield done


@pytest.mark.parametrize("way", ["undo", "commit"])
def test_cut_off_at_every_statement_it_goes_on_to_the_same_end(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    before, cuts = bureau.state(), 0
    for act in (put_again, swap, way):
        for after in itertools.count():
            try:
                with cut_after(monkeypatch, after):
                    act(bureau) if callable(act) else getattr(bureau.place, act)(ACCESS, RUN)
                break
            except Cut:
                cuts += 1
    assert cuts > 30
    assert bureau.state() == before
    assert bureau.names() == {""}
    assert bureau.rows() == ([7, 8] if way == "commit" else list(range(1, 101)))


def put_again(bureau: Bureau) -> None:
    put(bureau)


def swap(bureau: Bureau) -> None:
    bureau.place.swap(ACCESS, RUN)


def test_cut_off_anywhere_in_the_swap_the_undo_brings_everything_back(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, cuts = bureau.state(), 0
    for after in itertools.count():
        put(bureau)
        try:
            with cut_after(monkeypatch, after):
                bureau.place.swap(ACCESS, RUN)
            break
        except Cut:
            cuts += 1
        bureau.place.undo(ACCESS, RUN)
        assert bureau.state() == before, after
        assert bureau.names() == {""}, after
        assert len(bureau.rows()) == 100
    assert cuts > 10


def test_rights_that_lack_are_named_and_nothing_is_changed(bureau: Bureau) -> None:
    with bureau.server.connect() as connection:
        connection.execute(sql.SQL("ALTER ROLE {} NOCREATEDB").format(sql.Identifier(bureau.user)))
        connection.execute(
            sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(bureau.owner), sql.Identifier(bureau.user))
        )
    for act in (lambda: bureau.place.check(ACCESS, 0), lambda: put(bureau)):
        with pytest.raises(Refused) as refused:
            act()
        assert f"ALTER ROLE {bureau.user} CREATEDB" in refused.value.hint
        assert f"GRANT {bureau.owner} TO {bureau.user}" in refused.value.hint
    assert bureau.names() == {""}


def test_a_session_that_may_not_be_ended_stops_the_swap_and_leaves_all_as_it_was(bureau: Bureau) -> None:
    before = bureau.state()
    put(bureau)
    with bureau.server.connect(bureau.database) as superuser:
        with pytest.raises(Refused, match="may not end the session of postgres"):
            bureau.place.swap(ACCESS, RUN)
        assert superuser.execute("SELECT count(*) FROM entries").fetchone() == (100,)
    assert bureau.state() == before
    assert len(bureau.rows()) == 100
    bureau.place.swap(ACCESS, RUN)
    assert bureau.rows() == [7, 8]


def test_somebody_made_the_name_anew_meanwhile(bureau: Bureau) -> None:
    put(bureau)
    bureau.place.swap(ACCESS, RUN)
    with bureau.server.connect() as connection:
        named = sql.Identifier(bureau.database)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(named))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(named))
    with pytest.raises(CheckFailed, match="somebody made it anew"):
        bureau.place.undo(ACCESS, RUN)
    assert f"_before_{RUN[-8:]}" in bureau.names()


def test_a_dead_server_is_unreachable_and_a_long_name_fits(bureau: Bureau) -> None:
    place = bureau.place
    dead = place_from(place.as_argument().replace(str(place.port), "1"))
    with pytest.raises(Unreachable):
        dead.swap(ACCESS, RUN)
    name = db.name_of("库" * 21, "before", RUN)
    assert len(name.encode()) <= 63
    assert name != db.name_of("库" * 20 + "文", "before", RUN)
    assert place_from(place.as_argument()) == place
