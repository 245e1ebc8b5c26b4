"""What a restore would do, made before anything is done: which point from which centre, what of it, to where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestrator.backups.access import Access
from orchestrator.backups.choosing import Found
from orchestrator.backups.merging import Overwrite
from orchestrator.backups.parts import Part
from orchestrator.backups.places.postgresql import DatabasePlace
from orchestrator.backups.restore import check_room
from orchestrator.backups.restore_elsewhere import NewVolume, check_database, check_volume
from orchestrator.backups.restore_folder import Present, check_present, find_present
from orchestrator.catalogue.scenario import DRILLS_COUNTED
from orchestrator.errors import InvalidInput
from orchestrator.scratch.folder import check_space
from policies.scenarios import Sample, expected
from policies.site import SystemRef


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder to restore into, and what becomes of files that are there."""

    path: Path
    rule: Overwrite

    def __str__(self) -> str:
        return str(self.path)


Destination = Folder | DatabasePlace | NewVolume

#: The kind of source that a place can take; a folder takes all.
KINDS = {DatabasePlace: "postgresql", NewVolume: "volume"}


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """A restore that could be done now. `free_bytes` and `present` are of a folder; `takes` is None without drills."""

    ref: SystemRef
    found: Found
    parts: tuple[Part, ...]
    to: Destination
    free_bytes: int | None
    present: tuple[Present, ...]
    takes: timedelta | None

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.parts)

    def served_by(self, centre: str) -> RestorePlan:
        """Return the same with the centre that the data came from in the end. Pure."""
        return replace(self, found=self.found.from_holder(centre))

    def as_json(self) -> dict[str, Any]:
        found = self.found
        return {
            "system": str(self.ref),
            "point": found.point.id,
            "centre": found.centre,
            "centres": list(found.holders),
            "silent": {name: str(error) for name, error in found.silent.items()},
            "data_time": found.point.data_time.isoformat(),
            "asked_for": found.asked.isoformat() if found.asked else None,
            "behind_seconds": found.behind_seconds,
            "newer_at_silent": found.newer.id if found.newer else None,
            "proved_at": found.proved_at.isoformat() if found.proved_at else None,
            "parts": [each.as_json() for each in self.parts],
            "bytes": self.bytes,
            "to": str(self.to),
            "free_bytes": self.free_bytes,
            "overwrite": str(self.to.rule) if isinstance(self.to, Folder) else None,
            "present": [{"path": each.path, "same": each.same} for each in self.present],
            "estimated_seconds": self.takes.total_seconds() if self.takes else None,
        }


def make_plan(
    access: Access, ref: SystemRef, found: Found, parts: list[Part], to: Destination, run: str, scratch: Path
) -> RestorePlan:
    """Return the plan. Raises Refused (something is in the way), NoSpace, InvalidInput. Changes nothing."""
    free: int | None = None
    present: tuple[Present, ...] = ()
    if isinstance(to, Folder):
        present = tuple(find_present(parts, to.path))
        check_present(present, to.rule)
        free = check_room(to.path, sum(each.bytes for each in parts))
    else:
        parts = [_only(parts, KINDS[type(to)])]
        if isinstance(to, DatabasePlace):
            check_database(access, to, run)
        else:
            check_volume(access, to, run)
            check_space(scratch, parts[0].bytes)
    takes = estimate(access, ref, found.centre, sum(each.bytes for each in parts))
    return RestorePlan(ref, found, tuple(parts), to, free, present, takes)


def estimate(access: Access, ref: SystemRef, centre: str, size_bytes: int) -> timedelta | None:
    """Return how long fetching so much is likely to take, from what drills of the system there measured."""
    samples = [
        Sample(each.tenant, each.system, each.centre, each.restored_bytes, seconds)
        for each in access.catalogue.drills(ref.tenant.tenant, ref.name, centre)
        if each.restored_bytes and (seconds := each.stages.get("restore"))
    ]
    return expected(size_bytes, samples[:DRILLS_COUNTED])


def _only(parts: list[Part], kind: str) -> Part:
    fits = [each for each in parts if each.proof.copy.kind == kind]
    if len(fits) == 1:
        return fits[0]
    if fits:
        names = ", ".join(each.source for each in fits)
        raise InvalidInput(f"the point holds several sources of that kind: {names}", hint="say which: --source NAME")
    held = ", ".join(f"{each.source} ({each.proof.copy.kind})" for each in parts)
    raise InvalidInput(
        f"there is no {kind} to be restored: the point holds {held}", hint="--target DIR takes all kinds"
    )
