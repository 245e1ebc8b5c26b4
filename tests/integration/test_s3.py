"""Buckets of a real vault: their administration, what a store is seen to do, and single objects."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.errors import CredentialRefused, InvalidInput, Unreachable
from orchestrator.vault.admin import s3_client
from orchestrator.vault.expiry import RULE, Expiry
from orchestrator.vault.s3 import Abilities, AlreadyThere, Bucket, BucketState, Credential, NoSuchObject, VaultAdmin
from orchestrator.vault.wire import sha256_of
from tests.bench.servers import ADMIN, REGION, TENANT, TENANT_BUCKETS, Weed

pytestmark = pytest.mark.integration

BUCKET = TENANT_BUCKETS[0]


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    server = Weed(tmp_path_factory.mktemp("weed") / "same-city", centre="same-city")
    server.start()
    server.admin().ensure_bucket(BUCKET, lock_days=0)
    yield server
    server.stop()


def test_a_lock_is_lengthened_and_never_shortened(weed: Weed) -> None:
    admin = weed.admin()
    seen = [admin.observe_bucket("dr-locked")]
    for days in (2, 5, 3):
        admin.ensure_bucket("dr-locked", lock_days=days)
        seen.append(admin.observe_bucket("dr-locked"))

    assert seen == [None, *(BucketState(versioning=True, lock_mode="COMPLIANCE", lock_days=days) for days in (2, 5, 5))]


def test_a_bucket_without_lock_gets_one_later(weed: Weed) -> None:
    admin = weed.admin()
    admin.ensure_bucket("dr-later", lock_days=0)
    assert admin.observe_bucket("dr-later") == BucketState(versioning=True, lock_mode=None, lock_days=0)
    admin.ensure_bucket("dr-later", lock_days=1)
    assert admin.observe_bucket("dr-later") == BucketState(versioning=True, lock_mode="COMPLIANCE", lock_days=1)


def test_what_is_hidden_goes_after_its_lock_and_the_rules_of_others_stay(weed: Weed) -> None:
    admin, name = weed.admin(), "dr-cleared"
    admin.ensure_bucket(name, lock_days=2)
    s3 = s3_client(weed.endpoint, REGION, ADMIN)
    theirs: dict[str, Any] = {"ID": "uploads", "Status": "Enabled", "Filter": {"Prefix": "x/"}}
    theirs["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": 3}
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [theirs]})
    kept = []
    for days in (2, 5, 3):
        admin.ensure_bucket(name, lock_days=days, clears=True)
        kept.append(admin.observe_bucket(name))
    assert kept == [BucketState(True, "COMPLIANCE", days, days + 7) for days in (2, 5, 5)]
    assert admin.observe_expiry(name, 5) == Expiry(12)
    rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert [each["ID"] for each in rules] == ["uploads", RULE]
    assert admin.observe_expiry(name, 6) == Expiry(12, (RULE,)), "a lock may have been longer than it is kept"


def test_abilities_are_what_was_seen_twice(weed: Weed) -> None:
    admin = weed.admin()
    want = Abilities(
        versioning=True, object_lock=True, conditional_write=True, checks_signed_hash=False, checks_checksum=True
    )

    assert admin.probe("dr-probe") == want
    assert admin.probe("dr-probe") == want


def test_admin_failures_are_ours(weed: Weed) -> None:
    with pytest.raises(CredentialRefused):
        VaultAdmin("same-city", weed.endpoint, REGION, TENANT).ensure_bucket("dr-other", lock_days=1)
    begin = time.monotonic()
    with pytest.raises(Unreachable):
        VaultAdmin("same-city", "http://127.0.0.1:1", REGION, ADMIN).observe_bucket(BUCKET)
    assert time.monotonic() - begin < 15


@pytest.mark.parametrize("key", ["a/b", "规划局/宗地 1+2%&?=#.txt", "~x"])
def test_an_object_comes_back_under_any_key(weed: Weed, key: str) -> None:
    bucket = weed.bucket(BUCKET)
    bucket.put(key, b"content")

    assert bucket.get(key) == b"content"
    found = bucket.head(key)
    assert found is not None
    assert found.size_bytes == 7
    assert [each.key for each in bucket.list(key)] == [key]
    assert found.modified_at.utcoffset() is not None


def test_what_is_not_there(weed: Weed) -> None:
    bucket = weed.bucket(BUCKET)

    assert bucket.head("nothing") is None
    assert list(bucket.list("nothing")) == []
    with pytest.raises(NoSuchObject):
        bucket.get("nothing")


def test_a_listing_of_several_pages_is_whole(weed: Weed) -> None:
    bucket = weed.bucket(BUCKET)
    keys = [f"many/{number:04d}" for number in range(1005)]
    for key in keys:
        bucket.put(key, b"x")

    assert [entry.key for entry in bucket.list("many/")] == keys


def test_a_conditional_write_happens_once(weed: Weed) -> None:
    bucket = weed.bucket(BUCKET)
    bucket.put("epoch/1", b"first", only_if_absent=True)
    with pytest.raises(AlreadyThere):
        bucket.put("epoch/1", b"second", only_if_absent=True)
    assert bucket.get("epoch/1") == b"first"


def test_a_body_that_does_not_match_its_hash_is_not_kept(weed: Weed) -> None:
    bucket = weed.bucket(BUCKET)
    with pytest.raises(Unreachable, match="other than it was sent"):
        bucket.send("bad", b"damaged", size_bytes=7, sha256=sha256_of(b"content"))
    assert bucket.head("bad") is None


def test_a_body_that_ends_early_is_not_kept(weed: Weed) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise KeyError("the source broke")

    bucket = weed.bucket(BUCKET)
    with pytest.raises(KeyError):
        bucket.send("short", pieces(), size_bytes=200_000, sha256=sha256_of(b""))
    time.sleep(0.5)
    assert bucket.head("short") is None


def test_failures_are_ours(weed: Weed) -> None:
    with pytest.raises(CredentialRefused):
        list(weed.bucket(BUCKET, Credential(TENANT.access_key, "other")).list())
    with pytest.raises(CredentialRefused):
        list(weed.bucket("dr-not-ours").list())
    with pytest.raises(InvalidInput, match="does not exist") as raised:
        list(weed.bucket("dr-nobody", ADMIN).list())
    assert "tricenter tenant apply" in raised.value.hint


def test_a_dead_endpoint_is_told_soon() -> None:
    begin = time.monotonic()
    with pytest.raises(Unreachable, match="provincial"):
        Bucket("provincial", "http://127.0.0.1:1", REGION, BUCKET, TENANT).get("any")
    assert time.monotonic() - begin < 15
