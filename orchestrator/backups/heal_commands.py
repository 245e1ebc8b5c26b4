"""`tricenter backup heal` and `tricenter backup faults`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from orchestrator.backups import show
from orchestrator.backups.healing import Planned, SystemHealed, plan_healing
from orchestrator.backups.looked import place_of
from orchestrator.backups.options import dry_run_option, jobs_option, output_option
from orchestrator.backups.upkeep_commands import named_places
from orchestrator.backups.upkeep_show import At
from orchestrator.batch import Batch, Ended, raise_failures
from orchestrator.catalogue.verifications import Finding, findings, open_faults
from policies.values import format_size

if TYPE_CHECKING:
    from orchestrator.app import App


@click.command()
@click.argument("target", required=False)
@click.option("--centre", help="只修复一个中心 one centre only; every centre with open findings when not given")
@jobs_option
@dry_run_option
@output_option
@click.pass_obj
def heal(app: App, target: str | None, centre: str | None, jobs: int, dry_run: bool, output: str) -> None:
    """从另一中心修复校验发现的损坏或缺失对象 bring back what verification found corrupt or lost, from another centre.

    Shows first what is taken from where. Only copies whose content is what the name says are written, and nothing is
    deleted, so nobody is asked. Ends with 3 when something could not be healed, 6 when only because a centre is away.
    """
    places = named_places(app, target, centre)
    _ = app.runner  # clears up behind what was killed, before anything is planned
    places = [at for at in places if open_faults(app.catalogue, place_of(*at))]
    plans = [(at, plan_healing(app, *at)) for at in places]
    if output == "table":
        _show_plans(app, plans)
    if dry_run or not plans:
        if output == "json":
            show.print_json(app.console, [_plan_as_json(at, plan) for at, plan in plans])
        return
    runs: dict[str, str] = {}
    with show.progress(app.progress_console, "修复 heal", places) as bars:

        def work(at: At) -> SystemHealed:
            def report(what: str, done: float, total: float) -> None:
                batch.go_on()
                bars.move(at, what, done, total)

            arguments = {"system": str(at.ref), "centre": at.centre}
            done: SystemHealed = app.runner.run(
                "heal", arguments, observer=report, on_run=lambda run: runs.update({str(at): run})
            )
            return done

        batch: Batch[At, SystemHealed] = Batch(places, work, jobs=jobs)
        ended = batch.run(bars.end)
    found = findings(app.catalogue)
    if output == "json":
        show.print_json(app.console, [_ended_as_json(each, runs.get(str(each.subject)), found) for each in ended])
    else:
        _show_findings(app, [each for each in found if each.healed_by in runs.values()])
    raise_failures(ended)


@click.command()
@click.argument("target", required=False)
@click.option("--centre", help="只看一个中心 one centre only")
@click.option("--all", "everything", is_flag=True, help="包括已修复的 those that were healed, too")
@output_option
@click.pass_obj
def faults(app: App, target: str | None, centre: str | None, everything: bool, output: str) -> None:
    """校验发现的问题及其修复 what verification found wrong, and what became of it; the newest first."""
    places = {place_of(*at) for at in named_places(app, target, centre)}
    found = [each for each in findings(app.catalogue, healed=everything) if each.place in places]
    if output == "json":
        show.print_json(app.console, [_as_json(each) for each in found])
    else:
        _show_findings(app, found)


def _show_plans(app: App, plans: Sequence[tuple[At, Sequence[Planned]]]) -> None:
    rows = show.table("位置 place", "对象 object", "问题 fault", "大小 size ", "取自 from")
    for at, plan in plans:
        for each in plan:
            size = format_size(each.size_bytes) if each.source else ""
            source = f"[green]{each.source}" if each.source else f"[yellow]{escape(each.why)}"
            rows.add_row(str(at), escape(each.fault.key), str(each.fault.kind), size, source)
    app.console.print(rows if rows.row_count else "没有未修复的问题 nothing is known to be wrong")


def _show_findings(app: App, found: Sequence[Finding]) -> None:
    rows = show.table("位置 place", "对象 object", "问题 fault", "发现 found", "修复 healed", "取自 from")
    for each in found:
        healed = f"[green]{show.local(each.healed_at)}" if each.healed_at else "[red]未修复 open"
        place = f"{each.place.tenant}/{each.place.system}@{each.place.centre}"
        rows.add_row(
            place, escape(each.fault.key), str(each.fault.kind), show.local(each.found_at), healed,
            each.healed_from or "",
        )  # fmt: skip
    app.console.print(rows)


def _plan_as_json(at: At, plan: Sequence[Planned]) -> dict[str, Any]:
    return {
        "system": str(at.ref),
        "centre": at.centre,
        "state": "planned",
        "objects": [
            {
                "key": each.fault.key,
                "kind": str(each.fault.kind),
                "bytes": each.size_bytes,
                "from": each.source,
                "why": each.why,
            }
            for each in plan
        ],
    }


def _ended_as_json(each: Ended[At, SystemHealed], run: str | None, found: Sequence[Finding]) -> dict[str, Any]:
    at = each.subject
    here = [one for one in found if one.place == place_of(*at)]
    return {
        "system": str(at.ref),
        "centre": at.centre,
        "state": "failed" if each.error else "done",
        "run": run,
        "healed": [_as_json(one) for one in here if run and one.healed_by == run],
        "open": [_as_json(one) for one in here if one.healed_at is None],
        "error": str(each.error) if each.error else None,
    }


def _as_json(each: Finding) -> dict[str, Any]:
    return {
        "system": f"{each.place.tenant}/{each.place.system}",
        "centre": each.place.centre,
        "key": each.fault.key,
        "kind": str(each.fault.kind),
        "detail": each.fault.detail,
        "found_at": each.found_at.isoformat(),
        "found_by": each.found_by,
        "healed_at": each.healed_at.isoformat() if each.healed_at else None,
        "healed_by": each.healed_by,
        "healed_from": each.healed_from,
        "sha256": each.sha256,
    }
