"""Repositories in a real vault by a real restic: round trips, and every way in which one can fail.

What depends on what restic says or does is tried with the one that is installed, the floor, and with the newest.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from orchestrator.errors import (
    Busy,
    CheckFailed,
    CredentialRefused,
    InvalidInput,
    ProcessTimeout,
    TricenterError,
    Unreachable,
)
from orchestrator.process import Child, run, spawn, started_at
from orchestrator.secrets import Secret
from orchestrator.vault.restic import Incomplete, NoRepository, Progress, Repository
from orchestrator.vault.s3 import Credential
from tests.bench.servers import ADMIN, REGION, TENANT, TENANT_BUCKETS, Weed
from tests.integration import cheap_init
from tests.integration.newest_restic import newest_restic

pytestmark = pytest.mark.integration

BUCKET = TENANT_BUCKETS[0]
PASSWORD = "repository-password"
ROOT = Path(__file__).parents[2]
MIB = 1 << 20


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    server = Weed(tmp_path_factory.mktemp("weed") / "same-city", centre="same-city")
    server.start()
    server.admin().ensure_bucket(BUCKET, lock_days=1)
    yield server
    server.stop()


def repository_at(
    endpoint: str,
    prefix: str,
    cache: Path,
    *,
    credential: Credential = TENANT,
    password: str = PASSWORD,
    **limits: float,
) -> Repository:
    return Repository(
        "same-city", endpoint, REGION, BUCKET, prefix, credential, Secret(password), cache=cache, **limits
    )


@pytest.fixture(params=["floor", "newest"])
def restic(real_restic: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of one of the two versions, which is the one that is found."""
    folder = real_restic if request.param == "floor" else newest_restic()
    cheap = cheap_init.program(tmp_path / "programs", str(folder / "restic"))
    monkeypatch.setenv("PATH", f"{cheap}:{os.environ['PATH']}")
    return folder


def made(weed: Weed, tmp_path: Path, request: pytest.FixtureRequest) -> Repository:
    prefix = request.node.name.replace("_", "-").replace("[", "-").replace("]", "")
    repository = repository_at(weed.endpoint, prefix, tmp_path / "cache")
    repository.init()
    return repository


@pytest.fixture
def repository(restic: Path, weed: Weed, tmp_path: Path, request: pytest.FixtureRequest) -> Repository:
    """A repository of the test's own, made. It opens cheaply."""
    return made(weed, tmp_path, request)


@pytest.fixture
def plain(
    restic: Path, weed: Weed, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Repository:
    """A repository of the test's own, as restic itself makes it."""
    monkeypatch.setenv("PATH", f"{restic}:{os.environ['PATH']}")
    return made(weed, tmp_path, request)


def tree(folder: Path) -> Path:
    (folder / "登记簿").mkdir(parents=True)
    (folder / "a.txt").write_text("hello\n")
    (folder / "登记簿" / "宗地 1.csv").write_text("id,owner\n1,王\n")
    (folder / "b.bin").write_bytes(os.urandom(3 * MIB))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def producer(script: str, out: int) -> int:
    with Child(["sh", "-c", script], stdout=out) as child:
        return child.wait(120)


def test_the_newest_is_newer_than_the_floor(real_restic: Path) -> None:
    def version(folder: Path) -> tuple[int, ...]:
        return tuple(
            map(int, run([str(folder / "restic"), "version"], deadline_seconds=30).stdout.split()[1].split("."))
        )

    assert (0, 14) <= version(real_restic) < version(newest_restic())


def test_a_folder_comes_back_as_it_was(plain: Repository, tmp_path: Path) -> None:
    source, told = tree(tmp_path / "source"), list[Progress]()

    first = plain.backup_folder(source, host="bureau", tags=["system=land", "run=1"], on_progress=told.append)
    again = plain.backup_folder(source, host="bureau", tags=["system=land", "run=2"])
    plain.restore(first.snapshot_id, tmp_path / "restored")

    assert contents(tmp_path / "restored") == contents(source)
    assert (first.files, len(first.snapshot_id)) == (3, 64)
    assert again.added_bytes < MIB < first.added_bytes
    assert told[-1] == Progress(first.bytes, first.bytes, 3, 3), "however quick it was"
    (only,) = plain.snapshots(tags=["system=land", "run=1"])
    assert (only.id, only.hostname, only.paths) == (first.snapshot_id, "bureau", (str(source),))
    assert [each.id for each in plain.snapshots()] == [first.snapshot_id, again.snapshot_id]
    plain.check(read_data=True, lock=False)


def test_a_repository_that_opens_cheaply_is_as_any_other(repository: Repository, tmp_path: Path) -> None:
    repository.init()

    (key,) = repository.bucket.list(f"{repository.prefix}/keys/")
    assert json.loads(repository.bucket.get(key.key))["N"] == cheap_init.COST.n
    stored = repository.backup_folder(tree(tmp_path / "source"), host="h", tags=[])
    repository.restore(stored.snapshot_id, tmp_path / "restored")
    assert contents(tmp_path / "restored") == contents(tmp_path / "source")
    repository.check(read_data=True)
    assert not repository.with_password(Secret("other")).opens()


def test_exclude(repository: Repository, tmp_path: Path) -> None:
    stored = repository.backup_folder(tree(tmp_path / "source"), host="h", tags=[], exclude=["*.bin"])

    assert stored.files == 2


def test_init_may_be_repeated(plain: Repository) -> None:
    before = plain.bucket.get(f"{plain.prefix}/config")
    plain.init()

    assert plain.exists()
    assert plain.bucket.get(f"{plain.prefix}/config") == before


def test_a_stream_from_a_child_comes_back(repository: Repository, tmp_path: Path) -> None:
    data = tmp_path / "dump.sql"
    data.write_bytes(os.urandom(20 * MIB))
    with repository.backup_stream("dump.sql", host="h", tags=["dump"]) as stream:
        assert producer(f"cat {data}", stream.stdin_fd) == 0
        stored = stream.commit()

    with repository.open_file(stored.snapshot_id, "/dump.sql") as child:
        assert child.read() == data.read_bytes()
    assert stored.bytes == 20 * MIB
    assert [each.id for each in repository.snapshots(tags=["dump"])] == [stored.snapshot_id]


def test_a_stream_written_in_python_comes_back(repository: Repository) -> None:
    with repository.backup_stream("point.json", host="h", tags=[]) as stream:
        stream.write('{"tenant": "规划局"}'.encode())
        stored = stream.commit()

    assert repository.read_file(stored.snapshot_id, "/point.json") == '{"tenant": "规划局"}'.encode()


def test_it_tells_how_far_it_is_while_data_still_comes(repository: Repository) -> None:
    told: list[Progress] = []
    with repository.backup_stream("dump.sql", host="h", tags=[], on_progress=told.append) as stream:
        stream.write(os.urandom(8 * MIB))
        end = time.monotonic() + 60
        while not any(each.done_bytes for each in told):
            assert time.monotonic() < end, told
            time.sleep(0.05)
        assert stream.commit().bytes == 8 * MIB
    assert 0 < max(each.done_bytes for each in told) <= 8 * MIB


def left_nothing(repository: Repository) -> bool:
    return repository.snapshots() == [] and repository.locks() == 0


def test_a_failed_producer_leaves_no_snapshot_and_no_lock(repository: Repository) -> None:
    with repository.backup_stream("dump.sql", host="h", tags=[]) as stream:
        assert producer("head -c 50000000 /dev/urandom; exit 3", stream.stdin_fd) == 3

    assert left_nothing(repository)


def test_an_exception_leaves_no_snapshot_and_no_lock(repository: Repository) -> None:
    def fail() -> None:
        with repository.backup_stream("dump.sql", host="h", tags=[]) as stream:
            stream.write(os.urandom(30 * MIB))
            raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        fail()
    assert left_nothing(repository)


def test_when_restic_dies_its_end_is_told_and_not_the_broken_pipe(repository: Repository) -> None:
    def write_on() -> None:
        with repository.backup_stream("dump.sql", host="h", tags=[]) as stream:
            stream.write(os.urandom(8 * MIB))
            os.kill(restic_of(repository), signal.SIGKILL)
            for _ in range(64):
                stream.write(bytes(MIB))
            stream.commit()

    with pytest.raises(TricenterError, match="restic"):
        write_on()
    repository.unlock()
    assert left_nothing(repository)


def test_when_restic_dies_under_a_child_its_end_is_told(repository: Repository) -> None:
    def produce() -> None:
        with (
            repository.backup_stream("dump.sql", host="h", tags=[]) as stream,
            Child(["sh", "-c", "exec cat /dev/zero"], stdout=stream.stdin_fd) as child,
        ):
            time.sleep(1)
            os.kill(restic_of(repository), signal.SIGKILL)
            if child.wait(60) != 0:
                raise KeyError("the producer failed")
            stream.commit()

    with pytest.raises(TricenterError, match="restic") as raised:
        produce()
    assert isinstance(raised.value.__cause__, KeyError)


def restic_of(repository: Repository) -> int:
    """Return the pid of the restic that works on this repository, and on no other."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"restic") and any(word.endswith(f"/{repository.prefix}".encode()) for word in words):
                return int(folder.name)
        time.sleep(0.05)
    raise AssertionError("restic does not run")


def test_kill_9_of_the_parent_leaves_no_snapshot(repository: Repository, weed: Weed, tmp_path: Path) -> None:
    script = f"""
import time
from pathlib import Path
from orchestrator.secrets import Secret
from orchestrator.vault.restic import Repository
from tests.bench.servers import TENANT
repository = Repository("same-city", "{weed.endpoint}", "{REGION}", "{BUCKET}", "{repository.prefix}", TENANT,
    Secret("{PASSWORD}"), cache=Path("{tmp_path}/cache"))
with repository.backup_stream("dump.sql", host="h", tags=[]) as stream:
    stream.write(bytes(range(256)) * 4096 * 24)
    print("written", flush=True)
    time.sleep(300)
"""
    with Child([sys.executable, "-c", script], cwd=ROOT) as parent:
        assert next(parent.lines()) == "written"
        restic = restic_of(repository)
        os.kill(parent.pid, signal.SIGKILL)
        end = time.monotonic() + 10
        while Path(f"/proc/{restic}").exists() and time.monotonic() < end:
            time.sleep(0.05)

    assert not Path(f"/proc/{restic}").exists()
    end = time.monotonic() + 20
    while not left_nothing(repository) and time.monotonic() < end:
        repository.unlock()  # its lock is provably dead, and may have been on its way when the process was killed
    assert left_nothing(repository)


def test_the_lock_of_a_dead_process_that_nobody_waited_for_goes(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(8 << 20))
    slow = repository._invoke("backup", "--limit-upload", "1", "--host", "h", str(tmp_path / "large"))
    pid = spawn(slow.argv, env=slow.env, log=tmp_path / "log")
    try:
        end = time.monotonic() + 30
        while repository.locks() == 0 and time.monotonic() < end:
            time.sleep(0.05)
        repository.clear_dead_locks()
        assert repository.locks() == 1, "a living lock must stay"
        os.kill(pid, signal.SIGKILL)
        while started_at(pid) is not None and time.monotonic() < end:
            time.sleep(0.05)
        repository.unlock()
        assert repository.locks() == 1, "restic takes it for alive"
        repository.clear_dead_locks()
        assert repository.locks() == 0
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_lock_makes_busy_and_readers_do_not_care(repository: Repository) -> None:
    with repository.backup_stream("dump.sql", host="h", tags=[]) as stream:
        stream.write(b"first")
        end = time.monotonic() + 30
        while repository.locks() == 0 and time.monotonic() < end:
            time.sleep(0.1)
        with pytest.raises(Busy):
            repository.check()
        repository.check(lock=False)
        assert repository.snapshots() == []
        repository.unlock()
        assert repository.locks() == 1, "a living lock must stay"
        stream.commit()


def test_no_repository_is_no_failure_of_exists(restic: Path, weed: Weed, tmp_path: Path) -> None:
    absent = repository_at(weed.endpoint, "never-made", tmp_path / "cache")

    assert not absent.exists()
    with pytest.raises(NoRepository):
        absent.snapshots()


def test_wrong_password(plain: Repository, weed: Weed, tmp_path: Path) -> None:
    other = repository_at(weed.endpoint, plain.prefix, tmp_path / "cache", password="other")

    with pytest.raises(CredentialRefused, match="password"):
        other.exists()
    with pytest.raises(CredentialRefused, match="password"):
        other.init()


@pytest.mark.parametrize("credential", [replace(TENANT, secret_key="other"), Credential("NOBODY", "other")])
def test_wrong_keys(weed: Weed, tmp_path: Path, credential: Credential) -> None:
    with pytest.raises(CredentialRefused, match="refused the credential"):
        repository_at(weed.endpoint, "any", tmp_path / "cache", credential=credential).snapshots()


def test_a_dead_endpoint_is_told_soon(tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(Unreachable, match="same-city"):
        repository_at("http://127.0.0.1:1", "any", tmp_path / "cache").exists()
    assert time.monotonic() - begin < 15


def test_a_missing_bucket_names_the_way_out(weed: Weed, tmp_path: Path) -> None:
    nowhere = Repository(
        "same-city", weed.endpoint, REGION, "dr-nobody", "any", ADMIN, Secret(PASSWORD), cache=tmp_path / "cache"
    )
    with pytest.raises(InvalidInput, match="does not exist") as raised:
        nowhere.init()
    assert "tricenter tenant apply" in raised.value.hint


def test_a_vault_that_dies_under_a_backup_is_told_soon(restic: Path, tmp_path: Path) -> None:
    server = Weed(tmp_path / "mortal", centre="same-city")
    server.start()
    try:
        server.admin().ensure_bucket(BUCKET, lock_days=1)
        repository = repository_at(server.endpoint, "any", tmp_path / "cache", gone_seconds=3)
        repository.init()

        def stream_into_the_void() -> None:
            with repository.backup_stream("big", host="h", tags=[]) as stream:
                stream.write(os.urandom(20 * MIB))
                server.stop()
                for _ in range(1000):
                    stream.write(os.urandom(MIB))

        begin = time.monotonic()
        with pytest.raises(Unreachable, match="stopped answering"):
            stream_into_the_void()
        assert time.monotonic() - begin < 90
    finally:
        server.stop()


def test_a_vault_that_hangs_under_a_backup_is_told_after_the_stall(tmp_path: Path) -> None:
    server = Weed(tmp_path / "hanging", centre="same-city")
    server.start()
    try:
        server.admin().ensure_bucket(BUCKET, lock_days=1)
        repository = repository_at(server.endpoint, "any", tmp_path / "cache", stall_seconds=6)
        repository.init()

        def stream_into_the_void() -> None:
            with repository.backup_stream("big", host="h", tags=[]) as stream:
                stream.write(os.urandom(20 * MIB))
                server.freeze()
                for _ in range(1000):
                    stream.write(os.urandom(MIB))

        begin = time.monotonic()
        with pytest.raises(Unreachable, match="no progress for 6 s"):
            stream_into_the_void()
        assert time.monotonic() - begin < 60
    finally:
        server.stop()


def test_a_slow_producer_is_no_stall(weed: Weed, tmp_path: Path) -> None:
    repository = repository_at(weed.endpoint, "slow-producer", tmp_path / "cache", stall_seconds=2)
    repository.init()
    with repository.backup_stream("dump.sql", host="h", tags=[]) as stream:
        assert producer("echo begin; sleep 7; echo end", stream.stdin_fd) == 0
        stored = stream.commit()

    assert repository.read_file(stored.snapshot_id, "/dump.sql") == b"begin\nend\n"


def test_a_deadline_ends_a_run(weed: Weed, tmp_path: Path) -> None:
    repository_at(weed.endpoint, "deadline", tmp_path / "cache").init()
    repository = repository_at(weed.endpoint, "deadline", tmp_path / "cache", deadline_seconds=3)
    with pytest.raises(ProcessTimeout), repository.backup_stream("dump.sql", host="h", tags=[]) as stream:
        producer("cat /dev/zero", stream.stdin_fd)

    assert left_nothing(repository)


def test_unreadable_files_are_named_and_the_rest_is_kept(repository: Repository) -> None:
    # Some attributes of a loopback interface cannot be read, not even by root.
    with pytest.raises(Incomplete, match="was made without") as raised:
        repository.backup_folder(Path("/sys/class/net/lo").resolve(), host="h", tags=[])

    assert raised.value.unread
    assert [each.id for each in repository.snapshots()] == [raised.value.stored.snapshot_id]


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_a_folder_that_is_not_there_is_refused(repository: Repository, tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=folder):
        repository.backup_folder(tmp_path / folder, host="h", tags=[])
    assert repository.snapshots() == []


def test_damage_is_found(repository: Repository, tmp_path: Path) -> None:
    stored = repository.backup_folder(tree(tmp_path / "source"), host="h", tags=[])
    pack = max(repository.bucket.list(f"{repository.prefix}/data/"), key=lambda entry: entry.size_bytes)
    body = bytearray(repository.bucket.get(pack.key))
    body[1000] ^= 1
    repository.bucket.put(pack.key, bytes(body))

    repository.check(lock=False)  # the structure alone does not show it
    with pytest.raises(CheckFailed, match="damaged"):
        repository.check(read_data=True, lock=False)
    with pytest.raises(CheckFailed, match="not restored whole"):
        repository.restore(stored.snapshot_id, tmp_path / "restored")


def test_a_lost_config_is_not_taken_for_no_repository(plain: Repository, weed: Weed, tmp_path: Path) -> None:
    plain.backup_folder(tree(tmp_path / "source"), host="h", tags=[])
    client = boto3.client(
        "s3", endpoint_url=weed.endpoint, region_name=REGION,
        aws_access_key_id=ADMIN.access_key, aws_secret_access_key=ADMIN.secret_key,
    )  # fmt: skip
    client.delete_object(Bucket=BUCKET, Key=f"{plain.prefix}/config")

    with pytest.raises(CheckFailed, match="lost its config"):
        plain.init()


def test_what_is_not_in_a_snapshot(repository: Repository, tmp_path: Path) -> None:
    stored = repository.backup_folder(tree(tmp_path / "source"), host="h", tags=[])

    with pytest.raises(InvalidInput, match="/nowhere"):
        repository.read_file(stored.snapshot_id, "/nowhere")
    with pytest.raises(InvalidInput, match="does not hold this"):
        repository.restore("0" * 64, tmp_path / "restored")


def test_a_file_that_was_not_read_to_its_end_is_no_success(repository: Repository, tmp_path: Path) -> None:
    stored = repository.backup_folder(tree(tmp_path / "source"), host="h", tags=[])

    def read_some() -> bytes:
        with repository.open_file(stored.snapshot_id, "/b.bin") as child:
            return child.read(10)

    with pytest.raises(TricenterError, match="restic"):
        read_some()
