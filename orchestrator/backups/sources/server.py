"""The source kind `server`: a Nova server, as its definition and whichever volumes it has at the moment.

Each is a copy of its own in the point, the volumes named after the server and their device: `web` and `web.vda`,
`web.vdb`. So one volume can be had without reading the others, and a volume is stored, proved and restored in one
way, whether the site names it or a server brings it along. How many there are is known when the server is looked at,
which is why no site has them as sources.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from orchestrator.backups.document import SERVER, SourceProof
from orchestrator.backups.sources.volume import VolumeSnapshot, snapshot_copy, store_volume
from orchestrator.catalogue.records import SourceCopy
from orchestrator.cloud.block_storage import Volume, get_volume
from orchestrator.cloud.server_definition import ServerSeen, attached, read_server
from orchestrator.engine.port import Run
from orchestrator.errors import CheckFailed
from orchestrator.vault.restic import Repository
from policies.tenant import ServerSource, copy_name


def check_server(source: ServerSource, cloud: Any) -> None:
    """Raise unless the tenant's project has the server and all of its data is in volumes."""
    read_server(cloud, source.server)


@dataclass(frozen=True, slots=True)
class Looked:
    """A server as it was found, and when it was asked for."""

    server: ServerSeen
    at: datetime

    def as_evidence(self) -> dict[str, Any]:
        return self.server.as_evidence()


@dataclass(frozen=True, slots=True)
class ServerSnapshot:
    """What must happen to a server at its moment: its definition, and a snapshot of each volume by its copy's name."""

    looked: Looked
    volumes: Mapping[str, VolumeSnapshot]


def capture_server(run: Run, name: str, source: ServerSource, centre: str, cloud: Any, tenant: str) -> ServerSnapshot:
    """Look at a server of the cloud at `centre` and take snapshots of its volumes; `store_server` reads them.

    Raises CheckFailed when volumes came or went in between: what was captured is no state that the server was in.
    """
    looked = run.step(f"look:{name}", _look, cloud, source.server)
    snapshots = {
        copy: snapshot_copy(run, copy, partial(_volume, cloud, each.id), centre, cloud, tenant)
        for each in looked.server.disks
        for copy in (copy_name(name, each.device),)
    }
    run.step(f"look-again:{name}", _unchanged, cloud, source.server, looked.server)
    return ServerSnapshot(looked, snapshots)


def store_server(
    run: Run,
    name: str,
    taken: ServerSnapshot,
    cloud: Any,
    repository: Repository,
    host: str,
    tags: Callable[[str], Sequence[str]],
) -> tuple[SourceProof, ...]:
    """Store the definition of a server and the bytes of its volumes, and return the proofs of them in that order."""
    definition = run.step(f"back-up:{name}", _store, name, taken.looked, repository, host, tags(name))
    volumes = (
        store_volume(run, copy, snapshot, cloud, repository, host, tags(copy))
        for copy, snapshot in taken.volumes.items()
    )
    return (definition, *volumes)


def _look(cloud: Any, name: str) -> Looked:
    at = datetime.now(UTC)  # before it is asked for: what was changed by now is in it
    return Looked(read_server(cloud, name), at)


def _unchanged(cloud: Any, name: str, before: ServerSeen) -> None:
    had, has = {each.device: each.id for each in before.disks}, dict(attached(cloud, before.id))
    if had != has:
        differ = sorted(device for device in had.keys() | has.keys() if had.get(device) != has.get(device))
        raise CheckFailed(
            f"the volumes of the server {name} changed while it was captured, at {', '.join(differ)}",
            hint="run the backup again",
        )


def _volume(cloud: Any, volume_id: str) -> Volume:
    found = get_volume(cloud, volume_id)
    if found is None:
        raise CheckFailed(f"the volume {volume_id} is gone since its server was looked at", hint="run the backup again")
    return found


def _store(name: str, looked: Looked, repository: Repository, host: str, tags: Sequence[str]) -> SourceProof:
    data = looked.server.as_bytes()
    with repository.backup_stream(SERVER, host=host, tags=tags) as stream:
        stream.write(data)
        stored = stream.commit()
    copy = SourceCopy(name, "server", stored.snapshot_id, looked.at, len(data), 1)
    disks = {each.device: {"name": each.name, "size_bytes": each.size_bytes} for each in looked.server.disks}
    return SourceProof(copy, {"sha256": hashlib.sha256(data).hexdigest(), "disks": disks}, stored.added_bytes)
