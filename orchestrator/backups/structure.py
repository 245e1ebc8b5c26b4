"""The check of a repository's structure: does everything refer to something that is there, and opens?

restic is asked; what refers to packs is small and hashed in full; and the documents of recovery points are read.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.backups.access import Access
from orchestrator.backups.document import read_document
from orchestrator.backups.landings import observe_landings
from orchestrator.backups.looked import Looked, as_faults, place_of
from orchestrator.catalogue import verifications as memory
from orchestrator.catalogue.records import Point
from orchestrator.catalogue.verifications import Fault, Kind
from orchestrator.engine.port import Run
from orchestrator.errors import CheckFailed, CredentialRefused, InvalidInput, ProcessFailed
from orchestrator.vault.restic import Damaged, NoRepository, Repository
from orchestrator.vault.s3 import Bucket
from orchestrator.vault.scrub import examine, scrub
from policies.retention import has_expired
from policies.site import SystemRef

#: What refers to packs. Small beside them, and read in full at every check of the structure.
REFERRERS = ("snapshots/", "index/", "keys/")

#: restic is asked again when a snapshot was added while it looked: it may have seen that without its data.
CHECKS = 4


def verify_structure(run: Run, access: Access, ref: SystemRef, centre: str) -> Looked:
    """Return what is wrong with a system's repository at a centre, and what of it is wrong no longer.

    The caller holds the shared lease of the repository. Backups and replications may go on meanwhile.
    """
    looked = run.step("landings", _find_lost_points, access, ref, centre)
    looked += run.step("referrers", _read_referrers, access, ref, centre)
    looked += run.step("structure", _check_structure, access, ref, centre)
    points = run.step("choose-documents", choose_documents, access, ref, centre)
    for number, point in enumerate(points):
        run.progress("documents", number, len(points))
        looked += run.step(f"document:{point.id}", _read_document, access, ref, centre, point)
    again = frozenset(each.key for each in looked.faults)
    return looked + run.step("settle", _settle, access, ref, centre, again)


def _settle(access: Access, ref: SystemRef, centre: str, again: frozenset[str]) -> Looked:
    """Return what is no longer wrong: it is good, or it is gone or was told by restic, and nothing misses it now."""
    bucket, healed = access.bucket(centre, ref.tenant.tenant), []
    for fault in memory.open_faults(access.catalogue, place_of(ref, centre)):
        if fault.key in again:
            continue
        if fault.kind is not Kind.CORRUPT or examine(bucket, fault.key) != "corrupt":
            healed.append(fault.key)
    return Looked(0, 0, (), tuple(healed))


def _find_lost_points(access: Access, ref: SystemRef, centre: str) -> Looked:
    """Compare the points that had landed with the listing: one that retention would still keep must be there."""
    bucket, tenant = access.bucket(centre, ref.tenant.tenant), ref.tenant.tenant
    had = {each.point.id for each in access.catalogue.points_at(centre, tenant, ref.name)}
    wrong = {each.key for each in memory.open_faults(access.catalogue, place_of(ref, centre))}
    expected = [
        each
        for each in access.catalogue.points(tenant, ref.name)
        if each.id in had or any(_snapshot_key(ref, snapshot) in wrong for snapshot in each.snapshot_ids)
    ]
    there = _snapshots_at(bucket, ref)
    faults = [
        Fault(_snapshot_key(ref, snapshot), Kind.MISSING, f"snapshot of recovery point {each.id}")
        for each in expected
        if not _may_be_forgotten(each, expected[0], ref, centre)
        for snapshot in sorted(each.snapshot_ids - there)
    ]
    if bucket.head(f"{ref.name}/config") is None:
        faults.append(Fault(f"{ref.name}/config", Kind.MISSING, "without it the repository does not open"))
    return Looked(len(there), 0, tuple(faults))


def _may_be_forgotten(point: Point, newest: Point, ref: SystemRef, centre: str) -> bool:
    copies = {str(name): copy for name, copy in ref.copies.items()}
    return centre in copies and has_expired(point.data_time, newest.data_time, copies[centre].retention)


def _read_referrers(access: Access, ref: SystemRef, centre: str) -> Looked:
    read = scrub(access.bucket(centre, ref.tenant.tenant), ref.name, REFERRERS)
    return Looked(read.objects, read.size_bytes, as_faults(read.corrupt, read.missing))


def _check_structure(access: Access, ref: SystemRef, centre: str) -> Looked:
    """Let restic check that everything is there that something refers to, each pack with the size of its index."""
    repository, bucket = access.repository(centre, ref), access.bucket(centre, ref.tenant.tenant)
    packs = [each.size_bytes for each in bucket.list(f"{ref.name}/data/")]
    for attempt in range(1, CHECKS + 1):
        before = _snapshots_at(bucket, ref)
        try:
            repository.check(lock=False)
        except Damaged as error:
            if attempt < CHECKS and _snapshots_at(bucket, ref) != before:
                continue
            return Looked(len(packs), sum(packs), tuple(_faults_of(error, bucket, ref)))
        except NoRepository:  # its config is gone, which the look at the landings has found
            pass
        break
    return Looked(len(packs), sum(packs))


def _faults_of(error: Damaged, bucket: Bucket, ref: SystemRef) -> Iterable[Fault]:
    for pack in error.packs:
        key = f"{ref.name}/data/{pack[:2]}/{pack}"
        state = examine(bucket, key)
        kind = {"corrupt": Kind.CORRUPT, "missing": Kind.MISSING}.get(state, Kind.DAMAGED)
        yield Fault(key, kind, "the index refers to this pack")
    if not error.packs:
        yield Fault(f"{ref.name}/", Kind.DAMAGED, str(error))


def choose_documents(access: Access, ref: SystemRef, centre: str) -> tuple[Point, ...]:
    """Return the points whose documents are read: those not read here before, the newest, and the newest proved.

    A document that was read once stays readable while its blobs are where the index says, which restic has just
    checked, and their packs have the content that their names say, which the data read checks.
    """
    place = place_of(ref, centre)
    landed = observe_landings(access.catalogue, access.bucket(centre, ref.tenant.tenant), ref, centre)
    last = memory.last_verification(access.catalogue, place, "structure")
    wrong = {each.key for each in memory.open_faults(access.catalogue, place)}
    proved = next((each for each in landed if each.proved_at), None)
    return tuple(
        each.point
        for number, each in enumerate(landed)
        if number == 0
        or each is proved
        or last is None
        or each.landed_at >= last.began_at
        or _snapshot_key(ref, each.point.document) in wrong
    )


def _read_document(access: Access, ref: SystemRef, centre: str, point: Point) -> Looked:
    """Read a point's document through restic, and see that it names the snapshots that the catalogue knows."""
    fault = _document_fault(access.repository(centre, ref), point)
    key = _snapshot_key(ref, point.document)
    return Looked(1, 0, (Fault(key, Kind.DAMAGED, fault),) if fault else ())


def _document_fault(repository: Repository, point: Point) -> str | None:
    try:
        document = read_document(repository, point)
    except CredentialRefused:
        raise
    except NoRepository:  # its config is gone: that has been found, and says nothing of the document
        return None
    except (CheckFailed, InvalidInput) as error:
        return f"the document of recovery point {point.id} cannot be read: {error}"
    except ProcessFailed as error:
        if error.code < 0:  # stopped from outside: that says nothing of the document
            raise
        return f"the document of recovery point {point.id} cannot be read: {error}"
    named = {point.document, *(each.copy.snapshot_id for each in document.sources)}
    return None if named == point.snapshot_ids else f"the document of {point.id} names other snapshots"


def _snapshots_at(bucket: Bucket, ref: SystemRef) -> frozenset[str]:
    return frozenset(each.key.rpartition("/")[2] for each in bucket.list(f"{ref.name}/snapshots/"))


def _snapshot_key(ref: SystemRef, snapshot: str) -> str:
    return f"{ref.name}/snapshots/{snapshot}"
