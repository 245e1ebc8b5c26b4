"""Would all of production fit at a centre at once? What they need there, what is free, and who is shed if not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from drills.plans.cloud_checks import Program, needs
from orchestrator.catalogue.records import Point
from orchestrator.cloud import capacity
from orchestrator.cloud.connection import disconnect
from orchestrator.cloud.hosts import free_of_hosts
from orchestrator.errors import InvalidInput
from policies.headroom import RESOURCES, Headroom, Need, share_out, total
from policies.site import SystemRef
from policies.tiers import CentreName


@dataclass(frozen=True, slots=True)
class Found:
    """What was found at a centre. Room that nobody limits is not in it; memory in MiB, volumes in GiB."""

    centre: str
    needed: Mapping[str, float]
    room: Mapping[str, float]
    shared: Headroom

    def as_json(self) -> dict[str, Any]:
        return {
            "centre": self.centre,
            "fits": self.shared.fits,
            "needed": dict(self.needed),
            "free": dict(self.room),
            "kept": [each.system for each in self.shared.kept],
            "shed": [{"system": each.system, "lacking": list(why)} for each, why in self.shared.shed],
        }


def look_at_headroom(program: Program, centre: CentreName) -> Found:
    """Look at a centre as if production were lost now. Reads only.

    Raises InvalidInput for a centre without a cloud, CheckFailed for a flavor that is not there, Unreachable.
    """
    if centre not in program.site.clouds():
        raise InvalidInput(f"{centre} has no cloud", hint="systems are recovered there from their files alone")
    refs = sorted(
        (ref for ref in program.site.systems() if ref.system.servers and centre in ref.copies),
        key=lambda ref: _urgency(ref, centre),
    )
    cloud = program.new_cloud(centre)
    try:
        known, room = capacity.flavors(cloud), free_of_hosts(cloud)
    finally:
        disconnect(cloud)
    wanted = [_need(program, centre, ref, known) for ref in refs]
    quotas = {tenant: _free_quota(program, centre, tenant) for tenant in dict.fromkeys(each.tenant for each in wanted)}
    return Found(centre, total(wanted), room, share_out(wanted, room, quotas))


def _urgency(ref: SystemRef, centre: CentreName) -> tuple[Any, ...]:
    """The order in which systems are given room: as recoveries are started after the loss of a centre."""
    return ref.copies[centre].rto, -ref.tier.gbt20988_level, ref.tier.tier, str(ref)


def _need(program: Program, centre: str, ref: SystemRef, known: Mapping[str, capacity.Flavor]) -> Need:
    points = program.catalogue.points_at(centre, ref.tenant.tenant, ref.name)
    newest: Point | None = points[0].point if points else None
    amounts = needs([(ref, newest)], known)
    return Need(ref.tenant.tenant, str(ref), {name: getattr(amounts, name) for name in RESOURCES})


def _free_quota(program: Program, centre: str, tenant: str) -> dict[str, float]:
    cloud = program.tenant_cloud(centre, tenant)
    try:
        free = capacity.free(cloud)
    finally:
        disconnect(cloud)
    return {each.name: left for each in fields(free) if (left := getattr(free, each.name)) is not None}
