"""The backup flow: all sources of a system into one recovery point, complete or not one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from orchestrator.backups.access import Access, repository_lease
from orchestrator.backups.destination import Destination, choose_destination, had_repository
from orchestrator.backups.digests import digests_by_source
from orchestrator.backups.document import TAG, PointDocument, SourceProof, as_point, compose_document, write_document
from orchestrator.backups.group import Group, back_up_group
from orchestrator.backups.hooks import check_hooks
from orchestrator.backups.landings import observe_landings
from orchestrator.backups.opening import remember_config
from orchestrator.backups.poison import UNJUDGED, judge
from orchestrator.backups.sources import back_up_source, check_source
from orchestrator.catalogue import leases
from orchestrator.catalogue.records import Point, PointAt
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

    A nearest centre that is away is passed, and the point says so; given `at` or `sealed_by`, no other centre will do.
    What is read is the system where it is active. May be repeated at any time: content that is there already is not
    stored again. Raises Busy while the repository is being rewritten, and Fenced when the vault's register knows of an
    epoch that moved the system. `sealed_by` is the run that has sealed the sources: what is read is the sealed
    state. A failure leaves no point; snapshots of its finished sources stay, unreferenced. So does a thaw that
    fails: what stands still now is worse news than a point that is missing, and must not wait for uploads.
    """
    # Whoever sealed the sources goes on from the nearest centre.
    to = _destination(run, access, ref, copy_centres(ref)[0] if sealed_by and not at else at)
    centre = to.centre
    repository = access.repository(centre, ref)
    with leases.hold(access.catalogue, repository_lease(centre, ref), run.id, exclusive=False):
        fenced = run.changed("fence")
        active = run.step("fence", check_fence, access, str(ref), centre) if fenced else NEVER_MOVED
        if sealed_by:
            from orchestrator.backups.seal import sealed_ref  # with all kinds of places: only a recovery pays for them

            ref = sealed_ref(ref, active.centre, sealed_by)
        run.step("check-sources", check_sources, access, ref, active.centre)
        run.step("open-repository", open_repository, access, ref, centre, run.id)
        group = Group(access, ref, active.centre, repository, sealed=sealed_by is not None)
        if run.changed("group"):
            proofs, consistent = back_up_group(run, group), group.consistent
        else:
            proofs, consistent = _one_by_one(run, group), None
        judged = (
            run.step("look-for-poison", judge, access, ref, active.centre, repository, proofs)
            if run.changed("poison")
            else UNJUDGED
        )
        document = partial(
            compose_document, ref, run.id, judged.noted(proofs),
            consistent=consistent, suspicion=judged.signals, bypassed=tuple(to.bypassed),
        )  # fmt: skip
        point = run.step("publish-document", _publish, access, document, repository, ref, active)
        return run.step("observe-landing", _landed, access, ref, centre, point)


def _one_by_one(run: Run, group: Group) -> tuple[SourceProof, ...]:
    return tuple(
        proof
        for name in group.ref.system.sources
        for proof in back_up_source(
            run, group.access, group.ref, name, group.centre, group.repository, partial(group.tags, run.id)
        )
    )


def _destination(run: Run, access: Access, ref: SystemRef, at: str | None) -> Destination:
    if at or not run.changed("destination"):
        return Destination(at or copy_centres(ref)[0])
    return run.step("choose-destination", choose_destination, access, ref, run.id)


def open_repository(access: Access, ref: SystemRef, centre: str, run_id: str = "") -> None:
    """Make the repository at `centre` when the system has none anywhere. May be repeated.

    A system has one repository, with one chunker polynomial and one master key, at all its centres. So where another
    centre holds it already, this one is joined by replication and never initialised: Refused says so.
    """
    repository = access.repository(centre, ref)
    if repository.is_there():
        repository.clear_dead_locks()  # a killed backup leaves its lock, and check would refuse it
        return
    holder = _centre_that_has_it(access, ref, centre, run_id)
    if holder:
        raise Refused(
            f"{ref}: no repository at {centre}, but {holder} has it",
            hint=f"tricenter replicate {ref} --from {holder} --to {centre}",
        )
    repository.init()


def _centre_that_has_it(access: Access, ref: SystemRef, centre: str, run_id: str) -> str | None:
    for other in copy_centres(ref):
        if other == centre:
            continue
        try:
            if access.bucket(other, ref.tenant.tenant).head_within(f"{ref.name}/config"):
                return other
        except Unreachable:
            # Only a system that never had a repository may start while the other centre cannot be asked.
            if had_repository(access.catalogue, ref, run_id):
                raise
    return None


def check_sources(access: Access, ref: SystemRef, active: str) -> list[str]:
    """Raise unless every source can be read and every hook be run, as the system is active now. Changes nothing."""
    for name in ref.system.sources:
        check_source(access, ref, name, active)
    check_hooks(ref, active)
    return list(ref.system.sources)


def _publish(
    access: Access, make: Callable[[], PointDocument], repository: Repository, ref: SystemRef, active: Place
) -> Point:
    # A failover in the meantime: what was read is no longer the system.
    check_unmoved(access, str(ref), repository.bucket.centre, active)
    document = make()
    point = as_point(document, write_document(repository, document, (f"point={document.point}", TAG)))
    access.digests.keep(ref, point.document, digests_by_source(document))
    return point


def _landed(access: Access, ref: SystemRef, centre: str, point: Point) -> PointAt:
    remember_config(access, ref, centre)  # the document has just been written with it
    access.repository(centre, ref).clear_dead_locks()  # of this run's own attempts that were killed
    access.catalogue.add_point(point)
    for landed in observe_landings(access.catalogue, access.bucket(centre, ref.tenant.tenant), ref, centre):
        if landed.point.id == point.id:
            return landed
    raise CheckFailed(f"{ref}: point {point.id} was written, but the listing of {centre} does not show it")
