"""The drill flow by name, so that any worker can hold a drill from a row of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast

from drills.evidence import as_document
from drills.report.render import write_report
from drills.run import Drill, restore_drill
from drills.scenario import set_scenario
from orchestrator.backups.access import Access
from orchestrator.catalogue.records import DrillRow
from orchestrator.engine.port import FlowSpec, Run
from orchestrator.errors import InvalidInput, TricenterError, UnknownName
from policies.plan import Plan, effective_probes
from policies.recovery_order import recovery_slots
from policies.site import Site, SystemRef
from policies.tiers import CentreName


class Program(Access, Protocol):
    """What drills need of the object graph."""

    @property
    def site(self) -> Site: ...

    @property
    def state(self) -> Path: ...

    def system(self, name: str) -> SystemRef: ...


def find_plan(site: Site, name: str) -> Plan:
    if name not in site.plans:
        raise UnknownName("plan", name, site.plans)
    return site.plans[name]


def prepare(program: Program, arguments: Mapping[str, str]) -> Drill:
    """Return the drill that the arguments describe. Raises UnknownName for a plan or centre that is none."""
    plan = find_plan(program.site, arguments["plan"])
    ref = program.system(plan.system)
    scratch = Path(arguments.get("scratch") or program.state / "scratch").absolute()
    centre = arguments["centre"]
    if centre not in ("same-city", "provincial"):
        raise InvalidInput(f"{centre!r} is no centre to recover at", hint="centre=same-city or centre=provincial")
    scenario = set_scenario(program.site, plan, ref, cast(CentreName, centre))
    probes = effective_probes(plan, ref.system)
    return Drill(scenario, ref, probes, arguments.get("point"), scratch, program.state / "reports")


def _hold(run: Run, program: Program, arguments: Mapping[str, str]) -> DrillRow:
    try:
        row = restore_drill(run, program, prepare(program, arguments))
    except TricenterError:
        write_reports(program, run.id)  # a drill that failed has a report as well
        raise
    write_reports(program, run.id)
    return row


def write_reports(program: Program, drill: str) -> Path | None:
    """Write the report of a drill that ended, from its rows; None for one that was not held. May be repeated."""
    for row in program.catalogue.drills():
        if row.id == drill:
            return write_report(program.state / "reports", as_document(row, program.catalogue.attempts(drill)))
    return None


def _slots(program: Program, arguments: Mapping[str, str]) -> tuple[str, ...]:
    ref = program.system(find_plan(program.site, arguments["plan"]).system)
    return recovery_slots(ref.tenant.tenant, arguments["centre"])


DRILL = FlowSpec(
    name="drill",
    arguments=("plan", "centre", "point?", "scratch?"),
    subject=lambda arguments: f"{arguments['plan']}@{arguments['centre']}",
    slots=_slots,
    run=_hold,
)
