"""The commands `tricenter drill …`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drills import answer_commands, report_commands, watch_commands
from drills.evidence import find_drill, worst
from drills.flows import find_kind, find_plan, prepare
from drills.grounds.scratch import check_scratch, needed_bytes
from drills.measure import Verdict
from drills.promotion import check_promotable
from drills.report.complete import complete_document
from drills.run import Drill
from drills.show import Narrated, show_drill, show_drills
from drills.watching import Companion
from orchestrator.backups.landings import choose_point
from orchestrator.catalogue.records import DrillRow
from orchestrator.errors import CheckFailed, InvalidInput, TricenterError
from orchestrator.scratch.folder import MIB, check_space
from policies.plan import Plan
from policies.values import format_duration

if TYPE_CHECKING:
    from orchestrator.app import App
    from orchestrator.engine.execution import Execution

CENTRES = click.Choice(["production", "same-city", "provincial"])
KINDS = click.Choice(["tabletop", "restore", "sandbox", "switchover", "failover", "failback"])
output_option = click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", help="输出格式 how the result is printed"
)


@click.group()
def drill() -> None:
    """灾备演练与切换：恢复、校验、实测 RPO 与 RTO，并出具报告。

    Rehearse recovery or carry it out, prove what was recovered, measure RPO and RTO, and leave a report.
    """


@drill.command("run")
@click.argument("plan", required=False)
@click.option("--all", "every", is_flag=True, help="逐个演练全部预案 every plan with a copy there, one after another")
@click.option("--kind", type=KINDS, default="restore", help="方式 what is done; restore proves the data only")
@click.option("--centre", type=CENTRES, required=True, help="在哪个中心恢复 the centre to recover at")
@click.option("--scratch", type=click.Path(path_type=Path, file_okay=False), help="临时恢复目录 where to restore to")
@click.option(
    "--point", metavar="CHOICE", help="恢复点 latest, proved, at:TIME, random:SPAN or an id; latest when not given"
)
@click.option("--since", metavar="TIME", help="中断开始的时刻 when the outage began; now when not given")
@click.option("--reason", default="", help="宣告的理由 why it is declared")
@click.option("--override", metavar="REASON", help="仲裁不足时强制 go on without 2 of 3 centres; is recorded")
@click.option("--hold", metavar="SPAN", help="演练后保留沙箱 keep a sandbox for so long: to look at, or to promote")
@click.option("--dry-run", is_flag=True, help="只检查不执行 say what would be done, and whether it could")
@click.option("--watch", is_flag=True, help="实时进度 the picture of `drill watch` instead of lines")
@output_option
@click.pass_obj
def run_drills(
    app: App,
    /,
    plan: str | None,
    every: bool,
    scratch: Path | None,
    dry_run: bool,
    watch: bool,
    output: str,
    **asked: str | None,
) -> int:
    """执行预案：演练（tabletop、restore、sandbox）或切换（switchover、failover、failback）。

    Run a plan at CENTRE. Drills touch nothing of production. What makes the centre active waits for the approval of a
    second person. Exit code 4 when an objective was missed or the recovery failed; with --all, the highest.
    """
    if (plan is None) is not every:
        raise click.UsageError("give the name of a plan, or --all")
    if every and (asked["point"] or asked["hold"]):
        raise click.UsageError("--point and --hold go with one plan")
    if every and find_kind(asked["kind"] or "") not in ("restore", "sandbox"):
        raise click.UsageError("--all goes with restore and sandbox drills")
    plans = [find_plan(app.site, plan)] if plan else _plans_at(app, asked["centre"] or "")
    orders = [_arguments(each, (scratch or app.state / "scratch").absolute(), asked) for each in plans]
    if dry_run:
        documents = [_preview(app, each, output) for each in orders]
        _print_json(output, documents, every)
        return 0
    held = []
    for each in orders:
        held.append(_hold(app, each, output, watch=watch))
        if (error := held[-1].error) and every:
            app.progress_console.print(f"错误 error: {error}", style="red", markup=False)
    _print_json(output, [each.document for each in held if each.document], every)
    if held and not every and held[0].error:
        raise held[0].error
    return max((each.exit_code for each in held), default=0)


@drill.command("promote")
@click.argument("drill_id", metavar="ID")
@click.option("--since", metavar="TIME", help="中断开始的时刻 when the outage began; now when not given")
@click.option("--reason", default="", help="宣告的理由 why it is declared")
@click.option("--override", metavar="REASON", help="仲裁不足时强制 go on without 2 of 3 centres; is recorded")
@click.option("--watch", is_flag=True, help="实时进度 the picture of `drill watch` instead of lines")
@output_option
@click.pass_obj
def promote(app: App, /, drill_id: str, *, watch: bool, output: str, **asked: str | None) -> int:
    """把保留的沙箱转为灾难接管 promote a kept sandbox to a failover.

    A failover with the sandbox's recovery points. What it has restored and proved is not restored again: its servers
    are shut down and start anew, from the same volumes, in the tenant's own networks. A second person must approve.
    """
    row = app.catalogue.run(drill_id)
    if row.flow != "drill":
        raise InvalidInput(f"{drill_id} is a {row.flow}, and no sandbox", hint="tricenter drill list")
    given = {name: value for name, value in asked.items() if value}
    arguments = {name: row.arguments[name] for name in ("plan", "centre", "scratch") if name in row.arguments}
    order = {**arguments, "kind": "failover", "sandbox": drill_id, **given}
    check_promotable(app, drill_id, prepare(app, order).scenario)
    held = _hold(app, order, output, watch=watch)
    _print_json(output, [held.document] if held.document else [], every=False)
    if held.error:
        raise held.error
    return held.exit_code


@drill.command("list")
@click.option("--centre", type=CENTRES, help="只看一个中心 of one centre")
@click.option("--system", metavar="TENANT/SYSTEM", help="只看一个系统 of one system")
@output_option
@click.pass_obj
def list_drills(app: App, centre: str | None, system: str | None, output: str) -> None:
    """演练记录，最近的在前 drills that ended, newest first."""
    tenant, name = (app.system(system).tenant.tenant, app.system(system).name) if system else (None, None)
    rows = app.catalogue.drills(tenant, name, centre)
    if output == "json":
        documents = [_listed(app, drill, rows) for drill in dict.fromkeys(row.id for row in rows)]
        click.echo(json.dumps(documents, ensure_ascii=False, indent=2))
    else:
        show_drills(app.console, rows)


def _listed(app: App, drill_id: str, rows: Sequence[DrillRow]) -> dict[str, Any]:
    """Return the document of a drill; of one that an older program has recorded, what its rows say."""
    try:
        return complete_document(app.catalogue, drill_id)
    except InvalidInput:
        own = [each for each in rows if each.id == drill_id]
        told = {name: getattr(own[0], name) for name in ("plan", "centre", "kind", "report")}
        ends = {"started_at": own[0].started_at.isoformat(), "ended_at": own[0].ended_at.isoformat()}
        systems = [
            {"system": f"{each.tenant}/{each.system}", "verdict": str(each.verdict), "rto_seconds": each.rto_seconds}
            for each in own
        ]
        return {"drill": drill_id, **told, **ends, "verdict": str(worst([each.verdict for each in own])),
                "systems": systems}  # fmt: skip


@drill.command("show")
@click.argument("drill_id", metavar="ID")
@output_option
@click.pass_obj
def show_one(app: App, drill_id: str, output: str) -> None:
    """一次演练的全部结果 everything that one drill found."""
    row = find_drill(app.catalogue, drill_id)[0]
    document = complete_document(app.catalogue, drill_id)
    if output == "json":
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        show_drill(app.console, document, row.report)


@dataclass(frozen=True, slots=True)
class _Held:
    """How one run of several ended. No document when it could not be held."""

    document: dict[str, Any] | None
    error: TricenterError | None

    @property
    def exit_code(self) -> int:
        if self.error:
            return self.error.exit_code
        met = self.document is not None and self.document["verdict"] == Verdict.MET
        return 0 if met else CheckFailed.exit_code


def _plans_at(app: App, centre: str) -> list[Plan]:
    plans = [plan for _, plan in sorted(app.site.plans.items())]
    return [plan for plan in plans if all(centre in app.system(name).copies for name in plan.systems)]


def _arguments(plan: Plan, root: Path, asked: Mapping[str, str | None]) -> dict[str, str]:
    given = {name: value for name, value in asked.items() if value}
    return {"plan": plan.plan, "scratch": str(root), **given}


def _narrate(app: App, run: Execution) -> Narrated:
    return Narrated(run, app.progress_console, run.claim.run.part or "")


def _hold(app: App, arguments: dict[str, str], output: str, *, watch: bool) -> _Held:
    """Hold one run of a plan and show it. Its report is written also when it failed."""
    began: list[str] = []
    error = None
    prepare(app, arguments)  # what cannot be meant is told before anything is begun
    app.progress_console.print(f"[bold]{arguments['kind']} {arguments['plan']} @ {arguments['centre']}[/]")
    try:
        with Companion(app.catalogue, app.site.limits, app.progress_console) as companion:

            def begin(run_id: str) -> None:
                began.append(run_id)
                if watch:
                    companion.begin(run_id)

            app.runner.run("drill", arguments, on_run=begin, wrap=None if watch else partial(_narrate, app))
    except TricenterError as stopped:
        error = stopped
    if not any(row.id in began for row in app.catalogue.drills(centre=arguments["centre"])):
        return _Held(None, error)
    document = complete_document(app.catalogue, began[0])
    report = app.state / "reports" / f"{began[0]}.html"
    if output == "table":
        show_drill(app.console, document, str(report))
    return _Held({**document, "report": str(report)}, error)


def _preview(app: App, arguments: dict[str, str], output: str) -> dict[str, Any]:
    """Say what a run would do and check that it could, without a run, a restore or a row."""
    prepared = prepare(app, arguments)
    systems = [_preview_system(app, prepared, name) for name in sorted(prepared.refs, key=prepared.urgency.__getitem__)]
    needed = max(each["needed_bytes"] for each in systems)
    check_space(prepared.scratch, needed)
    scenario = prepared.scenario
    if output == "table":
        app.console.print(f"[bold]预演 dry run {scenario.kind} {scenario.plan} @ {scenario.centre}[/]")
        app.console.print(f"  临时目录 scratch: {prepared.scratch}  需要 needs {needed / MIB:,.0f} MiB")
        app.console.print(f"  截止 deadline {format_duration(scenario.deadline_seconds)}")
        for each in systems:
            objective = scenario.part(each["system"]).objective
            app.console.print(
                f"  {each['system']}  恢复点 point {each['point']}  数据时刻 data time {each['data_time']}\n"
                f"    目标 objective RPO {format_duration(objective.rpo_seconds)}"
                f" · RTO {format_duration(objective.rto_seconds)}  校验 probes: {', '.join(each['probes'])}"
            )
    return {
        "plan": scenario.plan,
        "kind": scenario.kind,
        "centre": scenario.centre,
        "scratch": str(prepared.scratch),
        "systems": systems,
    }


def _preview_system(app: App, prepared: Drill, name: str) -> dict[str, Any]:
    chosen = choose_point(app, prepared.refs[name], prepared.vault, prepared.point).point
    check_scratch(prepared.scratch, chosen)
    part = prepared.scenario.part(name)
    return {
        "system": name,
        "after": list(part.after),
        "point": chosen.id,
        "data_time": chosen.data_time.isoformat(),
        "needed_bytes": needed_bytes(chosen),
        "steps": [each["do"] for each in part.steps],
        "probes": [f"{each['kind']}:{each.get('source') or each.get('server') or ''}" for each in part.probes],
    }


def _print_json(output: str, documents: list[dict[str, Any]], every: bool) -> None:
    if output == "json" and (every or documents):
        click.echo(json.dumps(documents if every else documents[0], ensure_ascii=False, indent=2))


for each in (*answer_commands.COMMANDS, *report_commands.COMMANDS, *watch_commands.COMMANDS):
    drill.add_command(each)
