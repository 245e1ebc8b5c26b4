"""Landings: which recovery points a centre holds, read from that centre's own listing and never from a job's log."""

from __future__ import annotations

from orchestrator.backups.access import Access
from orchestrator.catalogue.records import PointAt
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import CheckFailed, UnknownName
from orchestrator.vault.s3 import Bucket
from policies.site import SystemRef


def observe_landings(catalogue: Catalogue, bucket: Bucket, ref: SystemRef, centre: str) -> list[PointAt]:
    """Read the centre's listing, record what is complete there, and return it, the newest data first.

    A point is there from the moment its last snapshot is: replication publishes snapshots only after everything
    they refer to, so a snapshot's presence is the presence of its data.
    """
    tenant = ref.tenant.tenant
    listed = {entry.key.rpartition("/")[2]: entry.modified_at for entry in bucket.list(f"{ref.name}/snapshots/")}
    landed = {
        point.id: max(listed[snapshot] for snapshot in point.snapshot_ids)
        for point in catalogue.points(tenant, ref.name)
        if point.snapshot_ids <= listed.keys()
    }
    catalogue.set_landings(centre, tenant, ref.name, landed)
    return catalogue.points_at(centre, tenant, ref.name)


def choose_point(access: Access, ref: SystemRef, centre: str, point: str | None) -> PointAt:
    """Return the recovery point to use: the one with the newest data in the centre's own listing, or the named one.

    Raises CheckFailed when the centre holds none, UnknownName when it does not hold the named one.
    """
    landed = observe_landings(access.catalogue, access.bucket(centre, ref.tenant.tenant), ref, centre)
    if not landed:
        raise CheckFailed(
            f"{ref} has no recovery point at {centre}",
            hint=f"tricenter backup run {ref}" + ("" if centre == "same-city" else f", then tricenter replicate {ref}"),
        )
    if point is None:
        return landed[0]
    for each in landed:
        if each.point.id == point:
            return each
    raise UnknownName(f"recovery point of {ref} at {centre}", point, [each.point.id for each in landed])
