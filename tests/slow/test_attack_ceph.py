"""The attack contract on Ceph's S3 gateway, where a bucket's policy says what each user may do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
    endpoint: str

    @property
    def credentials(self) -> Mapping[str, Credential]:
        return {**BY_ROLE, "admin": ADMIN}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    ceph = Ceph(tmp_path_factory.mktemp("ceph"))
    try:
        ceph.start()
        gateway = Gateway(ceph.endpoint)
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
