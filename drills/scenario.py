"""The scenario of a run of a plan: which systems, at which centre, by whom, and what is demanded of each.

It is written into the run's first row, with titles and objectives as they were on that day. So a report can be made
again years later from rows alone, when the site's files have long changed.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from drills.kinds import SHAPES, Shape
from drills.measure import Objective
from orchestrator.errors import InvalidInput
from policies.plan import Kind, Plan, before, effective_probes, effective_steps
from policies.site import Site, SystemRef
from policies.tiers import CentreName, CopyRule

#: A plan that sets no deadline is stopped after this many times its longest RTO.
DEADLINE_IN_RTOS = 2

Title = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """One system of the plan, and what is demanded of it. Titles are {"zh": …, "en": …}."""

    tenant: str
    tenant_title: Title
    contact: str
    system: str
    system_title: Title
    tier: str
    tier_title: Title
    gbt20988_level: int
    objective: Objective
    after: tuple[str, ...]
    steps: tuple[Mapping[str, Any], ...]
    probes: tuple[Mapping[str, Any], ...]

    @property
    def name(self) -> str:
        return f"{self.tenant}/{self.system}"

    @property
    def tolerated(self) -> frozenset[str]:
        """The steps whose failure does not halt the plan."""
        return frozenset(_label(each) for each in self.steps if each["on_failure"] == "continue")

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Part:
        lists = {key: tuple(value[key]) for key in ("after", "steps", "probes")}
        return cls(**{**value, **lists, "objective": Objective(**value["objective"])})


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is played, or what happened. Lengths of time are seconds; `outage_at` is ISO 8601."""

    kind: Kind
    site: str
    site_title: Title
    plan: str
    plan_title: Title
    plan_digest: str
    owner: str
    centre: str
    centre_title: Title
    production_title: Title
    distance_km: float
    deadline_seconds: float
    outage_at: str | None
    reason: str
    operator: str
    host: str
    program: str
    systems: tuple[Part, ...]

    @property
    def shape(self) -> Shape:
        return SHAPES[self.kind]

    def part(self, name: str) -> Part:
        return next(each for each in self.systems if each.name == name)

    @property
    def outage(self) -> datetime | None:
        return datetime.fromisoformat(self.outage_at) if self.outage_at else None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Scenario:
        return cls(**{**value, "systems": tuple(Part.from_json(each) for each in value["systems"])})


def set_scenario(
    site: Site,
    plan: Plan,
    centre: CentreName,
    kind: Kind,
    *,
    digest: str,
    operator: str,
    outage_at: datetime | None = None,
    reason: str = "",
) -> Scenario:
    """Return the scenario of a run of `plan` at `centre`.

    Raises InvalidInput when nothing could be recovered there: a system's tier keeps no copy at the centre, or the
    centre has no cloud for a system's servers.
    """
    here, production = site.centres[centre], site.centres["production"]
    parts = tuple(_part(site, plan, name, centre, SHAPES[kind]) for name in plan.systems)
    longest = max(each.objective.rto_seconds for each in parts)
    title = plan.title or find_system(site, next(iter(plan.systems))).system.title
    return Scenario(
        kind=kind,
        site=site.site,
        site_title=site.title.model_dump(),
        plan=plan.plan,
        plan_title=title.model_dump(),
        plan_digest=digest,
        owner=plan.owner or "",
        centre=centre,
        centre_title=here.title.model_dump(),
        production_title=production.title.model_dump(),
        distance_km=round(here.location.distance_km(production.location), 1),
        deadline_seconds=plan.deadline.total_seconds() if plan.deadline else DEADLINE_IN_RTOS * longest,
        outage_at=outage_at.isoformat() if outage_at else None,
        reason=reason,
        operator=operator,
        host=socket.gethostname(),
        program=f"tricenter {version('tricenter')}",
        systems=parts,
    )


def _part(site: Site, plan: Plan, name: str, centre: CentreName, shape: Shape) -> Part:
    ref = find_system(site, name)
    copy = _copy_rule(ref, centre)
    if shape.servers and ref.system.servers and site.centres[centre].cloud is None:
        raise InvalidInput(
            f"{name} has servers, and {centre} has no cloud",
            hint="recover it at a centre with a cloud, or hold a restore drill there",
        )
    return Part(
        tenant=ref.tenant.tenant,
        tenant_title=ref.tenant.title.model_dump(),
        contact=ref.tenant.contact,
        system=ref.name,
        system_title=ref.system.title.model_dump(),
        tier=ref.tier.tier,
        tier_title=ref.tier.title.model_dump(),
        gbt20988_level=ref.tier.gbt20988_level,
        objective=Objective(copy.rpo.total_seconds(), copy.rto.total_seconds()),
        after=before(plan)[name],
        steps=tuple(each.model_dump(mode="json") for each in effective_steps(plan, name, ref.system)),
        probes=tuple(each.model_dump(mode="json") for each in effective_probes(plan, name, ref.system)),
    )


def _copy_rule(ref: SystemRef, centre: CentreName) -> CopyRule:
    """Return what the tier demands at a centre; of production, what it demands of the nearest copy."""
    if centre == "production":
        return next(iter(ref.copies.values()))
    if centre not in ref.copies:
        raise InvalidInput(
            f"the tier {ref.tier.tier!r} of {ref} keeps no copy at {centre}",
            hint=f"drill it at {', '.join(ref.copies)}",
        )
    return ref.copies[centre]


def find_system(site: Site, name: str) -> SystemRef:
    """Return a system of a plan, which the site has: that was checked when it was loaded."""
    tenant, _, system = name.partition("/")
    ref = site.system(tenant, system)
    assert ref is not None
    return ref


def _label(step: Mapping[str, Any]) -> str:
    return f"{step['do']}-{step['name']}" if step["name"] else str(step["do"])
