"""The commands `tricenter drill …`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drills.evidence import as_document, find_drill
from drills.flows import find_plan, prepare
from drills.measure import Verdict
from drills.report.render import write_report
from drills.run import check_scratch, needed_bytes
from drills.show import Narrated, show_drill, show_drills
from orchestrator.backups.landings import choose_point
from orchestrator.errors import CheckFailed, TricenterError
from orchestrator.scratch.folder import MIB, check_space
from policies.plan import Plan
from policies.tiers import CentreName
from policies.values import format_duration

if TYPE_CHECKING:
    from orchestrator.app import App

CENTRES = click.Choice(["same-city", "provincial"])
output_option = click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", help="输出格式 how the result is printed"
)


@click.group()
def drill() -> None:
    """灾备演练：恢复、校验、实测 RPO 与 RTO，并出具报告。

    Rehearse recovery, prove what was recovered, measure RPO and RTO, and leave a report.
    """


@drill.command("run")
@click.argument("plan", required=False)
@click.option("--all", "every", is_flag=True, help="逐个演练全部预案 every plan with a copy there, one after another")
@click.option("--centre", type=CENTRES, required=True, help="在哪个中心恢复 the centre to recover at")
@click.option("--scratch", type=click.Path(path_type=Path, file_okay=False), help="临时恢复目录 where to restore to")
@click.option("--point", metavar="ID", help="指定恢复点 a recovery point; the newest at the centre when not given")
@click.option("--dry-run", is_flag=True, help="只检查不恢复 say what would be done, and whether it could")
@output_option
@click.pass_obj
def run_drills(
    app: App,
    plan: str | None,
    every: bool,
    centre: CentreName,
    scratch: Path | None,
    point: str | None,
    dry_run: bool,
    output: str,
) -> int:
    """执行演练：把数据恢复到临时环境并校验，不触碰生产。

    Restore a system to a scratch place as if CENTRE alone were left, prove it, and measure. Production and the other
    centres are not touched. Exit code 4 when an objective was missed or the recovery failed; with --all, the highest.
    """
    if (plan is None) is not every:
        raise click.UsageError("give the name of a plan, or --all")
    if every and point:
        raise click.UsageError("--point goes with one plan")
    plans = [find_plan(app.site, plan)] if plan else _plans_at(app, centre)
    root = (scratch or app.state / "scratch").absolute()
    if dry_run:
        documents = [_preview(app, each, centre, root, point, output) for each in plans]
        _print_json(output, documents, every)
        return 0
    held = []
    for each in plans:
        held.append(_hold(app, each, centre, root, point, output))
        if (error := held[-1].error) and every:
            app.progress_console.print(f"错误 error: {error}", style="red", markup=False)
    _print_json(output, [each.document for each in held if each.document], every)
    if held and not every and held[0].error:
        raise held[0].error
    return max((each.exit_code for each in held), default=0)


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
        documents = [as_document(row, app.catalogue.attempts(row.id)) for row in rows]
        click.echo(json.dumps(documents, ensure_ascii=False, indent=2))
    else:
        show_drills(app.console, rows)


@drill.command("show")
@click.argument("drill_id", metavar="ID")
@output_option
@click.pass_obj
def show_one(app: App, drill_id: str, output: str) -> None:
    """一次演练的全部结果 everything that one drill found."""
    row = find_drill(app.catalogue, drill_id)
    document = as_document(row, app.catalogue.attempts(row.id))
    if output == "json":
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        show_drill(app.console, document, row.report)


@drill.command("report")
@click.argument("drill_id", metavar="ID")
@click.pass_obj
def report(app: App, drill_id: str) -> None:
    """由记录重新生成报告并给出路径 make the report again from the rows, and print its path."""
    row = find_drill(app.catalogue, drill_id)
    click.echo(write_report(app.state / "reports", as_document(row, app.catalogue.attempts(row.id))))


@dataclass(frozen=True, slots=True)
class _Held:
    """How one drill of several ended. No document when it could not be held."""

    document: dict[str, Any] | None
    error: TricenterError | None

    @property
    def exit_code(self) -> int:
        if self.error:
            return self.error.exit_code
        met = self.document is not None and self.document["verdict"] == Verdict.MET
        return 0 if met else CheckFailed.exit_code


def _plans_at(app: App, centre: CentreName) -> list[Plan]:
    plans = [plan for _, plan in sorted(app.site.plans.items())]
    return [plan for plan in plans if centre in app.system(plan.system).copies]


def _hold(app: App, plan: Plan, centre: CentreName, root: Path, point: str | None, output: str) -> _Held:
    """Hold one drill and show it. Its report is written also when it failed."""
    began: list[str] = []
    error = None
    app.progress_console.print(f"[bold]演练 drill {plan.plan} @ {centre}[/]")
    try:
        app.runner.run(
            "drill",
            _arguments(plan, centre, root, point),
            on_run=began.append,
            wrap=lambda run: Narrated(run, app.progress_console),
        )
    except TricenterError as stopped:
        error = stopped
    rows = [row for row in app.catalogue.drills(centre=centre) if row.id in began]
    if not rows:
        return _Held(None, error)
    document = as_document(rows[0], app.catalogue.attempts(rows[0].id))
    report = app.state / "reports" / f"{rows[0].id}.html"
    if output == "table":
        show_drill(app.console, document, str(report))
    return _Held({**document, "report": str(report)}, error)


def _arguments(plan: Plan, centre: CentreName, root: Path, point: str | None) -> dict[str, str]:
    chosen = {"point": point} if point else {}
    return {"plan": plan.plan, "centre": centre, "scratch": str(root), **chosen}


def _preview(app: App, plan: Plan, centre: CentreName, root: Path, point: str | None, output: str) -> dict[str, Any]:
    """Say what a drill would do and check that it could, without a run, a restore or a row."""
    prepared = prepare(app, _arguments(plan, centre, root, point))
    scenario = prepared.scenario
    chosen = choose_point(app, prepared.ref, centre, point).point
    check_scratch(root, chosen)
    check_space(root, needed_bytes(chosen))
    probes = [f"{each.kind}:{each.source}" for each in prepared.probes]
    if output == "table":
        app.console.print(f"[bold]预演 dry run {plan.plan} @ {centre}[/]  {prepared.ref}")
        app.console.print(f"  恢复点 point: {chosen.id}  数据时刻 data time {chosen.data_time.astimezone():%F %T %z}")
        app.console.print(f"  临时目录 scratch: {root}  需要 needs {needed_bytes(chosen) / MIB:,.0f} MiB")
        app.console.print(
            f"  目标 objective: RPO {format_duration(scenario.objective.rpo_seconds)}"
            f" · RTO {format_duration(scenario.objective.rto_seconds)}"
            f" · 截止 deadline {format_duration(scenario.deadline_seconds)}"
        )
        app.console.print(f"  校验 probes: {', '.join(probes)}")
    return {
        "plan": plan.plan,
        "centre": centre,
        "point": chosen.id,
        "data_time": chosen.data_time.isoformat(),
        "scratch": str(root),
        "needed_bytes": needed_bytes(chosen),
        "probes": probes,
    }


def _print_json(output: str, documents: list[dict[str, Any]], every: bool) -> None:
    if output == "json" and (every or documents):
        click.echo(json.dumps(documents if every else documents[0], ensure_ascii=False, indent=2))
