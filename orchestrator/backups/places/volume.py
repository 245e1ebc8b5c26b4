"""The place of a Cinder volume: a new volume made from the restored image, which takes the name of the one before."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.backups.access import Access
from orchestrator.backups.document import IMAGE, SourceProof
from orchestrator.backups.places.common import Back, Placed, Swapped
from orchestrator.backups.restore import restore_source
from orchestrator.cloud import block_storage, compute, volume_swap, volumes
from orchestrator.cloud.connection import Connection
from orchestrator.cloud.marks import drill_metadata
from orchestrator.cloud.volume_import import drill_volume, import_volume
from orchestrator.errors import CheckFailed, Refused
from orchestrator.scratch.folder import clear
from orchestrator.vault.restic import OnProgress, Repository


@dataclass(frozen=True, slots=True)
class VolumePlace:
    """A volume in the project of a tenant at a centre."""

    centre: str
    tenant: str
    volume: str

    def __str__(self) -> str:
        return f"volume {self.volume} of {self.tenant} at {self.centre}"

    @property
    def here(self) -> bool:
        return False

    def as_argument(self) -> str:
        return json.dumps({"kind": "volume", **asdict(self)}, ensure_ascii=False)

    def check(self, access: Access, need_bytes: int) -> None:
        del need_bytes  # the quota of the project is looked at with the servers'
        block_storage.volumes(self._cloud(access), self.volume)

    def put(
        self,
        access: Access,
        run: str,
        repository: Repository,
        proof: SourceProof,
        scratch: Path,
        *,
        on_progress: OnProgress | None = None,
    ) -> Placed:
        folder, new = self._image(scratch).parent, self._new(run)
        clear(scratch, folder)  # half of an image, left by a killed attempt, is worth nothing
        image = restore_source(repository, proof.copy, folder, on_progress=on_progress)
        import_volume(self._cloud(access), run, new, image, size_bytes=proof.copy.bytes)
        return Placed(str(self), new, proof.copy.bytes)

    def adopt(self, access: Access, run: str, *, drill: str, name: str) -> str | None:
        """Take the volume `name` of another drill as what this run restored, and return its id; None: it is gone.

        Servers of that drill that have it are shut down and deleted: they leave nothing half-written behind.
        """
        cloud, new = self._cloud(access), self._new(run)
        if found := drill_volume(cloud, run, new):
            return found.id
        if (theirs := drill_volume(cloud, drill, name)) is None:
            return None
        users = [each for each in compute.servers(cloud) if theirs.id in each.volume_ids]
        for each in users:
            compute.stop_server(cloud, each.id)
        compute.delete_servers(cloud, users)
        return volume_swap.hand_over(cloud, theirs.id, new, drill_metadata(run))

    def data(self, access: Access, run: str, scratch: Path) -> Path:
        del access, run
        return self._image(scratch)

    def volume_id(self, access: Access, run: str) -> str:
        """Return the id of the volume that a run has made, for a server to boot from. Raises CheckFailed."""
        cloud = self._cloud(access)
        for name in (self._new(run), self.volume):
            if found := drill_volume(cloud, run, name):
                return found.id
        raise CheckFailed(f"{self}: run {run} has made no volume there", hint="restore it first")

    def swap(self, access: Access, run: str) -> Swapped:
        cloud = self._cloud(access)
        replaced = volume_swap.replace_volume(cloud, self.volume, self.volume_id(access, run), run)
        return Swapped(str(self), volume_swap.kept_name(self.volume, run) if replaced.old else None)

    def undo(self, access: Access, run: str) -> Back:
        cloud = self._cloud(access)
        kept = block_storage.volumes(cloud, volume_swap.kept_name(self.volume, run))
        standing = block_storage.volumes(cloud, self.volume)
        ours = [each for each in standing if each.metadata.get(volume_swap.RUN) == run]
        if kept or ours:
            volume_swap.undo_replace_volume(cloud, self.volume, run)
        new = drill_volume(cloud, run, self._new(run))
        if new:
            if new.attached_to:
                raise Refused(f"{self}: a server still has {new.name}", hint="delete the run's servers first")
            block_storage.delete_volume(cloud, new.id, deadline_seconds=volumes.DELETE_SECONDS)
        if kept or ours:
            return Back.BACK
        return Back.DROPPED if new else Back.NOTHING

    def commit(self, access: Access, run: str) -> None:
        cloud = self._cloud(access)
        if drill_volume(cloud, run, self._new(run)):
            raise CheckFailed(f"{self}: nothing was swapped by run {run}", hint="swap it first, or undo it")
        if kept := volume_swap.commit_replace_volume(cloud, self.volume, run):
            raise Refused(f"{self}: a server still has {', '.join(kept)}", hint="delete that server, then commit again")

    def drop(self, access: Access, run: str) -> None:
        cloud = self._cloud(access)
        if new := drill_volume(cloud, run, self._new(run)):
            block_storage.delete_volume(cloud, new.id, deadline_seconds=volumes.DELETE_SECONDS)

    def _new(self, run: str) -> str:
        return f"{self.volume}.new-{run}"

    def _image(self, scratch: Path) -> Path:
        return scratch / f"volume-{self.volume}" / IMAGE

    def _cloud(self, access: Access) -> Connection:
        cloud: Connection = access.tenant_cloud(self.centre, self.tenant)
        return cloud
