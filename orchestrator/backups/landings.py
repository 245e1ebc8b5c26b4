"""Landings: which recovery points a centre holds, read from that centre's own listing and never from a job's log."""

from __future__ import annotations

from orchestrator.catalogue.records import PointAt
from orchestrator.catalogue.store import Catalogue
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
