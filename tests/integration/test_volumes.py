"""The bytes of a volume leave a cloud and come back, inside a tenant's project and as a member only."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.cloud import block_storage, image, volumes
from orchestrator.cloud.connection import Connection
from orchestrator.cloud.credentials import connect_tenant
from orchestrator.errors import UnknownName
from tests.integration.tenant_sites import TenantSite, purge

pytestmark = pytest.mark.integration

CONTENT = os.urandom(3 << 20)


@pytest.fixture(scope="module")
def project(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A connection that acts in the project of a new tenant, by its application credential."""
    site = TenantSite(tmp_path_factory.mktemp("site"), Path(lab.dir), Path(lab.clouds_file))
    tenant = site.add()
    site.write()
    assert cli.run([*site.arguments, "apply", "--yes", "--centre", "production"]) == 0
    yield connect_tenant(site.state / "secrets", tenant, "production")
    purge(site.admin("production"), tenant)


@pytest.fixture
def volume(project: Connection) -> Iterator[str]:
    """The name of a volume of 1 GiB that begins with CONTENT."""
    name = f"seed-{secrets.token_hex(3)}"
    source = volumes.image_from_stream(project, name, io.BytesIO(CONTENT))
    volumes.volume_from_image(project, source, name, size_bytes=len(CONTENT))
    yield name
    volumes.delete_all_named(project, name)


@pytest.fixture
def run(project: Connection) -> Iterator[str]:
    """A name for what a run makes on its way; gone afterwards."""
    name = f"run-{secrets.token_hex(3)}"
    yield name
    volumes.delete_all_named(project, name)


def test_a_volume_leaves_whole_and_nothing_is_left_behind(volume: str, run: str, project: Connection) -> None:
    found = volumes.find_volume(project, volume)
    assert found.size_bytes == block_storage.GIB
    snapshot = volumes.snapshot_volume(project, found.id, run)
    assert volumes.snapshot_volume(project, found.id, run) == snapshot
    copy = volumes.volume_from_snapshot(project, snapshot, run)
    picture = volumes.upload_to_image(project, copy, run)
    received, beginning = 0, b""
    for chunk in volumes.download_image(project, picture):
        received += len(chunk)
        if len(beginning) < len(CONTENT):
            beginning += chunk
    assert received == block_storage.GIB
    assert beginning[: len(CONTENT)] == CONTENT
    for _ in range(2):
        volumes.delete_all_named(project, run)
        assert image.images(project, run) == []
        assert block_storage.volumes(project, run) == []
        assert block_storage.snapshots(project, run) == []
    assert volumes.find_volume(project, volume).id == found.id


def test_what_is_gone_is_deleted_without_complaint(project: Connection) -> None:
    for delete in (volumes.delete_image, volumes.delete_volume, volumes.delete_snapshot):
        delete(project, "6f0a2f3e-0000-4000-8000-000000000000")


def test_a_volume_that_is_not_there_is_told_with_the_nearest_name(project: Connection, volume: str) -> None:
    with pytest.raises(UnknownName) as caught:
        volumes.find_volume(project, volume[:-1])
    assert volume in caught.value.hint
