"""The look at whether a plan is ready, as a flow: held by the schedule each day, and by people before they need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drills.kinds import SHAPES
from drills.plans.readiness import Program, check_plan, usual_kind
from orchestrator.catalogue.database import now
from orchestrator.catalogue.plans import PlanCheck, record_plan_check
from orchestrator.engine.port import FlowSpec, Run
from orchestrator.errors import UnknownName
from policies.plan import Kind, Plan
from policies.readiness import Readiness
from policies.site import Site
from policies.tiers import CentreName
from policies.work import COPY_CENTRES


def _check(run: Run, program: Program, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Look anew, and remember what was found. A plan that is not ready is a result and no failure of the run."""
    plan = find_plan(program.site, arguments["plan"])
    kind = find_kind(arguments["kind"]) if "kind" in arguments else usual_kind(program.site, plan)
    centre = find_centre(arguments["centre"])
    moment = now()
    found: Readiness = run.attempt("look", check_plan, program, plan, centre, kind, moment)
    items = tuple(each.as_json() for each in found.items)
    record_plan_check(
        program.catalogue,
        PlanCheck(plan.plan, centre, kind, run.id, moment, found.failed, found.warned, items),
    )
    return found.as_json()


def find_plan(site: Site, name: str) -> Plan:
    """Return a plan of the site. Raises UnknownName."""
    if name not in site.plans:
        raise UnknownName("plan", name, site.plans)
    return site.plans[name]


def find_kind(name: str) -> Kind:
    """Return a kind of run. Raises UnknownName."""
    if name not in SHAPES:
        raise UnknownName("kind of run", name, SHAPES)
    return SHAPES[name].kind


def find_centre(name: str) -> CentreName:
    """Return a centre that keeps copies. Raises UnknownName."""
    found = next((centre for centre in COPY_CENTRES if centre == name), None)
    if found is None:
        raise UnknownName("centre to recover at", name, COPY_CENTRES)
    return found


def _slots(program: Program, arguments: Mapping[str, str]) -> tuple[str, ...]:
    return (f"centre:{arguments['centre']}",)


PLAN_CHECK = FlowSpec(
    name="plan-check",
    arguments=("plan", "centre", "kind?"),
    subject=lambda arguments: f"{arguments['plan']}@{arguments['centre']}",
    slots=_slots,
    run=_check,
)
