"""The bubble: volumes and servers from the recovery point in closed networks with production's own addresses.

What is no volume is proved in a scratch place beside it. Everything carries the drill's mark, and goes with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from drills.grounds.common import GroundWithServers
from drills.grounds.scratch import ScratchGround
from orchestrator.backups.document import SourceProof
from orchestrator.cloud.volume_import import import_volume
from orchestrator.vault.restic import Repository
from policies.site import SystemRef


@dataclass
class BubbleGround(GroundWithServers):
    """Satisfies `drills.grounds.common.Ground`."""

    def __post_init__(self) -> None:
        self._scratch = ScratchGround(self.run, self.program, self.task, self.scratch, self.places)

    @property
    def isolated(self) -> bool:
        return True

    @property
    def mark(self) -> str:
        return self.task.drill  # the systems of a drill share their tenants' bubbles

    @property
    def needed_bytes(self) -> int:
        return self._scratch.needed_bytes

    def restore(self, repository: Repository, proof: SourceProof, suffix: str) -> None:
        self._scratch.restore(repository, proof, suffix)
        source = proof.copy.source
        if proof.copy.kind == "volume" and source in self._of_servers:
            image = self.places[source]
            assert isinstance(image, Path)
            self.volumes[source] = self.run.step(
                f"import:{source}{suffix}", self._import, source, image, proof.copy.bytes
            )

    def settle(self, suffix: str) -> None:
        """Nothing: the volumes are where their servers are."""

    def switch(self, suffix: str) -> None:
        """Nothing: in a rehearsal, names go on pointing to production."""

    @property
    def _of_servers(self) -> set[str]:
        return {name for each in self.task.ref.system.servers.values() for name in (each.boot, *each.volumes)}

    def _import(self, source: str, image: Path, size_bytes: int) -> str:
        cloud = self.program.tenant_cloud(self.task.centre, self.task.ref.tenant.tenant)
        name = bubble_volume(self.task.drill, self.task.ref, source)
        return import_volume(cloud, self.task.drill, name, image, size_bytes=size_bytes)


def bubble_volume(drill: str, ref: SystemRef, source: str) -> str:
    """Return what the volume of a source is called in the bubble of a drill. Pure."""
    return f"drill-{drill}-{ref.name}-{source}"
