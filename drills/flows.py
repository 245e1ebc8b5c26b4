"""The flows of this room by name, so that any worker can hold a drill, or recover a system, from a catalogue's row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, cast

from drills import promotion
from drills.corrections import follow_drill
from drills.evidence import as_document
from drills.kinds import SHAPES
from drills.plans.turns import expected_turns
from drills.recover import Task, find_point, recover
from drills.report.complete import complete
from drills.report.render import write_report
from drills.run import Drill, find_refs, hold
from drills.scenario import set_scenario
from orchestrator.backups.access import Access
from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.records import DrillRow
from orchestrator.engine.port import FlowSpec, Run
from orchestrator.errors import InvalidInput, TricenterError, UnknownName
from orchestrator.person import login_name
from orchestrator.vault.s3 import VaultAdmin
from policies.plan import Kind, Plan
from policies.plan_digest import plan_digest
from policies.recovery_order import recovery_slots
from policies.site import Site, SystemRef
from policies.tiers import CentreName
from policies.values import parse_duration

#: A kept sandbox takes room that a disaster may need.
LONGEST_HOLD = timedelta(days=7)


class Program(Access, Protocol):
    """What drills need of the object graph."""

    @property
    def site(self) -> Site: ...

    @property
    def state(self) -> Path: ...

    @property
    def ledger(self) -> Ledger: ...

    def vault_admin(self, centre: str) -> VaultAdmin: ...

    def system(self, name: str) -> SystemRef: ...


def find_plan(site: Site, name: str) -> Plan:
    if name not in site.plans:
        raise UnknownName("plan", name, site.plans)
    return site.plans[name]


def find_kind(name: str) -> Kind:
    if name not in SHAPES:
        raise UnknownName("kind of run", name, SHAPES)
    return name


def prepare(program: Program, arguments: Mapping[str, str]) -> Drill:
    """Return the run that the arguments describe. Raises UnknownName for a plan that is none, InvalidInput."""
    plan, kind = find_plan(program.site, arguments["plan"]), find_kind(arguments.get("kind", "restore"))
    centre = arguments["centre"]
    if centre not in _targets(kind):
        raise InvalidInput(f"{centre!r} is no centre for a {kind}", hint=f"centre={' or centre='.join(_targets(kind))}")
    scenario = set_scenario(
        program.site,
        plan,
        cast(CentreName, centre),
        kind,
        digest=plan_digest(program.site, plan),
        operator=arguments.get("operator") or login_name(),
        outage_at=_moment(arguments.get("since")),
        reason=arguments.get("reason", ""),
    )
    refs, vault = find_refs(program, plan), vault_for(program.site, centre)
    return Drill(
        scenario=scenario,
        plan=plan,
        refs=refs,
        point=arguments.get("point"),
        vault=vault,
        scratch=Path(arguments.get("scratch") or program.state / "scratch").absolute(),
        reports=program.state / "reports",
        urgency=expected_turns(program.site, program.catalogue, plan, vault, datetime.now(UTC)).urgency,
        override=arguments.get("override"),
        sandbox=_promoted(kind, arguments),
        hold_seconds=_hold_seconds(kind, arguments.get("hold")),
    )


def vault_for(site: Site, centre: str) -> str:
    """Return the centre whose vault a recovery at `centre` reads: its own, else the nearest one. Pure."""
    vaults = [str(name) for name in site.vaults()]
    return centre if centre in vaults else vaults[0]


def _targets(kind: Kind) -> tuple[str, ...]:
    return ("production",) if kind == "failback" else ("same-city", "provincial")


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"since: {text!r} is no time", hint="such as 2026-11-23T03:10+08:00") from None
    return moment.astimezone()


def _promoted(kind: Kind, arguments: Mapping[str, str]) -> str | None:
    sandbox = arguments.get("sandbox")
    if sandbox and kind != "failover":
        raise InvalidInput(f"a {kind} cannot promote a sandbox", hint="kind=failover")
    if sandbox and arguments.get("point"):
        raise InvalidInput("a promoted sandbox has its recovery points", hint="leave out either sandbox or point")
    return sandbox


def _hold_seconds(kind: Kind, text: str | None) -> float:
    """Return for how long what a run made is kept for people, nothing when it is not asked for."""
    if text is None:
        return 0.0
    if kind != "sandbox":
        raise InvalidInput(f"a {kind} leaves nothing that could be kept", hint="hold goes with kind=sandbox")
    try:
        wanted = parse_duration(text)
    except ValueError as error:
        raise InvalidInput(f"hold: {text!r}: {error}", hint="such as hold=2h") from None
    if not timedelta(0) < wanted <= LONGEST_HOLD:
        raise InvalidInput(f"hold: {text} is not between 1s and {LONGEST_HOLD.days}d", hint="such as hold=2h")
    return wanted.total_seconds()


def _hold(run: Run, program: Program, arguments: Mapping[str, str]) -> list[DrillRow]:
    drill = prepare(program, arguments)
    try:
        rows = hold(run, program, drill)
    except TricenterError:
        write_reports(program, run.id)  # a run that failed has a report as well
        raise
    write_reports(program, run.id)
    if drill.hold_seconds:
        promotion.keep(run, drill.hold_seconds)
    return rows


def write_reports(program: Program, drill: str) -> Path | None:
    """Write the report of a run of a plan that ended, from its rows; None for one not held. May be repeated."""
    if all(row.id != drill for row in program.catalogue.drills()):
        return None
    document = as_document(program.catalogue, drill)
    follow_drill(program.catalogue, document)
    return write_report(program.state / "reports", complete(document, program.catalogue))


def _recover(run: Run, program: Program, arguments: Mapping[str, str]) -> dict[str, Any]:
    ref = program.system(arguments["system"])
    task = Task(
        drill=arguments["drill"],
        plan=find_plan(program.site, arguments["plan"]),
        ref=ref,
        shape=SHAPES[find_kind(arguments["kind"])],
        centre=arguments["centre"],
        vault=arguments["vault"],
        point=find_point(program, ref, arguments["point"]),
        scratch=Path(arguments["scratch"]),
        sandbox=arguments.get("sandbox"),
        until=datetime.fromisoformat(arguments["until"]),
    )
    return recover(run, program, task)


def _recovery_slots(program: Program, arguments: Mapping[str, str]) -> tuple[str, ...]:
    ref = program.system(arguments["system"])
    return recovery_slots(ref.tenant.tenant, arguments["vault"])


def _subject(what: str, arguments: Mapping[str, str]) -> str:
    """Return what a run is about. One of each kind at a time: no failover waits until a rehearsal is over."""
    kind = arguments.get("kind", "restore")
    return f"{what}@{arguments['centre']}" + (f" {kind}" if kind != "restore" else "")


DRILL = FlowSpec(
    name="drill",
    arguments=(
        "plan",
        "centre",
        "kind?",
        "point?",
        "scratch?",
        "since?",
        "reason?",
        "operator?",
        "override?",
        "hold?",
        "sandbox?",
    ),
    subject=lambda arguments: _subject(arguments["plan"], arguments),
    slots=lambda program, arguments: (),  # its parts take them
    run=_hold,
)

RECOVER = FlowSpec(
    name="recover",
    arguments=("drill", "plan", "system", "kind", "centre", "vault", "point", "scratch", "until", "sandbox?"),
    subject=lambda arguments: _subject(arguments["system"], arguments),
    slots=_recovery_slots,
    run=_recover,
)
