"""The replication flow: recovery points of a system from one centre to another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from orchestrator.backups.access import Access, repository_lease, target_lease
from orchestrator.backups.landings import observe_landings
from orchestrator.backups.looked import as_faults, place_of
from orchestrator.catalogue import leases
from orchestrator.catalogue import verifications as memory
from orchestrator.engine.port import Run
from orchestrator.epoch.fence import check_fence
from orchestrator.vault.replicate import CorruptSource, Replicated, replicate
from orchestrator.vault.s3 import Bucket
from policies.site import SystemRef


class Way(NamedTuple):
    """A system, the centre that its copies are taken from, and the one that they go to."""

    ref: SystemRef
    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.ref} {self.source}>{self.target}"


@dataclass(frozen=True, slots=True)
class SystemReplicated:
    """How the replication of one system ended: what travelled, and the points that are at the target now."""

    transfer: Replicated
    landed: tuple[str, ...]


def replicate_system(run: Run, access: Access, ref: SystemRef, source: str, target: str) -> SystemReplicated:
    """Copy what `target` does not hold yet of a system's repository at `source`. May be repeated; resumes.

    Raises CorruptObject when the source holds content that does not match its name: nothing is published then, and
    what was found is recorded, to be healed.
    Raises Busy while another replication writes to the same target, or the source is being rewritten, and Fenced when
    the target's register knows of an epoch that moved the system.
    """

    def report(done: int, total: int) -> None:
        run.progress(target, done, total)

    tenant = ref.tenant.tenant
    source_bucket, target_bucket = access.bucket(source, tenant), access.bucket(target, tenant)
    with (
        leases.hold(access.catalogue, repository_lease(source, ref), run.id, exclusive=False),
        leases.hold(access.catalogue, target_lease(target, ref), run.id, exclusive=True),
    ):
        transfer: Any = run.step(
            f"copy:{source}:{target}", _copy, access, ref, source_bucket, target_bucket, report, run.id
        )
        landed = run.step(f"observe-landing:{target}", _landed, access, ref, target)
    return SystemReplicated(transfer, landed)


def _copy(
    access: Access,
    ref: SystemRef,
    source: Bucket,
    target: Bucket,
    report: Callable[[int, int], None],
    run_id: str,
) -> Replicated:
    check_fence(access, str(ref), target.centre)
    known = memory.config_hash(access.catalogue, ref.tenant.tenant, ref.name)
    try:
        return replicate(source, target, ref.name, on_progress=report, config_sha256=known)
    except CorruptSource as error:
        faults = as_faults([f"{ref.name}/{key}" for key in error.replicated.corrupt], [])
        place = place_of(ref, source.centre)
        memory.record_faults(access.catalogue, place, faults, datetime.now(UTC), by=run_id)
        raise


def _landed(access: Access, ref: SystemRef, centre: str) -> tuple[str, ...]:
    bucket = access.bucket(centre, ref.tenant.tenant)
    return tuple(each.point.id for each in observe_landings(access.catalogue, bucket, ref, centre))
