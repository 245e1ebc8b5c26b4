"""The catalogue made again from what a vault holds: every recovery point carries its own document.

What only the catalogue knew (runs, drills, what was proved when) is not in a vault, and does not come back by this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.backups.access import Access
from orchestrator.backups.document import FILENAME, TAG, PointDocument, as_point
from orchestrator.backups.landings import observe_landings
from orchestrator.catalogue.records import Point
from orchestrator.errors import CheckFailed, ProcessFailed
from orchestrator.vault.parallel import parallel
from orchestrator.vault.restic import Repository, Snapshot
from policies.site import SystemRef

#: Each reads one small file, which takes most of a second of waiting for the vault.
READERS = 4

#: Called with how many documents are read, and how many there are.
OnRead = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was found of one system at a centre.

    `known` points stood in the catalogue already, `added` are new to it. `left_out` are documents that make no point
    here, with the reason: damaged, of another system, or incomplete at this centre.
    """

    system: str
    centre: str
    known: int
    added: tuple[Point, ...]
    left_out: dict[str, str]


def rebuild(
    access: Access, ref: SystemRef, centre: str, *, dry_run: bool = False, on_read: OnRead | None = None
) -> Rebuilt:
    """Put the recovery points of a system that a centre's vault holds into the catalogue, and read its landings.

    May be repeated, and killed: each point is whole or not there, and what is known is not read again. Changes
    nothing in the vault. Raises Unreachable, CredentialRefused, and CheckFailed for a password that does not fit.
    """
    bucket = access.bucket(centre, ref.tenant.tenant)
    if bucket.head(f"{ref.name}/config") is None:
        return Rebuilt(str(ref), centre, 0, (), {})
    repository = access.repository(centre, ref)
    known = {each.document for each in access.catalogue.points(ref.tenant.tenant, ref.name)}
    snapshots = repository.snapshots()
    listed = {each.id for each in snapshots}
    documents = [each for each in snapshots if TAG in each.tags and any(tag.startswith("point=") for tag in each.tags)]
    unknown = [each for each in documents if each.id not in known]
    added, left_out = [], {}
    for number, (snapshot, found) in enumerate(
        parallel(unknown, lambda each: _read(repository, each, ref, listed), READERS), 1
    ):
        if isinstance(found, Point):
            added.append(found)
            if not dry_run:
                access.catalogue.add_point(found)
        else:
            left_out[snapshot.id] = found
        if on_read:
            on_read(number, len(unknown))
    if not dry_run:
        observe_landings(access.catalogue, bucket, ref, centre)
    newest_first = sorted(added, key=lambda each: each.data_time, reverse=True)
    return Rebuilt(str(ref), centre, len(documents) - len(unknown), tuple(newest_first), left_out)


def _read(repository: Repository, snapshot: Snapshot, ref: SystemRef, listed: set[str]) -> Point | str:
    """Return the point that a document describes, or why it describes none here."""
    try:
        document = PointDocument.from_bytes(repository.read_file(snapshot.id, FILENAME))
    except CheckFailed as error:
        return str(error)
    except ProcessFailed as error:
        if error.code < 0:  # stopped from outside: that says nothing of the document
            raise
        return f"it cannot be read: {error}"
    if (document.tenant, document.system) != (ref.tenant.tenant, ref.name):
        return f"it is of {document.tenant}/{document.system}"
    point = as_point(document, snapshot.id)
    if lost := sorted(point.snapshot_ids - listed):
        return f"point {document.point} is not complete here: {len(lost)} of its snapshots are not there"
    return point
