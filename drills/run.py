"""The restore drill: a system's data to a scratch place, as if its centre alone were left, and proved there.

Only the chosen centre's vault is touched. Nothing here may wait for production or for another centre: in the
disaster that is rehearsed they would not answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drills.deadline import stop_after
from drills.evidence import conclude
from drills.probes import Restored, probe
from drills.scenario import Scenario
from orchestrator.backups.access import Access, repository_lease
from orchestrator.backups.document import PointDocument, read_document
from orchestrator.backups.landings import choose_point
from orchestrator.backups.restore import restore_into_database, restore_source
from orchestrator.backups.sources.postgresql import Server
from orchestrator.catalogue import leases
from orchestrator.catalogue.records import DrillRow, Point, SourceCopy
from orchestrator.engine.port import Run
from orchestrator.errors import (
    CheckFailed,
    Interrupted,
    PartlyDone,
    ProcessFailed,
    Refused,
    TricenterError,
    UnknownName,
)
from orchestrator.scratch.folder import clear, make_scratch, space_watched
from orchestrator.scratch.postgres import ScratchServer, check_place, start_server
from orchestrator.vault.restic import Repository
from policies.plan import Probe
from policies.site import SystemRef

DATABASE = "restored"
#: Room for one scratch server without data: the cluster, and its write-ahead log at its largest.
SERVER_BYTES = 320 * 1024**2
#: A loaded database with its indexes is larger than the dump that it comes from.
LOADED_PER_DUMPED = 2.0


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill to be held. `point` is a recovery point's id, None for the newest at the centre."""

    scenario: Scenario
    ref: SystemRef
    probes: tuple[Probe, ...]
    point: str | None
    scratch: Path
    reports: Path

    @property
    def centre(self) -> str:
        return self.scenario.centre


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A point's document. Of its manifests only the extent is evidence: the vault keeps them."""

    document: PointDocument

    def as_evidence(self) -> dict[str, Any]:
        return {"program": self.document.program, "sources": [each.as_evidence() for each in self.document.sources]}


@dataclass(frozen=True, slots=True)
class _Placed:
    """A source that was restored, and how many bytes of it."""

    place: Path | Server
    bytes: int

    def as_evidence(self) -> dict[str, Any]:
        return {"bytes": self.bytes}


def restore_drill(run: Run, access: Access, drill: Drill) -> DrillRow:
    """Hold a restore drill and return its row, whose verdict says how it ended: a failed probe does not raise.

    An error on the way makes a failed drill, recorded before the error is raised. Only what says that the drill could
    not be held leaves no drill: Refused (a lease, no space, no way in), a recovery point that is not there, an
    interruption. The scratch place is taken away by the run's registered clean-up.
    """
    run.step("declare", lambda: drill.scenario)
    try:
        with stop_after(drill.scenario.deadline_seconds):
            _recover_and_prove(run, access, drill)
    except (Refused, UnknownName, Interrupted):
        raise
    except TricenterError as error:
        run.step("record", conclude, access.catalogue, run.id, drill.reports)
        if isinstance(error, ProcessFailed | PartlyDone):
            raise CheckFailed(f"{drill.ref} was not recovered at {drill.centre}: {error}", hint=error.hint) from error
        raise
    return run.step("record", conclude, access.catalogue, run.id, drill.reports)


def needed_bytes(point: Point) -> int:
    """Return how much room a restore of all sources of a point takes. Pure."""
    return sum(
        int(copy.bytes * LOADED_PER_DUMPED) + SERVER_BYTES if copy.kind == "postgresql" else copy.bytes
        for copy in point.sources
    )


def check_scratch(root: Path, point: Point) -> None:
    """Raise Refused when the sources of a point could not be brought to life below `root`."""
    if any(copy.kind == "postgresql" for copy in point.sources):
        check_place(root)


def _recover_and_prove(run: Run, access: Access, drill: Drill) -> None:
    landed = run.step("choose-point", choose_point, access, drill.ref, drill.centre, drill.point)
    run.pin()  # another machine has no use for what is restored here
    run.cleanup("remove-scratch", here=True, path=str(drill.scratch / run.id))
    scratch = run.step("prepare-scratch", _prepare, drill.scratch, run.id, landed.point)
    repository = access.repository(drill.centre, drill.ref)
    lease = repository_lease(drill.centre, drill.ref)
    with leases.hold(access.catalogue, lease, run.id, exclusive=False), space_watched(scratch):
        document = run.step("fetch-document", _fetch, repository, landed.point, drill.ref).document
        places = _restore_all(run, repository, document, scratch)
    with space_watched(scratch):
        for number, each in enumerate(drill.probes, 1):
            run.step(f"probe:{number}:{each.kind}:{each.source}", probe, each, document, Restored(places))


def _prepare(root: Path, run_id: str, point: Point) -> Path:
    root.mkdir(parents=True, exist_ok=True, mode=0o711)
    check_scratch(root, point)
    return make_scratch(root, run_id, needed_bytes(point))


def _fetch(repository: Repository, point: Point, ref: SystemRef) -> _Fetched:
    document = read_document(repository, point)
    held = {each.copy.source for each in document.sources}
    if absent := sorted(ref.system.sources.keys() - held):
        raise CheckFailed(
            f"recovery point {point.id} of {ref} does not hold {', '.join(absent)}",
            hint=f"the system was changed since; make a new point: tricenter backup run {ref}",
        )
    return _Fetched(document)


def _restore_all(
    run: Run, repository: Repository, document: PointDocument, scratch: Path
) -> Mapping[str, Path | Server]:
    places: dict[str, Path | Server] = {}
    for number, copy in enumerate(each.copy for each in document.sources):
        if copy.kind == "postgresql":
            # A short name: the path of a socket may not be long.
            server = run.step(f"start:{copy.source}", start_server, scratch, f"p{number}")
            placed = run.step(f"restore:{copy.source}", _load, repository, copy, server)
        else:
            place = scratch / copy.source
            placed = run.step(f"restore:{copy.source}", _restore, repository, copy, scratch, place)
        places[copy.source] = placed.place
    return places


def _restore(repository: Repository, copy: SourceCopy, scratch: Path, target: Path) -> _Placed:
    clear(scratch, target)  # half of a restore, left by a killed attempt, proves nothing
    # Without progress: restic would first be asked for the size, and the clock of the RTO is running.
    target.mkdir(mode=0o700)
    return _Placed(restore_source(repository, copy, target), copy.bytes)


def _load(repository: Repository, copy: SourceCopy, scratch: ScratchServer) -> _Placed:
    scratch.create_database(DATABASE)
    database = Server(str(scratch.socket_dir), scratch.port, scratch.user, DATABASE, None)
    restore_into_database(repository, copy, database)
    return _Placed(database, copy.bytes)
