"""What holds of every store that locks objects: whoever has the keys of a tenant can destroy nothing.

Run on each kind of store. Who runs it has the fixture `store`: one that runs, with an empty bucket that locks for a
day, and the credentials of an administrator, a writer, an expirer and a keeper of locks. The tests build on one
another, in their order.
"""

from __future__ import annotations

import functools
import hashlib
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from botocore.exceptions import ClientError

from orchestrator.vault.admin import s3_client
from orchestrator.vault.s3 import Credential
from tests.bench.servers import REGION, TENANT_BUCKETS
from tests.integration.vault_site import VaultSite, make_split_site

BUCKET = TENANT_BUCKETS[0]
EXTEND = ("vault", "extend", "--centre", "same-city")
LOCK, PROMISED = timedelta(days=2), timedelta(days=1)
FORGERY = b"encrypted, pay here"

Version = tuple[str, str]


class Store(Protocol):
    @property
    def endpoint(self) -> str: ...

    @property
    def credentials(self) -> Mapping[str, Credential]: ...


@dataclass(frozen=True)
class Attacked:
    """A site of two points, whose bucket is attacked by its tests."""

    site: VaultSite
    store: Store

    def client(self, who: str) -> Any:
        return s3_client(self.store.endpoint, REGION, self.store.credentials[who])

    def locked(self) -> dict[Version, datetime]:
        """Return until when each version is locked that may not be lost, as the administrator is told."""
        admin = self.client("admin")
        pages = admin.get_paginator("list_object_versions").paginate(Bucket=BUCKET, Prefix=f"{self.site.ref.name}/")
        versions = [(each["Key"], each["VersionId"]) for page in pages for each in page.get("Versions", ())]
        return {
            (key, version): admin.get_object_retention(Bucket=BUCKET, Key=key, VersionId=version)["Retention"][
                "RetainUntilDate"
            ]
            for key, version in versions
            if "/locks/" not in key
        }

    def rules(self) -> tuple[Any, Any]:
        """Return what the bucket demands of whatever is written to it."""
        admin = self.client("admin")
        lock = admin.get_object_lock_configuration(Bucket=BUCKET)["ObjectLockConfiguration"]
        return lock, admin.get_bucket_versioning(Bucket=BUCKET)["Status"]


@pytest.fixture(scope="module")
def attacked(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Attacked:
    site = make_split_site(store.endpoint, store.credentials, tmp_path_factory.mktemp("attacked"))
    for _ in range(2):
        site.back_up()
    assert site.repository().locks() == 0  # which the writer removes
    return Attacked(site, store)


def test_each_credential_does_what_it_is_for_and_no_more(attacked: Attacked) -> None:
    rules = attacked.rules()
    told = attacked.site.json("vault", "probe", "--centre", "same-city")
    assert told["bucket"] == {"kept_days": 0, "harmful_rules": []}
    found = {each["credential"]: each for each in told["credentials"]}
    reads_and_writes = {"lists", "reads", "writes", "removes_locks"}
    assert {role: set(each["can"]) for role, each in found.items()} == {
        "writer": reads_and_writes,
        "expirer": reads_and_writes | {"hides"},
        "lock": {"lists", "lengthens"},
    }
    assert [each["excess"] + each["lacks"] for each in found.values()] == [[], [], []]
    assert attacked.rules() == rules


def test_what_is_in_use_is_locked_for_as_long_as_the_tier_says(attacked: Attacked, tmp_path: Path) -> None:
    site, begin = attacked.site, datetime.now(UTC)
    site.tricenter("vault", "locks", code=4)  # never measured
    before = attacked.locked()
    assert max(before.values()) < begin + timedelta(days=1, minutes=10)  # from upload, as the bucket says
    (foreseen,) = site.json(*EXTEND, "--dry-run")
    assert foreseen["extended"] == foreseen["objects"] == len(before)
    assert attacked.locked() == before

    when = functools.partial(site.attempt_is_open, "extend")
    assert site.kill_in_the_middle(*EXTEND, when=when, log=tmp_path / "log") == -signal.SIGKILL
    undone = sum(until < begin + LOCK for until in attacked.locked().values())
    (done,) = site.json(*EXTEND)
    assert (done["objects"], done["extended"], done["unlocked"]) == (len(before), undone, 0)
    after = attacked.locked()
    assert after.keys() == before.keys()
    assert min(after.values()) >= begin + LOCK
    assert datetime.fromisoformat(done["locked_until"]) == min(after.values())
    assert site.json(*EXTEND)[0]["extended"] == 0

    (shown,) = site.json("vault", "locks")
    assert shown["points"].keys() == site.points()
    assert set(shown["points"].values()) == {done["locked_until"]}
    assert (shown["kept"], shown["promised_seconds"]) == (True, PROMISED.total_seconds())


def test_an_attacker_with_the_keys_of_writer_and_expirer_destroys_nothing(attacked: Attacked, tmp_path: Path) -> None:
    site, points = attacked.site, attacked.site.points()
    time.sleep(1.1)  # versions have whole seconds
    before, locked, rules = datetime.now(UTC), attacked.locked(), attacked.rules()
    time.sleep(1.1)
    for who in ("writer", "expirer"):
        attack(attacked.client(who), list(locked))
    left = attacked.locked()
    assert locked.keys() <= left.keys()
    assert all(left[version] >= until for version, until in locked.items())
    assert attacked.rules() == rules
    site.tricenter("backup", "verify", "--centre", "same-city", code=4)
    assert site.points() == set()  # all that can be seen is a ruin

    words = ("vault", "undelete", "--centre", "same-city", "--before", before.isoformat())
    (foreseen,) = site.json(*words, "--dry-run")
    assert foreseen["uncover"] + foreseen["copy"] == len(locked)
    assert foreseen["copy"] > 0
    assert "--yes" in site.tricenter(*words, code=5).stderr
    assert site.json(*words, "--dry-run") == [foreseen]
    (done,) = site.json(*words, "--yes")
    assert done == {**foreseen, "hidden": [forged_key(list(locked))]}
    (again,) = site.json(*words, "--yes")
    assert (again["uncover"], again["copy"]) == (0, 0)
    site.repository().check(read_data=True, lock=False)
    site.tricenter("backup", "verify", "--centre", "same-city")
    assert site.points() == points
    for point in points:
        target = str(tmp_path / point)
        site.tricenter(
            "backup", "restore", str(site.ref), "--centre", "same-city", "--point", point, "--target", target
        )
    site.back_up()
    site.tricenter(*EXTEND)


def test_what_was_overwritten_is_told_and_its_first_version_stays_locked(attacked: Attacked) -> None:
    site = attacked.site
    key = site.objects("data")[0].key
    attacked.client("writer").put_object(Bucket=BUCKET, Key=key, Body=FORGERY)
    failed = site.tricenter(*EXTEND, code=4)
    assert key in failed.stderr
    assert "vault undelete" in failed.stderr
    shown = site.json("vault", "locks", code=4)[0]
    assert (shown["overwritten"], shown["kept"]) == (1, False)
    assert min(attacked.locked().values()) >= datetime.now(UTC) + PROMISED - timedelta(minutes=10)


def attack(client: Any, versions: list[Version]) -> None:
    """Try what a key may be good for: overwrite, forge, delete, shorten, unlock, and change what the bucket asks."""
    at = {"Bucket": BUCKET}
    keys = sorted({key for key, _ in versions})
    soon = datetime.now(UTC) + timedelta(seconds=5)
    client.put_object(**at, Key=forged_key(versions), Body=FORGERY)
    client.put_object(**at, Key=keys[0], Body=FORGERY)
    for number, (key, version) in enumerate(versions):
        if number % 3 == 0:
            client.put_object(**at, Key=key, Body=FORGERY)
        which = {**at, "Key": key, "VersionId": version}
        for mode in ("COMPLIANCE", "GOVERNANCE"):
            _try(client.put_object_retention, **which, BypassGovernanceRetention=True,
                 Retention={"Mode": mode, "RetainUntilDate": soon})  # fmt: skip
        _try(client.put_object_retention, **which, BypassGovernanceRetention=True, Retention={})
        _try(client.delete_object, **which)
        _try(client.delete_object, **which, BypassGovernanceRetention=True)
        _try(client.delete_object, **at, Key=key)
    every = [{"Key": key, "VersionId": version} for key, version in versions] + [{"Key": key} for key in keys]
    _try(client.delete_objects, **at, Delete={"Objects": every}, BypassGovernanceRetention=True)
    _try(client.put_object_lock_configuration, **at, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    short = {"Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}, "ObjectLockEnabled": "Enabled"}
    _try(client.put_object_lock_configuration, **at, ObjectLockConfiguration=short)
    _try(client.put_bucket_versioning, **at, VersioningConfiguration={"Status": "Suspended"})
    rule = {
        "ID": "x",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    }
    _try(client.put_bucket_lifecycle_configuration, **at, LifecycleConfiguration={"Rules": [rule]})
    _try(client.delete_bucket_policy, **at)
    _try(client.delete_bucket, **at)


def forged_key(versions: list[Version]) -> str:
    """Return the key of a snapshot that never was."""
    return f"{versions[0][0].partition('/')[0]}/snapshots/{hashlib.sha256(FORGERY).hexdigest()[::-1]}"


@pytest.mark.parametrize("moment", ["yesterday", "2999-01-01T00:00+08:00"])
def test_a_moment_that_is_none(attacked: Attacked, moment: str) -> None:
    words = ("vault", "undelete", "--centre", "same-city", "--before", moment)
    assert "--before" in attacked.site.tricenter(*words, code=2).stderr


def _try(request: Any, **arguments: Any) -> None:
    with suppress(ClientError):
        request(**arguments)
