"""The attack contract on Ceph's S3 gateway, where a bucket's policy says what each user may do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.lab.vaults import ROLES, role_policy
from orchestrator.vault.admin import VaultAdmin, s3_client
from orchestrator.vault.s3 import Credential
from tests.attack_contract import *  # noqa: F403
from tests.bench.servers import ADMIN, BY_ROLE, REGION, TENANT_BUCKETS
from tests.slow.ceph import Ceph

pytestmark = pytest.mark.slow

BUCKET = TENANT_BUCKETS[0]


@dataclass(frozen=True)
class Gateway:
    ceph: Ceph

    @property
    def endpoint(self) -> str:
        return self.ceph.endpoint

    @property
    def credentials(self) -> Mapping[str, Credential]:
        return {**BY_ROLE, "admin": ADMIN}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    ceph = Ceph(tmp_path_factory.mktemp("ceph"))
    try:
        ceph.start()
        gateway = Gateway(ceph)
        for user, credential in gateway.credentials.items():
            ceph.add_user(user, credential)
        VaultAdmin("same-city", ceph.endpoint, REGION, ADMIN).ensure_bucket(BUCKET, lock_days=1)
        policy = {"Version": "2012-10-17", "Statement": list(statements())}
        s3_client(ceph.endpoint, REGION, ADMIN).put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
        yield gateway
    finally:
        ceph.stop()


def statements() -> Iterator[dict[str, object]]:
    """Yield what each user may do. An object belongs to who wrote it, so the bucket's owner is named as well."""
    for role in ROLES:
        for each in json.loads(role_policy(BUCKET, role)["content"])["Statement"]:
            yield {**each, "Principal": {"AWS": [f"arn:aws:iam:::user/{role}"]}}
    resources = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    yield {
        "Effect": "Allow",
        "Action": "s3:*",
        "Resource": resources,
        "Principal": {"AWS": ["arn:aws:iam:::user/admin"]},
    }


def test_what_was_hidden_goes_when_its_lock_has_ended_and_nothing_else(store: Gateway) -> None:
    bucket, admin = "dr-cleared", VaultAdmin("same-city", store.endpoint, REGION, ADMIN)
    admin.ensure_bucket(bucket, lock_days=1, clears=True)
    state = admin.observe_bucket(bucket)
    assert state
    assert (state.kept_days, admin.observe_expiry(bucket, 1).harmful) == (8, ())
    s3, soon = s3_client(store.endpoint, REGION, ADMIN), datetime.now(UTC) + timedelta(seconds=2)
    s3.put_object(Bucket=bucket, Key="free", Body=b"x", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=soon)
    for key in ("locked", "shown"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    for key in ("free", "locked"):
        s3.delete_object(Bucket=bucket, Key=key)
    end = time.monotonic() + 120
    while any(each.key == "free" for each in admin.versions(bucket, "")):  # its marker goes as well
        assert time.monotonic() < end
        store.ceph.clear_expired()
        time.sleep(1)
    left = [(each.key, each.marker) for each in admin.versions(bucket, "")]
    assert sorted(left) == [("locked", False), ("locked", True), ("shown", False)]
