"""The check of a repository's structure: does everything refer to something that is there, and opens?

restic is asked; what refers to packs is small and hashed in full; and the documents of recovery points are read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

from orchestrator.backups.access import Access
from orchestrator.backups.document import read_document
from orchestrator.backups.landings import observe_landings
from orchestrator.backups.looked import Looked, as_faults, place_of
from orchestrator.backups.opening import examine_at, opening_faults, others, remember_config
from orchestrator.catalogue import verifications as memory
from orchestrator.catalogue.records import Point, PointAt
from orchestrator.catalogue.suspicions import bad_points
from orchestrator.catalogue.verifications import Fault, Kind
from orchestrator.engine.port import Run
from orchestrator.errors import CheckFailed, CredentialRefused, InvalidInput, ProcessFailed, TricenterError
from orchestrator.vault.restic import Damaged, NoRepository, Repository
from orchestrator.vault.s3 import Bucket
from orchestrator.vault.scrub import examine, scrub
from policies.retention import Held, kept_by_rule
from policies.site import SystemRef
from policies.suspicion import Standing
from policies.windows import zone

#: What refers to packs. Small beside them, and read in full at every check of the structure.
REFERRERS = ("snapshots/", "index/", "keys/")

#: restic is asked again when a snapshot was added while it looked: it may have seen that without its data.
CHECKS = 4


def verify_structure(run: Run, access: Access, ref: SystemRef, centre: str, *, suffix: str = "") -> Looked:
    """Return what is wrong with a system's repository at a centre, and what of it is wrong no longer.

    The caller holds the shared lease of the repository. Backups and replications may go on meanwhile. `suffix` tells
    the steps of one such check from those of another in the same run.
    """
    looked = run.step(f"landings{suffix}", _look_at_opening, access, ref, centre)
    looked += run.step(f"referrers{suffix}", _read_referrers, access, ref, centre)
    keys = any(each.key.startswith(f"{ref.name}/keys/") for each in looked.faults)
    if not looked.shut:
        looked += run.step(f"structure{suffix}", _check_structure, access, ref, centre, keys_damaged=keys)
    name = f"choose-documents{suffix}"
    points = () if looked.shut else run.step(name, choose_documents, access, ref, centre)
    for number, point in enumerate(points):
        run.progress("documents", number, len(points))
        looked += run.step(f"document:{point.id}{suffix}", _read_document, access, ref, centre, point)
    again = frozenset(each.key for each in looked.faults)
    return looked + run.step(f"settle{suffix}", _settle, access, ref, centre, again, shut=looked.shut)


def _settle(access: Access, ref: SystemRef, centre: str, again: frozenset[str], *, shut: bool) -> Looked:
    """Return what is no longer wrong: it is good, or it is gone or was told by restic, and nothing misses it now."""
    healed = []
    for fault in memory.open_faults(access.catalogue, place_of(ref, centre)):
        if fault.key in again:
            continue
        if shut:  # whether anything misses it was not found out
            if fault.kind is not Kind.DAMAGED and examine_at(access, ref, centre, fault.key) == "good":
                healed.append(fault.key)
        elif fault.kind is not Kind.CORRUPT or examine_at(access, ref, centre, fault.key) != "corrupt":
            healed.append(fault.key)
    return Looked(0, 0, (), tuple(healed))


def _look_at_opening(access: Access, ref: SystemRef, centre: str) -> Looked:
    """Look at what opens the repository, and at which points are there."""
    looked = find_lost_points(access, ref, centre)
    faults = opening_faults(access, ref, centre, try_it=True)
    return Looked(looked.objects, 0, looked.faults + faults, shut=bool(faults))


def find_lost_points(access: Access, ref: SystemRef, centre: str) -> Looked:
    """Compare the points that had landed with the listing: one that retention would still keep must be there."""
    bucket, tenant = access.bucket(centre, ref.tenant.tenant), ref.tenant.tenant
    landed = access.catalogue.points_at(centre, tenant, ref.name)
    had = {each.point.id for each in landed}
    wrong = {each.key for each in memory.open_faults(access.catalogue, place_of(ref, centre))}
    expected = [
        each
        for each in access.catalogue.points(tenant, ref.name)
        if each.id in had or any(_snapshot_key(ref, snapshot) in wrong for snapshot in each.snapshot_ids)
    ]
    there = _snapshots_at(bucket, ref)
    stays = _kept(access, landed, expected, ref, centre)
    faults = tuple(
        Fault(_snapshot_key(ref, snapshot), Kind.MISSING, f"snapshot of recovery point {each.id}")
        for each in expected
        if each.id in stays
        for snapshot in sorted(each.snapshot_ids - there)
    )
    return Looked(len(there), 0, faults)


def _kept(
    access: Access, landed: Sequence[PointAt], expected: Sequence[Point], ref: SystemRef, centre: str
) -> frozenset[str]:
    """Return which of the expected points retention would not have forgotten. A suspect one it never does."""
    copies = {str(name): copy for name, copy in ref.copies.items()}
    if centre not in copies:
        return frozenset(each.id for each in expected)
    bad = bad_points(access.catalogue, ref.tenant.tenant, ref.name)
    suspects = {each.point.id for each in landed if each.standing is Standing.SUSPECT}
    good = [
        Held(each.id, each.data_time, each.finished_at, each.finished_at, proved=False)
        for each in expected
        if each.id not in bad | suspects
    ]
    local = zone(access.site.timezone)
    return frozenset(kept_by_rule(good, copies[centre].retention, datetime.now(UTC), local)) | suspects


def _read_referrers(access: Access, ref: SystemRef, centre: str) -> Looked:
    read = scrub(access.bucket(centre, ref.tenant.tenant), ref.name, REFERRERS)
    return Looked(read.objects, read.size_bytes, as_faults(read.corrupt, read.missing))


def _check_structure(access: Access, ref: SystemRef, centre: str, *, keys_damaged: bool) -> Looked:
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
            return Looked(len(packs), sum(packs), tuple(_faults_of(error, access, bucket, ref)))
        except CredentialRefused:
            if not keys_damaged:
                raise
            return Looked(0, 0, shut=True)
        remember_config(access, ref, centre)
        break
    return Looked(len(packs), sum(packs))


def _faults_of(error: Damaged, access: Access, bucket: Bucket, ref: SystemRef) -> Iterable[Fault]:
    for pack in error.packs:
        key = f"{ref.name}/data/{pack[:2]}/{pack}"
        state = examine(bucket, key)
        kind = {"corrupt": Kind.CORRUPT, "missing": Kind.MISSING}.get(state, Kind.DAMAGED)
        yield Fault(key, kind, "the index refers to this pack")
    if error.packs:
        return
    lost = _lost_indexes(access, bucket, ref)
    yield from lost or [Fault(f"{ref.name}/", Kind.DAMAGED, str(error))]


def _lost_indexes(access: Access, bucket: Bucket, ref: SystemRef) -> list[Fault]:
    """Return the indexes of another centre that name packs which no index here does, and none that is not here.

    Nothing names an index: that one is gone shows in packs that none names, although something needs them.
    """
    packs = frozenset(each.key.rpartition("/")[2] for each in bucket.list(f"{ref.name}/data/"))
    try:
        here = _indexes(access, bucket, ref, frozenset())
        unnamed = packs.difference(*here.values())
        for other in others(access, ref, bucket.centre):
            theirs = _indexes(access, other, ref, here.keys()) if unnamed else {}
            found = sorted(key for key, names in theirs.items() if names & unnamed and names <= packs)
            if found:
                detail = f"the index of packs that are there; {other.centre} has it"
                return [Fault(key, Kind.MISSING, detail) for key in found]
    except TricenterError:  # an index here that cannot be read is among the faults, and a centre may be away
        pass
    return []


def _indexes(access: Access, bucket: Bucket, ref: SystemRef, known: Collection[str]) -> dict[str, frozenset[str]]:
    """Return which packs each index at a centre names, without those that are known."""
    repository = access.repository(bucket.centre, ref)
    return {
        each.key: repository.index_packs(each.key.rpartition("/")[2])
        for each in bucket.list(f"{ref.name}/index/")
        if each.key not in known
    }


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
