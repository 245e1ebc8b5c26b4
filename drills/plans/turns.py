"""When each system of a plan is expected back: its order, what drills have measured, and the limits of the centre."""

from __future__ import annotations

from datetime import datetime

from orchestrator.catalogue.scenario import read_estimates
from orchestrator.catalogue.store import Catalogue
from policies.plan import Plan, before
from policies.recovery_order import recovery_slots
from policies.site import Site
from policies.waves import Task, Waves, plan_waves
from policies.work import plan_systems


def expected_turns(site: Site, catalogue: Catalogue, plan: Plan, centre: str, now: datetime) -> Waves:
    """Return the turns of the plan's systems as of `now`, from the catalogue alone. Raises Unreachable."""
    refs = {str(ref): ref for ref in plan_systems(site, plan)}
    estimates = read_estimates(site, catalogue, centre, now, refs)
    needs = before(plan)
    tasks = [
        Task(
            name,
            takes.total_seconds() if (takes := estimates[name].takes) else None,
            recovery_slots(ref.tenant.tenant, centre),
            needs[name],
        )
        for name, ref in refs.items()
    ]
    return plan_waves(tasks, site.limits)
