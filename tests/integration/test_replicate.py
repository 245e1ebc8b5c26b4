"""Replication between two real vaults: what arrives, what never does, and what a second run heals."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from orchestrator.errors import CorruptObject, InvalidInput, PartlyDone, Refused
from orchestrator.process import Child
from orchestrator.secrets import Secret
from orchestrator.vault.replicate import CorruptSource, IncompleteSource, Replicated, replicate
from orchestrator.vault.restic import Repository, Stored
from orchestrator.vault.s3 import Bucket, Entry
from tests.bench.servers import ADMIN, REGION, TENANT, TENANT_BUCKETS, Weed

pytestmark = pytest.mark.integration

BUCKET = TENANT_BUCKETS[0]
PASSWORD = "repository-password"
ROOT = Path(__file__).parents[2]
MIB = 1 << 20


@pytest.fixture(scope="module")
def weeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Weed, Weed]]:
    folder = tmp_path_factory.mktemp("weeds")
    near, far = (Weed(folder / centre, centre=centre) for centre in ("same-city", "provincial"))
    try:
        for weed in (near, far):
            weed.start()
            weed.admin().ensure_bucket(BUCKET, lock_days=1)
        yield near, far
    finally:
        near.stop()
        far.stop()


@dataclass
class Pair:
    """One repository, at its source with a backup in it, and at a target that has not joined."""

    near: Weed
    far: Weed
    prefix: str
    folder: Path
    source: Repository
    target: Repository

    def replicate(self, **options: int) -> Replicated:
        return replicate(self.source.bucket, self.target.bucket, self.prefix, **options)

    def backup(self) -> Stored:
        return self.source.backup_folder(self.folder / "tree", host="bureau", tags=[])

    def remove(self, weed: Weed, key: str) -> None:
        client = boto3.client(
            "s3", endpoint_url=weed.endpoint, region_name=REGION,
            aws_access_key_id=ADMIN.access_key, aws_secret_access_key=ADMIN.secret_key,
        )  # fmt: skip
        client.delete_object(Bucket=BUCKET, Key=key)

    def packs(self, bucket: Bucket) -> list[Entry]:
        """Return the packs, the largest first."""
        return sorted(bucket.list(f"{self.prefix}/data/"), key=lambda entry: -entry.size_bytes)

    def published(self) -> list[str]:
        """Return what the target holds that refers to packs."""
        return [e.key for part in ("index", "snapshots") for e in self.target.bucket.list(f"{self.prefix}/{part}/")]

    def objects(self, bucket: Bucket) -> dict[str, bytes]:
        return {e.key: bucket.get(e.key) for e in bucket.list(f"{self.prefix}/") if "/locks/" not in e.key}

    def is_whole(self, snapshot: str) -> bool:
        """Return whether the target alone gives back the tree; every byte of it is read and checked."""
        self.target.check(read_data=True, lock=False)
        place = self.folder / f"restored-{len(list(self.folder.iterdir()))}"
        self.target.restore(snapshot, place)
        return contents(place) == contents(self.folder / "tree")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def pair(weeds: tuple[Weed, Weed], tmp_path: Path, request: pytest.FixtureRequest) -> Pair:
    prefix = request.node.name.replace("_", "-")
    near, far = (
        Repository(
            weed.centre, weed.endpoint, REGION, BUCKET, prefix, TENANT, Secret(PASSWORD),
            cache=tmp_path / "cache" / weed.centre,
        )
        for weed in weeds
    )  # fmt: skip
    tree = tmp_path / "tree" / "登记簿"
    tree.mkdir(parents=True)
    (tree / "宗地.csv").write_text("id,owner\n1,王\n")
    (tree.parent / "big.bin").write_bytes(os.urandom(40 * MIB))
    made = Pair(*weeds, prefix, tmp_path, near, far)
    near.init()
    return made


def test_the_replica_is_whole_and_a_second_run_copies_nothing(pair: Pair) -> None:
    stored = pair.backup()
    told: list[tuple[int, int]] = []

    wanted = replicate(pair.source.bucket, pair.target.bucket, pair.prefix, dry_run=True)
    first = replicate(
        pair.source.bucket, pair.target.bucket, pair.prefix, on_progress=lambda done, total: told.append((done, total))
    )
    second = pair.replicate()

    assert (wanted.copied, wanted.copied_bytes) == (first.copied, first.copied_bytes)
    assert first.joined
    assert first.snapshots == 1
    assert first.hashed_bytes == first.copied_bytes > 40 * MIB
    assert told[-1] == (first.copied_bytes, first.copied_bytes)
    assert told == sorted(told)
    assert (second.copied, second.joined, second.snapshots) == (0, False, 0)
    assert pair.objects(pair.source.bucket) == pair.objects(pair.target.bucket)
    assert [each.id for each in pair.target.snapshots()] == [stored.snapshot_id]
    assert pair.is_whole(stored.snapshot_id)


def test_only_what_is_new_is_copied(pair: Pair) -> None:
    pair.backup()
    pair.replicate()
    (pair.folder / "tree" / "new.bin").write_bytes(os.urandom(2 * MIB))
    stored = pair.backup()

    done = pair.replicate()

    assert done.snapshots == 1
    assert 2 * MIB < done.copied_bytes < 3 * MIB
    assert pair.is_whole(stored.snapshot_id)


def test_corruption_does_not_travel_and_a_healed_source_is_copied(pair: Pair) -> None:
    stored = pair.backup()
    pack = pair.packs(pair.source.bucket)[0]
    good = pair.source.bucket.get(pack.key)
    pair.source.bucket.put(pack.key, good[:-1] + bytes([good[-1] ^ 1]))

    with pytest.raises(CorruptObject, match=pack.key.rpartition("/")[2]) as raised:
        pair.replicate()

    assert isinstance(raised.value, CorruptSource)
    assert raised.value.replicated.corrupt == (pack.key.removeprefix(f"{pair.prefix}/"),)
    assert pair.published() == []
    assert len(pair.packs(pair.target.bucket)) == len(pair.packs(pair.source.bucket)) - 1
    pair.source.bucket.put(pack.key, good)
    assert pair.replicate().present > 0
    assert pair.is_whole(stored.snapshot_id)


@pytest.mark.parametrize("change", ["longer", "shorter", "empty"])
def test_an_object_of_another_length_is_refused(pair: Pair, change: str) -> None:
    pair.backup()
    pack = pair.packs(pair.source.bucket)[0]
    good = pair.source.bucket.get(pack.key)
    bad = {"longer": good + bytes(3 * MIB), "shorter": good[: MIB + 7], "empty": b""}[change]
    pair.source.bucket.put(pack.key, bad)

    with pytest.raises(CorruptObject):
        pair.replicate()
    assert pack.key not in pair.objects(pair.target.bucket)
    assert pair.published() == []


def test_what_was_found_intact_before_it_changed_is_not_overwritten(pair: Pair) -> None:
    stored = pair.backup()
    pair.replicate()
    pack = pair.packs(pair.source.bucket)[0]
    good = pair.source.bucket.get(pack.key)
    pair.source.bucket.put(pack.key, bytes(len(good)))

    assert pair.replicate().copied == 0
    assert pair.is_whole(stored.snapshot_id)


def test_a_truncated_object_at_the_target_is_written_again(pair: Pair) -> None:
    stored = pair.backup()
    pair.replicate()
    pack = pair.packs(pair.target.bucket)[0]
    pair.target.bucket.put(pack.key, pair.target.bucket.get(pack.key)[:1000])

    assert pair.replicate().copied == 1
    assert pair.is_whole(stored.snapshot_id)


def test_kill_9_in_the_middle_is_finished_by_the_next_run(pair: Pair) -> None:
    stored = pair.backup()
    script = f"""
import os, signal
from orchestrator.vault.replicate import replicate
from orchestrator.vault.s3 import Bucket
from tests.bench.servers import TENANT
def die_in_the_middle(done, total):
    if done * 3 > total:
        os.kill(os.getpid(), signal.SIGKILL)
source = Bucket("same-city", "{pair.near.endpoint}", "{REGION}", "{BUCKET}", TENANT)
target = Bucket("provincial", "{pair.far.endpoint}", "{REGION}", "{BUCKET}", TENANT)
replicate(source, target, "{pair.prefix}", threads=1, on_progress=die_in_the_middle)
"""
    with Child([sys.executable, "-c", script], cwd=ROOT) as child:
        assert child.wait(120) == -signal.SIGKILL, child.stderr

    there = pair.packs(pair.target.bucket)
    assert 0 < len(there) < len(pair.packs(pair.source.bucket))
    assert pair.published() == []
    rest = pair.replicate()
    assert rest.present == len(there)
    assert pair.objects(pair.source.bucket) == pair.objects(pair.target.bucket)
    assert pair.is_whole(stored.snapshot_id)


def test_a_run_killed_while_joining_joins_again(pair: Pair) -> None:
    pair.backup()
    (key,) = pair.source.bucket.list(f"{pair.prefix}/keys/")
    pair.target.bucket.put(key.key, pair.source.bucket.get(key.key))

    assert pair.replicate().joined
    assert pair.target.exists()


def test_a_key_removed_at_the_target_does_not_come_back(pair: Pair) -> None:
    pair.backup()
    pair.replicate()
    (key,) = pair.target.bucket.list(f"{pair.prefix}/keys/")
    pair.remove(pair.far, key.key)
    pair.backup()

    assert not pair.replicate().joined
    assert list(pair.target.bucket.list(f"{pair.prefix}/keys/")) == []


def test_deletes_do_not_travel(pair: Pair) -> None:
    stored = pair.backup()
    pair.replicate()
    pair.remove(pair.near, f"{pair.prefix}/snapshots/{stored.snapshot_id}")

    assert pair.replicate().copied == 0
    assert pair.is_whole(stored.snapshot_id)


def test_another_repository_at_the_target_is_refused(pair: Pair) -> None:
    pair.backup()
    pair.target.init()
    before = pair.objects(pair.target.bucket)

    with pytest.raises(Refused, match="another repository"):
        pair.replicate()
    assert pair.objects(pair.target.bucket) == before


def test_no_repository_at_the_source(pair: Pair) -> None:
    with pytest.raises(InvalidInput, match="no repository"):
        replicate(pair.source.bucket, pair.target.bucket, "never-made")


class _Pruned(Bucket):
    """The source bucket, of which a pack is pruned away right after it was listed."""

    pair: Pair
    victim: str

    def list(self, prefix: str = "") -> Iterator[Entry]:
        yield from super().list(prefix)
        if prefix.endswith("/config"):
            self.pair.remove(self.pair.near, self.victim)


def test_a_pack_that_vanishes_keeps_everything_unpublished(pair: Pair) -> None:
    pair.backup()
    source = _Pruned("same-city", pair.near.endpoint, REGION, BUCKET, TENANT)
    source.pair, source.victim = pair, pair.packs(pair.source.bucket)[-1].key

    with pytest.raises(PartlyDone, match="vanished") as raised:
        replicate(source, pair.target.bucket, pair.prefix)

    assert isinstance(raised.value, IncompleteSource)
    assert raised.value.replicated.missing == (source.victim.removeprefix(f"{pair.prefix}/"),)
    assert pair.published() == []


def test_a_lost_centre_is_filled_from_the_other(pair: Pair) -> None:
    stored = pair.backup()
    pair.replicate()
    (pair.folder / "tree" / "new.bin").write_bytes(os.urandom(MIB))
    later = pair.target.backup_folder(pair.folder / "tree", host="bureau", tags=[])

    back = replicate(pair.target.bucket, pair.source.bucket, pair.prefix)

    assert back.snapshots == 1
    assert {each.id for each in pair.source.snapshots()} == {stored.snapshot_id, later.snapshot_id}
    pair.source.check(read_data=True, lock=False)
