"""The commands `tricenter plan …`: write plans, list and show them, and look at whether they are ready."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drills.kinds import SHAPES
from drills.plans import show
from drills.plans.flows import find_plan
from drills.plans.headroom_command import headroom_command
from drills.plans.turns import expected_turns
from orchestrator.catalogue.database import now as current_time
from orchestrator.catalogue.plans import read_plans
from orchestrator.errors import CheckFailed, InvalidInput, Refused
from policies.plan import Plan
from policies.plan_writing import written_plan
from policies.readiness import Item, Readiness
from policies.site import SystemRef
from policies.work import plan_centres

if TYPE_CHECKING:
    from orchestrator.app import App

CENTRES = click.Choice(["same-city", "provincial"])
output_option = click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="输出格式 output format"
)


@click.group()
def plan() -> None:
    """恢复预案：生成、查看、就绪检查 recovery plans: write, show, and look at whether they are ready."""


@plan.command("init")
@click.argument("systems", nargs=-1, metavar="[TENANT[/SYSTEM]…]")
@click.option("--name", help="预案名 its name; that of the system when not given")
@click.option("--group", help="把系统放入一个分组 put the systems into a group")
@click.option("--to", "target", type=click.Path(path_type=Path, dir_okay=False), help="写到哪里 plans/NAME.yaml")
@click.option("--dry-run", is_flag=True, help="只显示 print it, write nothing")
@click.pass_obj
def init(
    app: App, systems: tuple[str, ...], name: str | None, group: str | None, target: Path | None, dry_run: bool
) -> None:
    """按系统的描述生成一份可编辑的预案。

    Write one plan for these systems, to be edited: steps, probes, order and addresses as the site describes them.
    Never overwrites a file.
    """
    refs = _chosen(app, systems)
    title = name or (target.stem if target else _name_of(refs, group))
    text = written_plan(title, refs, group)
    if dry_run:
        click.echo(text, nl=False)
        return
    file = target or _folder(app) / "plans" / f"{title}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as sink:
            sink.write(text)
    except FileExistsError:
        raise Refused(f"{file} is there already", hint="give --to another file, or edit that one") from None
    app.console.print(f"已写入 written: {file}", soft_wrap=True, markup=False)
    app.console.print(f"下一步 next: tricenter validate {_folder(app)}", soft_wrap=True, markup=False)


@plan.command("list")
@output_option
@click.pass_obj
def list_plans(app: App, output: str) -> None:
    """各预案在各中心的状态、上次演练与下次到期 every plan at every centre: state, last drill, next due."""
    rows = read_plans(app.site, app.catalogue, current_time())
    if output == "json":
        click.echo(json.dumps([show.as_json(each) for each in rows], ensure_ascii=False, indent=2))
    else:
        show.show_plans(app.console, rows)


@plan.command("show")
@click.argument("name", metavar="PLAN")
@click.option("--centre", type=CENTRES, help="在哪个中心 the centre; the nearest when not given")
@output_option
@click.pass_obj
def show_plan(app: App, name: str, centre: str | None, output: str) -> None:
    """预案的步骤、批次与预计时间、地址对照 the steps as they would be run, waves with times, addresses."""
    chosen = find_plan(app.site, name)
    centres = plan_centres(app.site, chosen)
    where = centre or next(iter(centres), None)
    if where is None or where not in centres:
        raise InvalidInput(
            f"plan {name} cannot be recovered at {where or 'any centre'}",
            hint=f"all of its systems must keep copies there; they do at {', '.join(centres) or 'none'}",
        )
    waves = expected_turns(app.site, app.catalogue, chosen, where, current_time())
    shown = show.Shown(app.site, chosen, where, waves)
    if output == "json":
        click.echo(json.dumps(show.plan_as_json(shown), ensure_ascii=False, indent=2))
    else:
        show.show_plan(app.console, shown)


@plan.command("check")
@click.argument("name", metavar="[PLAN]", required=False)
@click.option("--all", "every", is_flag=True, help="全部预案 every plan that can be recovered there")
@click.option("--centre", type=CENTRES, required=True, help="在哪个中心 the centre to recover at")
@click.option("--kind", type=click.Choice(list(SHAPES)), help="为哪种演练 for which kind of run")
@output_option
@click.pass_obj
def check(app: App, name: str | None, every: bool, centre: str, kind: str | None, output: str) -> int:
    """就绪检查：不执行任何操作，逐项说明下一步。

    Is the plan ready to be run at CENTRE? Nothing is run or changed. Exit code 4 when something stands in the way.
    """
    if (name is None) is not every:
        raise click.UsageError("give the name of a plan, or --all")
    plans = [find_plan(app.site, name)] if name else _plans_at(app, centre)
    found = []
    for each in plans:
        arguments = {"plan": each.plan, "centre": centre, **({"kind": kind} if kind else {})}
        found.append(as_readiness(app.runner.run("plan-check", arguments)))
        if output == "table":
            show.show_readiness(app.console, found[-1])
    if output == "json":
        documents = [each.as_json() for each in found]
        click.echo(json.dumps(documents if every else documents[0], ensure_ascii=False, indent=2))
    return 0 if all(each.ready for each in found) else CheckFailed.exit_code


plan.add_command(headroom_command)


def as_readiness(value: Mapping[str, Any]) -> Readiness:
    """Return what the flow found, from the plain JSON that it returns."""
    items = tuple(Item.from_json(each) for each in value["items"])
    return Readiness(value["plan"], value["centre"], value["kind"], items, value["seconds"])


def _plans_at(app: App, centre: str) -> list[Plan]:
    return [each for _, each in sorted(app.site.plans.items()) if centre in plan_centres(app.site, each)]


def _chosen(app: App, names: Sequence[str]) -> list[SystemRef]:
    """Return the systems of these names, each once, in their order. Raises UnknownName."""
    found = {str(ref): ref for name in names or (None,) for ref in app.systems(name)}
    return list(found.values())


def _name_of(refs: Sequence[SystemRef], group: str | None) -> str:
    if len(refs) == 1:
        return f"{refs[0].tenant.tenant}-{refs[0].name}"
    if group:
        return group
    raise click.UsageError("several systems: give the plan a --name")


def _folder(app: App) -> Path:
    assert app.site_folder is not None
    return app.site_folder
