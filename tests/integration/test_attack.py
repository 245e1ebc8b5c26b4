"""The attack contract on SeaweedFS, with the identities that the lab gives a tenant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.errors import CredentialRefused
from orchestrator.vault.s3 import Credential
from tests.attack_contract import *  # noqa: F403
from tests.bench.servers import ADMIN, BY_ROLE, TENANT_BUCKETS, Weed
from tests.integration.vault_site import make_split_site

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class SeaweedFS:
    endpoint: str

    @property
    def credentials(self) -> Mapping[str, Credential]:
        return {**BY_ROLE, "admin": ADMIN}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    weed = Weed(tmp_path_factory.mktemp("weed") / "same-city", centre="same-city")
    try:
        weed.start()
        weed.admin().ensure_bucket(TENANT_BUCKETS[0], lock_days=1)
        yield SeaweedFS(weed.endpoint)
    finally:
        weed.stop()


def test_an_interrupted_init_is_made_good_by_a_writer_that_cannot_delete(store: SeaweedFS, tmp_path: Path) -> None:
    site = make_split_site(store.endpoint, store.credentials, tmp_path)
    orphan = f"{site.ref.name}/keys/{'0' * 64}"
    site.bucket().put(orphan, b"{}")
    with pytest.raises(CredentialRefused):
        site.bucket().delete(orphan)
    site.repository().init()
    assert [each.key for each in site.objects("keys") if each.key == orphan] == []
    assert site.repository().exists()
