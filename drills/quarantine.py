"""The quarantine flow: what an old centre has of a system is kept in a vault, and compared with what replaced it.

It is stored in the system's repository, beside its recovery points and as none of them: by another tag, with a
document that no list of points reads. Nothing at the old centre is changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from drills.divergence import (
    CHUNK_BYTES,
    Differences,
    compare_buckets,
    compare_databases,
    compare_definitions,
    compare_images,
    compare_trees,
    summarise,
)
from drills.grounds.scratch import LOADED_PER_DUMPED, SERVER_BYTES
from orchestrator.backups.access import repository_lease
from orchestrator.backups.document import FILENAME, IMAGE, PointDocument, SourceProof, compose_document, write_document
from orchestrator.backups.landings import observe_landings
from orchestrator.backups.restore import restore_into_database
from orchestrator.backups.run import open_repository
from orchestrator.backups.sources import back_up_source, check_source
from orchestrator.backups.sources.postgresql import Server, connect
from orchestrator.catalogue import leases
from orchestrator.catalogue.quarantines import Quarantine, add_quarantine, list_quarantines, set_summary
from orchestrator.catalogue.records import Point, SourceCopy
from orchestrator.engine.port import Run
from orchestrator.errors import CheckFailed, TricenterError
from orchestrator.process import Child
from orchestrator.scratch.folder import make_scratch
from orchestrator.scratch.postgres import check_place, start_server
from orchestrator.vault.restic import Repository
from policies.site import SystemRef

if TYPE_CHECKING:
    from drills.flows import Program

TAG = "quarantine"
#: Kinds whose copies can be told apart by what their proofs say, without reading them.
COMPARED_BY_FACTS = {"path": compare_trees, "bucket": compare_buckets, "cloud": compare_definitions}
#: What makes a centre active elsewhere: the point that it recovered is what the old centre's data is compared with.
SWITCHES = ("failover", "switchover", "failback")


@dataclass(frozen=True, slots=True)
class Away:
    """A system that is active elsewhere: what is to be taken from `taken_from` into the vault of `vault`.

    `epoch` moved it away, `moved_at` is when.
    """

    system: str
    taken_from: str
    vault: str
    epoch: int
    moved_at: datetime


def quarantine_system(run: Run, program: Program, ref: SystemRef, away: Away, scratch: Path) -> Quarantine:
    """Keep what the old centre has of a system, compare it, and return what is now in quarantine. May be repeated.

    What was taken once since the system moved is not taken again. A comparison that cannot be made does not undo what
    was taken: the quarantine's `note` says why, and a repetition tries it again.
    """
    found = run.step("find", find_taken, program, away)
    if found is None:
        found = _take(run, program, ref, away)
    if found.summary is not None:
        return found
    run.pin()
    run.cleanup("remove-scratch", here=True, path=str(scratch / run.id))
    return run.step("compare", _compare, program, ref, found, away, scratch, run.id)


def find_taken(program: Program, away: Away) -> Quarantine | None:
    """Return what was taken of a system since it was moved away."""
    every = list_quarantines(program.catalogue, away.system)
    return next((each for each in every if (each.taken_from, each.epoch) == (away.taken_from, away.epoch)), None)


def _take(run: Run, program: Program, ref: SystemRef, away: Away) -> Quarantine:
    repository = program.repository(away.vault, ref)
    with leases.hold(program.catalogue, repository_lease(away.vault, ref), run.id, exclusive=False):
        run.step("check-sources", _check_sources, program, ref, away)
        run.step("open-repository", open_repository, program, ref, away.vault)
        proofs = tuple(
            proof
            for name in ref.system.sources
            for proof in back_up_source(run, program, ref, name, away.taken_from, repository, partial(_tags, run.id))
        )
        return run.step("publish-document", _publish, program, repository, ref, run.id, proofs, away)


def _tags(run_id: str, copy: str) -> tuple[str, str]:
    return f"{TAG}={run_id}", f"source={copy}"


def _check_sources(program: Program, ref: SystemRef, away: Away) -> list[str]:
    for name in ref.system.sources:
        check_source(program, ref, name, away.taken_from)
    return list(ref.system.sources)


def _publish(
    program: Program,
    repository: Repository,
    ref: SystemRef,
    run_id: str,
    proofs: tuple[SourceProof, ...],
    away: Away,
) -> Quarantine:
    document = compose_document(ref, run_id, proofs)
    snapshot = write_document(repository, document, (f"{TAG}={run_id}", TAG))
    found = Quarantine(
        id=run_id,
        tenant=document.tenant,
        system=document.system,
        taken_from=away.taken_from,
        centre=away.vault,
        epoch=away.epoch,
        data_time=document.data_time,
        finished_at=document.finished_at,
        bytes=sum(each.copy.bytes for each in proofs),
        document=snapshot,
        sources=tuple(each.copy for each in proofs),
    )
    add_quarantine(program.catalogue, found)
    return found


# --- the comparison


def _compare(program: Program, ref: SystemRef, found: Quarantine, away: Away, scratch: Path, run_id: str) -> Quarantine:
    point, summary, note = None, None, None
    try:
        point = point_of(program, ref, found, away)
        summary = _differences(program, ref, found, point, scratch, run_id) | {
            "point": point.id,
            "point_data_time": point.data_time.isoformat(),
            "taken_data_time": found.data_time.isoformat(),
        }
    except TricenterError as error:
        note = str(error)
    set_summary(program.catalogue, found, point.id if point else None, summary, note)
    taken = find_taken(program, away)
    assert taken is not None
    return taken


def point_of(program: Program, ref: SystemRef, found: Quarantine, away: Away) -> Point:
    """Return the recovery point that the new centre was made from, as far as is known here.

    That is the one that the switch recovered, when this catalogue has seen it; else the newest one of before the
    move that the vault holds. Raises CheckFailed when there is none.
    """
    bucket = program.bucket(found.centre, found.tenant)
    held = observe_landings(program.catalogue, bucket, ref, found.centre)
    landed = [each.point for each in held]
    used = [
        each.point_id
        for each in program.catalogue.drills(found.tenant, found.system)
        if each.kind in SWITCHES and each.point_id and each.ended_at >= away.moved_at
    ]
    for point in landed:
        if point.id in used[-1:]:
            return point
    before = [each.point for each in held if each.good and each.point.data_time <= away.moved_at]
    if not before:
        raise CheckFailed(f"{ref}: {found.centre} holds no good recovery point of before epoch {found.epoch}")
    return before[0]


def _differences(
    program: Program, ref: SystemRef, found: Quarantine, point: Point, scratch: Path, run_id: str
) -> dict[str, Any]:
    repository = program.repository(found.centre, ref)
    taken = PointDocument.from_bytes(repository.read_file(found.document, FILENAME))
    replaced = PointDocument.from_bytes(repository.read_file(point.document, FILENAME))
    held = {each.copy.source for each in replaced.sources}
    if absent := sorted({each.copy.source for each in taken.sources} - held):
        raise CheckFailed(f"recovery point {point.id} of {ref} does not hold {', '.join(absent)}")
    sources = {}
    for number, old in enumerate(taken.sources):
        new = replaced.proof(old.copy.source)
        sources[old.copy.source] = (old.copy.kind, _of_source(repository, old, new, scratch, run_id, number))
    return summarise(str(ref), sources)


def _of_source(
    repository: Repository, old: SourceProof, new: SourceProof, scratch: Path, run_id: str, number: int
) -> list[Differences]:
    name = old.copy.source
    if old.copy.kind in ("mysql", "server"):  # no plan moves one to another centre, so none comes back changed
        raise CheckFailed(f"{name}: what a {old.copy.kind} source holds is not compared")
    if old.copy.kind == "postgresql":
        same = old.facts["tables"] == new.facts["tables"]
        return [] if same else _of_databases(repository, old.copy, new.copy, scratch, run_id, number)
    if old.copy.kind in COMPARED_BY_FACTS:
        found = COMPARED_BY_FACTS[old.copy.kind](old.facts, new.facts, name)
        return [found] if found.any else []
    same = (old.facts["sha256"], old.facts["size_bytes"]) == (new.facts["sha256"], new.facts["size_bytes"])
    return [] if same else [_of_volumes(repository, old.copy, new.copy)]


def _of_databases(
    repository: Repository, old: SourceCopy, new: SourceCopy, scratch: Path, run_id: str, number: int
) -> list[Differences]:
    scratch.mkdir(parents=True, exist_ok=True, mode=0o711)
    check_place(scratch)
    folder = make_scratch(scratch, run_id, int((old.bytes + new.bytes) * LOADED_PER_DUMPED) + SERVER_BYTES)
    server = start_server(folder, f"q{number}")
    try:
        with ExitStack() as stack:
            sides = []
            for copy, database in ((old, "old"), (new, "point")):
                server.create_database(database)
                place = Server(str(server.socket_dir), server.port, server.user, database, None)
                restore_into_database(repository, copy, place)
                sides.append(stack.enter_context(connect(place)))
            return compare_databases(*sides)
    except psycopg.Error as error:
        told = str(error).strip().splitlines()[0]
        raise CheckFailed(f"the tables of {old.source} cannot be compared: {told}") from error
    finally:
        server.stop()


def _of_volumes(repository: Repository, old: SourceCopy, new: SourceCopy) -> Differences:
    with (
        repository.open_file(old.snapshot_id, IMAGE) as one,
        repository.open_file(new.snapshot_id, IMAGE) as other,
    ):
        return compare_images(_pieces(one), _pieces(other), old.source)


def _pieces(child: Child) -> Iterator[bytes]:
    while piece := child.read(CHUNK_BYTES):
        yield piece
