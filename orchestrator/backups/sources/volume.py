"""The source kind `volume`: a Cinder volume, read from a snapshot through the image service.

The bytes of a volume cannot be had from Cinder itself. So: snapshot, a temporary volume of the snapshot, an image of
that volume, and the image's bytes. All three are named after the run and taken away whatever happens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from orchestrator.backups.document import IMAGE, SourceProof
from orchestrator.catalogue.records import SourceCopy
from orchestrator.cloud import volumes
from orchestrator.cloud.block_storage import Volume
from orchestrator.engine.port import Run
from orchestrator.errors import CheckFailed
from orchestrator.vault.restic import OnProgress, Progress, Repository, Stored
from policies.tenant import VolumeSource


def check_volume(source: VolumeSource, cloud: Any) -> None:
    """Raise unless the tenant's project has the volume."""
    volumes.find_volume(cloud, source.volume)


@dataclass(frozen=True, slots=True)
class VolumeSnapshot:
    """A snapshot of a volume, which is all that must happen at its moment. What was written by `data_time` is in it."""

    snapshot_id: str
    data_time: datetime
    size_bytes: int


#: What the journals of runs begun before call it.
_Frozen = VolumeSnapshot


def capture_volume(run: Run, name: str, source: VolumeSource, centre: str, cloud: Any, tenant: str) -> VolumeSnapshot:
    """Take a snapshot of a volume of the cloud at `centre`; `store_volume` reads it. It is gone when the run ends."""
    return snapshot_copy(run, name, partial(volumes.find_volume, cloud, source.volume), centre, cloud, tenant)


def snapshot_copy(
    run: Run, name: str, find: Callable[[], Volume], centre: str, cloud: Any, tenant: str
) -> VolumeSnapshot:
    """Take a snapshot of the volume that `find` returns, for the copy `name`. It is gone when the run ends."""
    temporary = _temporary(run, name)
    run.cleanup("delete-cloud-objects", centre=centre, tenant=tenant, name=temporary)
    return run.step(f"snapshot:{name}", _snapshot, cloud, find, temporary)


def store_volume(
    run: Run, name: str, taken: VolumeSnapshot, cloud: Any, repository: Repository, host: str, tags: Sequence[str]
) -> SourceProof:
    """Back up the bytes of a volume from its snapshot and return the proof of them."""

    def report(progress: Progress) -> None:
        run.progress(name, progress.done_bytes, progress.total_bytes)

    temporary = _temporary(run, name)
    copy_id = run.step(f"temporary-volume:{name}", volumes.volume_from_snapshot, cloud, taken.snapshot_id, temporary)
    image = run.step(f"image:{name}", volumes.upload_to_image, cloud, copy_id, temporary)
    read = run.step(
        f"back-up:{name}", _store, lambda: volumes.download_image(cloud, image), repository, host, tags, report
    )
    stored, digest, size = read
    if size != taken.size_bytes:
        raise CheckFailed(f"{name}: the volume has {taken.size_bytes} bytes, and {size} were read")
    run.step(f"tidy:{name}", volumes.delete_all_named, cloud, temporary)
    copy = SourceCopy(name, "volume", stored.snapshot_id, taken.data_time, size, 1)
    return SourceProof(copy, {"size_bytes": size, "sha256": digest}, stored.added_bytes)


def _temporary(run: Run, name: str) -> str:
    return f"tricenter-{run.id}-{name}"


def _snapshot(cloud: Any, find: Callable[[], Volume], temporary: str) -> VolumeSnapshot:
    # A killed attempt may have left a snapshot; when it was taken is not known well enough to count for an RPO.
    volumes.delete_all_named(cloud, temporary)
    volume = find()
    data_time = datetime.now(UTC)  # before the snapshot is asked for: what was written by now is in it
    return VolumeSnapshot(volumes.snapshot_volume(cloud, volume.id, temporary), data_time, volume.size_bytes)


def _store(
    download: Callable[[], Iterator[bytes]], repository: Repository, host: str, tags: Sequence[str], report: OnProgress
) -> tuple[Stored, str, int]:
    digest, size = hashlib.sha256(), 0
    with repository.backup_stream(IMAGE, host=host, tags=tags, on_progress=report) as stream:
        for chunk in download():
            digest.update(chunk)
            size += len(chunk)
            stream.write(chunk)
        return stream.commit(), digest.hexdigest(), size
