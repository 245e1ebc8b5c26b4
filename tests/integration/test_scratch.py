"""The scratch PostgreSQL server, for real."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from orchestrator.errors import NoSpace, Refused
from orchestrator.process import run, started_at
from orchestrator.scratch.folder import MARKER, make_scratch, recorded_servers, remove_scratch
from orchestrator.scratch.postgres import check_place, start_server

pytestmark = pytest.mark.integration


@pytest.fixture
def root() -> Iterator[Path]:
    """A place that the user `postgres` can pass through: pytest's folders are closed to others."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="tricenter-test-") as place:
        Path(place).chmod(0o711)
        yield Path(place)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.fail("mounting needs root")
    place = Path(f"/run/tricenter-test-{os.getpid()}")
    place.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0711", "tmpfs", str(place)], deadline_seconds=10)
    try:
        yield place
    finally:
        run(["umount", str(place)], deadline_seconds=10)
        place.rmdir()


def test_a_server_works_by_its_socket_alone_and_goes_with_its_folder(root: Path) -> None:
    check_place(root)
    scratch = make_scratch(root, "run-1", 0)
    server = start_server(scratch, "p0")
    server.create_database("restored")
    with server.connect("restored") as connection:
        settings = dict(connection.execute("select name, setting from pg_settings").fetchall())
        assert settings["listen_addresses"] == ""
        assert settings["server_encoding"] == "UTF8"
        assert connection.execute("select '不动产'::text").fetchone() == ("不动产",)
        connection.execute("create table t as select generate_series(1, 1000) as n")
    assert server.socket_dir.stat().st_mode & 0o077 == 0
    assert recorded_servers(scratch) == [server.server]
    remove_scratch(str(scratch))
    assert not scratch.exists()
    assert started_at(server.server.pid) is None


def test_a_server_with_clients_is_ended_quickly(root: Path) -> None:
    scratch = make_scratch(root, "run-1", 0)
    server = start_server(scratch, "p0")
    client = psycopg.connect(host=str(server.socket_dir), port=server.port, user=server.user, dbname="postgres")
    begin = time.monotonic()
    server.stop()
    server.stop()
    assert time.monotonic() - begin < 5
    with pytest.raises(psycopg.OperationalError):
        client.execute("select 1")
    client.close()
    remove_scratch(str(scratch))


def test_a_server_that_was_killed_leaves_a_folder_that_can_be_removed(root: Path) -> None:
    scratch = make_scratch(root, "run-1", 0)
    server = start_server(scratch, "p0")
    os.kill(server.server.pid, signal.SIGKILL)
    remove_scratch(str(scratch))
    assert not scratch.exists()


def test_a_server_whose_record_was_never_written_is_found(root: Path) -> None:
    scratch = make_scratch(root, "run-1", 0)
    server = start_server(scratch, "p0")
    (scratch / "servers.json").unlink()
    remove_scratch(str(scratch))
    assert started_at(server.server.pid) is None
    assert not scratch.exists()


def test_a_full_disk_is_told_as_one(small_disk: Path) -> None:
    scratch = small_disk / "run-1"
    scratch.mkdir(mode=0o711)
    (scratch / MARKER).touch()
    with pytest.raises(NoSpace) as refused:
        start_server(scratch, "p0")
    assert "--scratch DIR" in refused.value.hint
    remove_scratch(str(scratch))
    assert list(small_disk.iterdir()) == []


def test_a_place_too_small_for_the_need_is_refused_before_anything_is_made(small_disk: Path) -> None:
    with pytest.raises(NoSpace, match="MiB are needed"):
        make_scratch(small_disk, "run-1", 1)
    assert list(small_disk.iterdir()) == []


def test_a_place_that_postgres_cannot_pass_through_is_named_with_the_remedy(root: Path) -> None:
    closed = root / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(Refused) as refused:
        check_place(closed / "scratch")
    assert f"chmod o+x {closed}" in refused.value.hint


def test_a_path_too_long_for_a_socket_is_refused(root: Path) -> None:
    scratch = make_scratch(root / ("d" * 90), "run-1", 0)
    with pytest.raises(Refused, match="too long"):
        start_server(scratch, "p0")
    remove_scratch(str(scratch))
