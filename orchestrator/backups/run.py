"""The backup flow: all sources of a system into one recovery point, complete or not one."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version

from orchestrator.backups.access import Access, repository_lease
from orchestrator.backups.document import FILENAME, TAG, PointDocument, SourceProof
from orchestrator.backups.landings import observe_landings
from orchestrator.backups.seal import sealed_ref
from orchestrator.backups.sources import back_up_source, check_source
from orchestrator.catalogue import leases
from orchestrator.catalogue.records import Point, PointAt
from orchestrator.catalogue.store import Catalogue
from orchestrator.engine.port import Run
from orchestrator.epoch.fence import check_fence, check_unmoved
from orchestrator.errors import CheckFailed, Refused, Unreachable
from orchestrator.vault.restic import Repository
from policies.epoch import NEVER_MOVED, Place
from policies.site import SystemRef
from policies.work import copy_centres


def back_up(
    run: Run, access: Access, ref: SystemRef, *, at: str | None = None, sealed_by: str | None = None
) -> PointAt:
    """Make one recovery point of a system at its nearest centre, or at another one, and return it as it is listed.

    What is read is the system where it is active. May be repeated at any time: content that is there already is not
    stored again. Raises Busy while the repository is being rewritten, and Fenced when the vault's register knows of an
    epoch that moved the system. `sealed_by` is the run that has sealed the sources: what is read is the sealed
    state. A failure leaves no point; snapshots of its finished sources stay, unreferenced.
    """
    centre = at or copy_centres(ref)[0]
    repository = access.repository(centre, ref)
    with leases.hold(access.catalogue, repository_lease(centre, ref), run.id, exclusive=False):
        fenced = run.changed("fence")
        active = run.step("fence", check_fence, access, str(ref), centre) if fenced else NEVER_MOVED
        if sealed_by:
            ref = sealed_ref(ref, active.centre, sealed_by)
        run.step("check-sources", _check_sources, access, ref, active.centre)
        run.step("open-repository", open_repository, access, ref, centre)
        proofs = tuple(
            back_up_source(run, access, ref, name, active.centre, repository, _tags(run, name))
            for name in ref.system.sources
        )
        point = run.step("publish-document", _publish, access, run.id, repository, ref, proofs, active)
        return run.step("observe-landing", _landed, access, ref, centre, point)


def open_repository(access: Access, ref: SystemRef, centre: str) -> None:
    """Make the repository at `centre` when the system has none anywhere. May be repeated.

    A system has one repository, with one chunker polynomial and one master key, at all its centres. So where another
    centre holds it already, this one is joined by replication and never initialised: Refused says so.
    """
    repository = access.repository(centre, ref)
    if repository.exists():
        repository.clear_dead_locks()  # a killed backup leaves its lock, and check would refuse it
        return
    holder = _centre_that_has_it(access, ref, centre)
    if holder:
        raise Refused(
            f"{ref}: no repository at {centre}, but {holder} has it",
            hint=f"tricenter replicate {ref} --from {holder} --to {centre}",
        )
    repository.init()


def _centre_that_has_it(access: Access, ref: SystemRef, centre: str) -> str | None:
    for other in copy_centres(ref):
        if other == centre:
            continue
        try:
            if any(access.bucket(other, ref.tenant.tenant).list(f"{ref.name}/config")):
                return other
        except Unreachable:
            # Only a system that never had a point may start while the other centre cannot be asked.
            if _has_points(access.catalogue, ref):
                raise
    return None


def _has_points(catalogue: Catalogue, ref: SystemRef) -> bool:
    return bool(catalogue.points(ref.tenant.tenant, ref.name))


def _check_sources(access: Access, ref: SystemRef, active: str) -> list[str]:
    for name in ref.system.sources:
        check_source(access, ref, name, active)
    return list(ref.system.sources)


def _tags(run: Run, source: str) -> tuple[str, str]:
    return f"point={run.id}", f"source={source}"


def _publish(
    access: Access,
    run_id: str,
    repository: Repository,
    ref: SystemRef,
    proofs: tuple[SourceProof, ...],
    active: Place,
) -> Point:
    # A failover in the meantime: what was read is no longer the system.
    check_unmoved(access, str(ref), repository.bucket.centre, active)
    document = PointDocument(
        point=run_id,
        run=run_id,
        tenant=ref.tenant.tenant,
        system=ref.name,
        tier=ref.tier.tier,
        data_time=min(each.copy.data_time for each in proofs),  # all sources are complete up to the oldest of them
        finished_at=datetime.now(UTC),
        program=f"tricenter {version('tricenter')}",
        sources=proofs,
    )
    tags = (f"point={document.point}", TAG)
    with repository.backup_stream(FILENAME, host=ref.tenant.tenant, tags=tags) as stream:
        stream.write(document.as_bytes())
        return _point(document, proofs, stream.commit().snapshot_id)


def _point(document: PointDocument, proofs: tuple[SourceProof, ...], snapshot: str) -> Point:
    return Point(
        id=document.point,
        run_id=document.run,
        tenant=document.tenant,
        system=document.system,
        tier=document.tier,
        data_time=document.data_time,
        finished_at=document.finished_at,
        bytes=sum(each.copy.bytes for each in proofs),
        added_bytes=sum(each.added_bytes for each in proofs),
        document=snapshot,
        sources=tuple(each.copy for each in proofs),
    )


def _landed(access: Access, ref: SystemRef, centre: str, point: Point) -> PointAt:
    access.repository(centre, ref).clear_dead_locks()  # of this run's own attempts that were killed
    access.catalogue.add_point(point)
    for landed in observe_landings(access.catalogue, access.bucket(centre, ref.tenant.tenant), ref, centre):
        if landed.point.id == point.id:
            return landed
    raise CheckFailed(f"{ref}: point {point.id} was written, but the listing of {centre} does not show it")
