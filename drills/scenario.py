"""The scenario of a drill: which plan, for which system, at which centre, and what is demanded of it.

It is written into the drill's first row, with titles and objectives as they were on that day. So a report can be made
again years later from rows alone, when the site's files have long changed.
"""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from drills.measure import Objective
from orchestrator.errors import InvalidInput
from policies.plan import Plan, effective_probes
from policies.site import Site, SystemRef
from policies.tiers import CentreName

#: A plan that sets no deadline is stopped after this many times its RTO.
DEADLINE_IN_RTOS = 2

Title = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is played. Titles are {"zh": …, "en": …}; lengths of time are seconds."""

    kind: str
    site: str
    site_title: Title
    plan: str
    plan_title: Title
    owner: str
    tenant: str
    tenant_title: Title
    contact: str
    system: str
    system_title: Title
    tier: str
    tier_title: Title
    gbt20988_level: int
    centre: str
    centre_title: Title
    production_title: Title
    distance_km: float
    objective: Objective
    deadline_seconds: float
    probes: tuple[Mapping[str, Any], ...]
    operator: str
    host: str
    program: str

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Scenario:
        return cls(**{**value, "objective": Objective(**value["objective"]), "probes": tuple(value["probes"])})


def set_scenario(site: Site, plan: Plan, ref: SystemRef, centre: CentreName) -> Scenario:
    """Return the scenario of a restore drill of `plan` at `centre`.

    Raises InvalidInput when the system's tier keeps no copy there: nothing could be recovered.
    """
    if centre not in ref.copies:
        raise InvalidInput(
            f"the tier {ref.tier.tier!r} of {ref} keeps no copy at {centre}",
            hint=f"drill it at {', '.join(ref.copies)}",
        )
    copy, here, production = ref.copies[centre], site.centres[centre], site.centres["production"]
    objective = Objective(copy.rpo.total_seconds(), copy.rto.total_seconds())
    return Scenario(
        kind="restore",
        site=site.site,
        site_title=site.title.model_dump(),
        plan=plan.plan,
        plan_title=(plan.title or ref.system.title).model_dump(),
        owner=plan.owner or "",
        tenant=ref.tenant.tenant,
        tenant_title=ref.tenant.title.model_dump(),
        contact=ref.tenant.contact,
        system=ref.name,
        system_title=ref.system.title.model_dump(),
        tier=ref.tier.tier,
        tier_title=ref.tier.title.model_dump(),
        gbt20988_level=ref.tier.gbt20988_level,
        centre=centre,
        centre_title=here.title.model_dump(),
        production_title=production.title.model_dump(),
        distance_km=round(here.location.distance_km(production.location), 1),
        objective=objective,
        deadline_seconds=plan.deadline.total_seconds() if plan.deadline else DEADLINE_IN_RTOS * objective.rto_seconds,
        probes=tuple(each.model_dump() for each in effective_probes(plan, ref.system)),
        operator=os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name,
        host=socket.gethostname(),
        program=f"tricenter {version('tricenter')}",
    )
