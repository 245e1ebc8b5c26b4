"""Where a system will be used: its sources at the centre, its tenant's own networks, its servers, its names.

Whatever stood there before is kept until the run is committed. Everything that is made carries the mark of the run
that recovers this one system, so that it can be taken back alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drills.grounds.bubble import bubble_volume
from drills.grounds.common import GroundWithServers
from drills.name_switch import switch_names
from orchestrator.backups.document import SourceProof
from orchestrator.backups.places import Place, place_of
from orchestrator.backups.places.volume import VolumePlace
from orchestrator.cloud import standby, sweep
from orchestrator.vault.restic import Repository
from policies.site import SystemRef

if TYPE_CHECKING:
    from drills.flows import Program


@dataclass
class StandbyGround(GroundWithServers):
    """Satisfies `drills.grounds.common.Ground`."""

    def __post_init__(self) -> None:
        places = [place_of(self.task.ref, self.task.centre, source) for source in self.task.ref.system.sources]
        here = any(each.here for each in places)
        where = {"run": self.run.id, "system": str(self.task.ref), "centre": self.task.centre}
        self.run.undo("undo-recovery", here=here, **where)

    @property
    def isolated(self) -> bool:
        return False

    @property
    def mark(self) -> str:
        return self.run.id

    @property
    def needed_bytes(self) -> int:
        return sum(copy.bytes for copy in self.task.point.sources if copy.kind == "volume")

    def restore(self, repository: Repository, proof: SourceProof, suffix: str) -> None:
        source, place = proof.copy.source, self._place(proof.copy.source)
        if isinstance(place, VolumePlace) and self.task.sandbox and self._adopt(place, source, suffix):
            self.proved.add(source)
        else:
            self.run.step(
                f"restore:{source}{suffix}", place.put, self.program, self.run.id, repository, proof, self.scratch
            )
            self.places[source] = place.data(self.program, self.run.id, self.scratch)
        if isinstance(place, VolumePlace):
            self.volumes[source] = place.volume_id(self.program, self.run.id)

    def _adopt(self, place: VolumePlace, source: str, suffix: str) -> bool:
        """Take the volume that the promoted sandbox has restored and proved. False when it is not there any more."""
        sandbox = self.task.sandbox or ""
        name = bubble_volume(sandbox, self.task.ref, source)
        taken = self.run.step(
            f"adopt:{source}{suffix}", place.adopt, self.program, self.run.id, drill=sandbox, name=name
        )
        return taken is not None

    def settle(self, suffix: str) -> None:
        for source in self.task.ref.system.sources:
            self.run.step(f"swap:{source}{suffix}", self._place(source).swap, self.program, self.run.id)

    def switch(self, suffix: str) -> None:
        self.names += switch_names(self.run, self.program, self.task, self.addresses, suffix)

    def _place(self, source: str) -> Place:
        return place_of(self.task.ref, self.task.centre, source)


def undo_recovery(program: Program, run: str, ref: SystemRef, centre: str) -> None:
    """Take back what a run has made of a system at a centre: servers, ports, and its sources' places as they were.

    May be repeated; what was never made is fine. What was written there since the recovery is lost with it.
    """
    if ref.system.servers:
        cloud = program.tenant_cloud(centre, ref.tenant.tenant)
        sweep.delete_bubble(cloud, run)
        standby.unpark_ports(cloud, run)
    for source in ref.system.sources:
        place_of(ref, centre, source).undo(program, run)


def commit_recovery(program: Program, run: str, ref: SystemRef, centre: str) -> list[str]:
    """Let what a run has made of a system at a centre stay for good, and drop what stood there before.

    Returns what could not be dropped, as text. May be repeated.
    """
    if ref.system.servers:
        cloud = program.tenant_cloud(centre, ref.tenant.tenant)
        sweep.keep_all(cloud, run)
        standby.forget_parked(cloud, run)
    for source in ref.system.sources:
        place_of(ref, centre, source).commit(program, run)
    return []
