"""Repositories for made passwords, in a real vault: two creators, one that is killed, and every restic opens them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.process import run
from orchestrator.secrets import Secret, make_password, write_private
from orchestrator.vault.restic import Repository, creation
from orchestrator.vault.restic.keyfile import CHEAP, name_of
from orchestrator.vault.s3 import Bucket
from tests.bench.servers import REGION, TENANT, TENANT_BUCKETS, Weed
from tests.integration import cheap_init
from tests.integration.newest_restic import newest_restic

pytestmark = pytest.mark.integration

BUCKET = TENANT_BUCKETS[0]
PASSWORD = make_password()
DEAR = 32768


class Forgetful(Bucket):
    """A vault that takes a condition and ignores it, as some stores do."""

    def put(self, key: str, body: bytes, *, only_if_absent: bool = False) -> None:
        super().put(key, body)


class Killed(BaseException):
    """The process ends here."""


class Mortal(Bucket):
    """The same vault, in a process that dies after so many writes."""

    left = 0

    def put(self, key: str, body: bytes, *, only_if_absent: bool = False) -> None:
        if self.left == 0:
            raise Killed
        super().put(key, body, only_if_absent=only_if_absent)
        self.left -= 1

    def delete(self, key: str) -> None:
        raise Killed


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    server = Weed(tmp_path_factory.mktemp("weed") / "same-city", centre="same-city")
    server.start()
    server.admin().ensure_bucket(BUCKET, lock_days=1)
    yield server
    server.stop()


def bucket_of(weed: Weed, kind: type[Bucket] = Bucket) -> Bucket:
    return kind("same-city", weed.endpoint, REGION, BUCKET, TENANT)


@pytest.fixture
def repository(weed: Weed, tmp_path: Path, request: pytest.FixtureRequest) -> Repository:
    """Where a test's own repository will be."""
    prefix = request.node.name.replace("_", "-").replace("[", "-").replace("]", "")
    return Repository(
        "same-city", weed.endpoint, REGION, BUCKET, prefix, TENANT, PASSWORD, cache=tmp_path / "cache"
    )  # fmt: skip


@pytest.fixture(params=["floor", "newest"])
def plain_restic(real_restic: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The restic of one of the two versions, first in PATH, with its own init."""
    folder = real_restic if request.param == "floor" else newest_restic()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder / "restic"


def left_over(repository: Repository) -> list[str]:
    return [each.key for each in repository.bucket.list(f"{creation.CREATING}/{repository.prefix}")]


def test_every_restic_opens_it_cheaply(plain_restic: Path, repository: Repository, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.bin").write_bytes(os.urandom(3 << 20))
    repository.init()
    before = repository.bucket.get(f"{repository.prefix}/config")
    repository.init()

    stored = repository.backup_folder(source, host="h", tags=[])
    repository.restore(stored.snapshot_id, tmp_path / "restored")
    repository.check(read_data=True)
    assert (tmp_path / "restored" / "a.bin").read_bytes() == (source / "a.bin").read_bytes()
    assert list(repository.key_costs().values()) == [CHEAP.n]
    assert repository.bucket.get(f"{repository.prefix}/config") == before
    assert not repository.with_password(make_password()).opens()
    assert left_over(repository) == []
    told = run([str(plain_restic), "key", "list", "--json"], env=repository.environment(), deadline_seconds=60).stdout
    (key,) = json.loads(told)
    assert (key["current"], key["userName"]) == (True, "tricenter")


def test_creators_at_once_make_one_repository(repository: Repository) -> None:
    with ThreadPoolExecutor(6) as pool:
        for ended in [pool.submit(repository.init) for _ in range(6)]:
            ended.result()

    assert repository.opens()
    assert len(repository.key_costs()) == 1, "that of another master key would decide whether it opens"
    assert left_over(repository) == []


@pytest.mark.parametrize("writes", [0, 1, 2, 3])
def test_one_that_is_killed_is_carried_on(weed: Weed, repository: Repository, writes: int) -> None:
    mortal = Mortal("same-city", weed.endpoint, REGION, BUCKET, TENANT)
    mortal.left = writes
    with pytest.raises(Killed):
        creation.create(mortal, mortal, repository.prefix, PASSWORD)
    # Refused, and so not counted: the write that proves that the store keeps to the condition.
    assert len(left_over(repository)) == (writes > 0)
    key = [each.key for each in repository.bucket.list(f"{repository.prefix}/keys/")]

    repository.init()

    assert repository.opens()
    assert len(repository.key_costs()) == 1
    assert not key or key == [each.key for each in repository.bucket.list(f"{repository.prefix}/keys/")]
    assert left_over(repository) == []


def test_one_that_comes_late_leaves_what_is_there(repository: Repository) -> None:
    repository.init()
    before = repository.bucket.get(f"{repository.prefix}/config")

    creation.create(repository.bucket, repository.bucket, repository.prefix, PASSWORD)

    assert repository.bucket.get(f"{repository.prefix}/config") == before
    assert left_over(repository) == []
    assert repository.opens()


def test_a_store_that_ignores_the_condition_gets_one_as_well(weed: Weed, repository: Repository) -> None:
    forgetful = bucket_of(weed, Forgetful)

    assert not creation._decide(forgetful, f"{creation.CREATING}/tried", creation.draft(PASSWORD))
    assert creation._decide(repository.bucket, f"{creation.CREATING}/tried", creation.draft(PASSWORD))
    creation.create(forgetful, forgetful, repository.prefix, PASSWORD)
    assert repository.opens()


def test_the_key_of_an_interrupted_init_goes(repository: Repository) -> None:
    orphan, _ = cheap_init.repository(PASSWORD.reveal())
    of_another, _ = cheap_init.repository("of another password")
    for key in (orphan, of_another):
        repository.bucket.put(f"{repository.prefix}/keys/{name_of(key)}", key)

    repository.init()

    assert repository.opens()
    assert name_of(orphan) not in repository.key_costs()
    assert name_of(of_another) in repository.key_costs(), "it may be a good one of a repository that is just made"


def test_a_password_of_a_person_stays_dear_and_a_made_one_beside_it_is_cheap(
    plain_restic: Path, repository: Repository, tmp_path: Path
) -> None:
    human = repository.with_password(Secret("repository-password"))
    human.init()
    assert all(cost >= DEAR for cost in human.key_costs().values())

    human.add_key(write_private(tmp_path / "made", PASSWORD.reveal() + "\n"))
    assert repository.opens()
    assert sorted(repository.key_costs().values())[0] == CHEAP.n
    (mine,) = [each for each in repository.list_keys() if each.current]
    assert next(cost for key, cost in repository.key_costs().items() if key.startswith(mine.id)) == CHEAP.n

    repository.add_key(write_private(tmp_path / "thought-up", "another of a person\n"))
    assert repository.with_password(Secret("another of a person")).opens()
    assert sorted(repository.key_costs().values())[1] >= DEAR
