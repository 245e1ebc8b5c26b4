"""`tricenter catalogue rebuild`: recovery points read back from a vault, when the catalogue is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from orchestrator.backups import show
from orchestrator.backups.options import dry_run_option, jobs_option, output_option
from orchestrator.backups.rebuild import Rebuilt, rebuild
from orchestrator.batch import Batch, Ended, raise_failures
from orchestrator.errors import CheckFailed, InvalidInput
from policies.site import SystemRef
from policies.work import copy_centres

if TYPE_CHECKING:
    from orchestrator.app import App


@click.group()
def catalogue() -> None:
    """目录库 The catalogue: what is known of recovery points."""


@catalogue.command("rebuild")
@click.argument("target", required=False)
@click.option("--centre", required=True, help="读取哪个中心的保险库 the centre whose vault is read")
@jobs_option
@dry_run_option
@output_option
@click.pass_obj
def rebuild_(app: App, target: str | None, centre: str, jobs: int, dry_run: bool, output: str) -> None:
    """由保险库中的恢复点文档重建目录库 put the recovery points that a vault holds into the catalogue.

    For an orchestrator whose catalogue is lost, or that never had one. Changes nothing in the vault; may be repeated.
    Runs, drills and what was proved are not in a vault. Ends with 4 when a document describes no point.
    """
    app.vault(centre)
    refs = [ref for ref in app.systems(target) if centre in copy_centres(ref)]
    if not refs:
        raise InvalidInput(f"nothing here has copies at {centre}", hint="look at the tiers")
    with show.progress(app.progress_console, "重建 rebuild", refs) as bars:

        def work(ref: SystemRef) -> Rebuilt:
            def on_read(done: int, total: int) -> None:
                batch.go_on()
                bars.move(ref, "documents", done, total)

            return rebuild(app, ref, centre, dry_run=dry_run, on_read=on_read)

        batch: Batch[SystemRef, Rebuilt] = Batch(refs, work, jobs=jobs)
        ended = batch.run(bars.end)
    if output == "json":
        show.print_json(app.console, [_as_json(each) for each in ended])
    else:
        _show(app, ended, dry_run=dry_run)
    raise_failures(ended)
    left_out = [each for one in ended if one.result for each in one.result.left_out]
    if left_out:
        raise CheckFailed(
            f"{len(left_out)} documents describe no recovery point at {centre}",
            hint=f"tricenter backup verify --centre {centre} looks at what is wrong there",
        )


def _show(app: App, ended: list[Ended[SystemRef, Rebuilt]], *, dry_run: bool) -> None:
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    new = "将加入 to add" if dry_run else "加入 added"
    for head in ("系统 system", "已知 known", new, "最新数据 newest data", "不成恢复点 left out"):
        table.add_column(head)
    for each in ended:
        if (found := each.result) is None:
            table.add_row(str(each.subject), "[red]失败 failed[/]", "", "", escape(str(each.error)))
            continue
        newest = show.local(found.added[0].data_time) if found.added else ""
        why = "; ".join(f"{name[:8]}: {reason}" for name, reason in found.left_out.items())
        table.add_row(found.system, str(found.known), str(len(found.added)), newest, f"[red]{escape(why)}[/]")
    app.console.print(table)


def _as_json(each: Ended[SystemRef, Rebuilt]) -> dict[str, Any]:
    found = each.result
    if found is None:
        return {"system": str(each.subject), "state": "failed", "error": str(each.error)}
    return {
        "system": found.system,
        "centre": found.centre,
        "known": found.known,
        "added": [point.id for point in found.added],
        "left_out": found.left_out,
    }
