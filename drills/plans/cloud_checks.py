"""Looks at the cloud of the centre: the tenant's twin, flavors, and room for the servers and volumes of the plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from math import ceil
from typing import Any, Protocol

from drills.plans.looking import Answer, Check
from orchestrator.backups.access import Access
from orchestrator.catalogue.records import Point
from orchestrator.cloud import capacity
from orchestrator.cloud.connection import answered_within, disconnect
from orchestrator.cloud.image import images
from orchestrator.errors import CheckFailed
from orchestrator.tenants.desired import all_desired
from orchestrator.tenants.looking import Centres, look
from policies.findings import did_you_mean
from policies.site import Site, SystemRef
from policies.tiers import CentreName

#: The image that a volume is imported through has no name of its own; any name shows that the service answers.
NO_IMAGE = "tricenter-plan-check"
#: Drifts that are told by name.
TOLD = 3

_UNITS = {
    "instances": ("云主机", "servers"),
    "cores": ("vCPU", "vCPU"),
    "ram": ("MiB 内存", "MiB of memory"),
    "volumes": ("云硬盘", "volumes"),
    "gigabytes": ("GiB 容量", "GiB of volumes"),
}


class Program(Access, Centres, Protocol):
    """What is needed of the object graph."""

    @property
    def site(self) -> Site: ...

    def new_cloud(self, centre: str, **overrides: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class OfTenant:
    """The systems of one tenant in a plan, with the points that would be recovered (None: there is none)."""

    tenant: str
    systems: tuple[tuple[SystemRef, Point | None], ...]


def cloud_gate(program: Program, centre: str, seconds: float) -> Check:
    """Return the look whether the cloud answers at all."""

    def act() -> Answer:
        disconnect(program.new_cloud(centre, login_seconds=seconds))
        return Answer("ok", "云可登录", "the cloud answers")

    return Check("cloud", centre, act)


def cloud_checks(program: Program, centre: CentreName, of: OfTenant, gate: str, seconds: float) -> Iterator[Check]:
    """Yield the looks at the cloud for one tenant of the plan."""
    yield Check("twin", of.tenant, lambda: _twin(program, centre, of.tenant), gate)
    if any(ref.system.servers for ref, _ in of.systems):
        yield Check("capacity", of.tenant, lambda: _capacity(program, centre, of, seconds), gate)


def _twin(program: Program, centre: CentreName, tenant: str) -> Answer:
    """Whether the tenant is at the centre what the site says: project, quota, networks, security groups."""
    looks = look(program, all_desired(program.site, [tenant], centre))
    for error in looks.unreachable.values():
        raise error
    hint = f"tricenter tenant apply {tenant} --centre {centre}"
    if any(each.absent for each in looks.found):
        return Answer("fail", "租户在该中心不存在", "the tenant is not there", hint)
    if not looks.actions:
        return Answer("ok", "租户孪生一致", "the twin is as the site says")
    told = "; ".join(str(each) for each in looks.actions[:TOLD])
    count = len(looks.actions)
    lacking = any(each.kind in ("create", "conflict") for each in looks.actions)
    zh, en = f"与站点相差 {count} 项：{told}", f"differs from the site in {count}: {told}"
    return Answer("fail" if lacking else "warn", zh, en, hint)


def _capacity(program: Program, centre: str, of: OfTenant, seconds: float) -> Answer:
    cloud = program.tenant_cloud(centre, of.tenant)
    try:
        with answered_within(cloud, seconds):
            known, free = capacity.flavors(cloud), capacity.free(cloud)
            images(cloud, NO_IMAGE)
    finally:
        disconnect(cloud)
    needed = needs(of.systems, known)
    if lacking := short_of(needed, free):
        zh = "，".join(f"{_UNITS[name][0]} 缺 {amount}" for name, amount in lacking.items())
        en = ", ".join(f"{amount} {_UNITS[name][1]} short" for name, amount in lacking.items())
        hint = f"raise the quota of {of.tenant} in its file and apply it, or free what is in use at {centre}"
        return Answer("fail", zh, en, hint)
    zh = f"可容纳 {needed.instances} 台云主机、{needed.gigabytes} GiB"
    return Answer("ok", zh, f"there is room for {needed.instances} servers and {needed.gigabytes} GiB")


def needs(systems: Iterable[tuple[SystemRef, Point | None]], known: Mapping[str, capacity.Flavor]) -> capacity.Amounts:
    """Return what the servers and volumes of these systems take. Raises CheckFailed for a flavor that is not there."""
    flavors: list[capacity.Flavor] = []
    sizes: list[int] = []
    for ref, point in systems:
        bytes_of = {each.source: each.bytes for each in point.sources} if point else {}
        for name, server in ref.system.servers.items():
            if server.flavor not in known:
                raise CheckFailed(
                    f"{ref}: there is no flavor {server.flavor!r} for the server {name}",
                    hint=did_you_mean(server.flavor, known),
                )
            flavors.append(known[server.flavor])
            sizes += [ceil(bytes_of.get(volume, 0) / capacity.GIB) for volume in (server.boot, *server.volumes)]
    return capacity.Amounts(
        instances=len(flavors),
        cores=sum(each.cores for each in flavors),
        ram=sum(each.ram for each in flavors),
        volumes=len(sizes),
        gigabytes=sum(sizes),
    )


def short_of(needed: capacity.Amounts, free: capacity.Amounts) -> dict[str, int]:
    """Return how much is lacking of what; nothing when all fits."""
    names: Sequence[str] = [each.name for each in fields(capacity.Amounts)]
    gaps = {name: (getattr(needed, name) or 0) - left for name in names if (left := getattr(free, name)) is not None}
    return {name: int(gap) for name, gap in gaps.items() if gap > 0}
