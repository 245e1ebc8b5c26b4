"""`tricenter rejoin` and `tricenter quarantine`: an old centre comes back, and what it had."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from drills.rejoin import Rejoined
from orchestrator.catalogue.quarantines import Quarantine, find_quarantine, list_quarantines
from orchestrator.errors import PartlyDone
from policies.values import format_size

if TYPE_CHECKING:
    from orchestrator.app import App

_output = click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)


@click.command()
@click.argument("centre", type=click.Choice(["production", "same-city", "provincial"]))
@click.option(
    "--scratch", type=click.Path(path_type=Path, file_okay=False), help="比对用的临时目录 where data is compared"
)
@_output
@click.pass_obj
def rejoin(app: App, centre: str, scratch: Path | None, output: str) -> int:
    """原中心归队：先隔离保存其数据，再采用新纪元。

    Bring an old centre back: what it has of every system that is active elsewhere is put into quarantine and compared
    with the recovery point that replaced it; then the newest epoch is gone by here. Nothing at the old centre is
    deleted. Exit code 3 when a comparison could not be made: run it again then.
    """
    arguments = {"centre": centre} | ({"scratch": str(scratch)} if scratch else {})
    done: Rejoined = app.runner.run("rejoin", arguments)
    taken = [each for name in done.saved for each in find_quarantine(app.catalogue, done.saved[name], name)]
    if output == "json":
        told = {
            "centre": centre,
            "epoch": done.epoch,
            "adopted": list(done.adopted),
            "quarantined": [_document(each) for each in taken],
        }
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        app.console.print(f"{centre} 已归队 rejoined  纪元 epoch {done.epoch}")
        for each in taken:
            _show(app, each)
    return PartlyDone.exit_code if done.uncompared else 0


@click.group()
def quarantine() -> None:
    """隔离的数据：原中心归队时所有的数据 what old centres had when they returned; no recovery points."""


@quarantine.command("list")
@click.argument("system", required=False, metavar="[TENANT/SYSTEM]")
@_output
@click.pass_obj
def list_(app: App, system: str | None, output: str) -> None:
    """列出 list what is in quarantine, the newest first."""
    if system:
        app.system(system)
    found = list_quarantines(app.catalogue, system)
    if output == "json":
        click.echo(json.dumps([_document(each) for each in found], ensure_ascii=False, indent=2))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in (
        "隔离 quarantine",
        "系统 system",
        "来自 from",
        "存于 kept at",
        "数据时间 data time",
        "差异 differs",
    ):
        table.add_column(heading, overflow="fold")
    for each in found:
        table.add_row(
            each.id,
            each.name,
            each.taken_from,
            each.centre,
            f"{each.data_time.astimezone():%Y-%m-%d %H:%M:%S}",
            _differs(each),
        )
    app.console.print(table if found else "没有隔离的数据 nothing is in quarantine")


@quarantine.command("show")
@click.argument("name", metavar="QUARANTINE")
@click.argument("system", required=False, metavar="[TENANT/SYSTEM]")
@_output
@click.pass_obj
def show(app: App, name: str, system: str | None, output: str) -> None:
    """与恢复点的差异 show what was taken, and how it differs from the recovery point that replaced it."""
    found = find_quarantine(app.catalogue, name, system)
    if output == "json":
        click.echo(json.dumps([_document(each) for each in found], ensure_ascii=False, indent=2))
        return
    for each in found:
        _show(app, each)


def _differs(each: Quarantine) -> str:
    if each.summary is None:
        return "[yellow]未比对 not compared[/]"
    return "[red]有 yes[/]" if each.summary["differs"] else "[green]无 no[/]"


def _show(app: App, each: Quarantine) -> None:
    app.console.print(
        f"[bold]{each.name}[/]  {each.id}  {each.taken_from} → {each.centre}  {format_size(each.bytes)}  "
        f"数据时间 data time {each.data_time.astimezone():%Y-%m-%d %H:%M:%S}",
        soft_wrap=True,
    )
    if each.summary is None:
        app.console.print(f"  [yellow]未比对 not compared:[/] {escape(each.note or '')}", soft_wrap=True)
        return
    for zh, en in zip(each.summary["zh"], each.summary["en"], strict=True):
        app.console.print(f"  {escape(zh)}\n  [dim]{escape(en)}[/]", soft_wrap=True)


def _document(each: Quarantine) -> Mapping[str, Any]:
    return {
        "quarantine": each.id,
        "system": each.name,
        "taken_from": each.taken_from,
        "centre": each.centre,
        "epoch": each.epoch,
        "data_time": each.data_time.isoformat(),
        "bytes": each.bytes,
        "document": each.document,
        "sources": [copy.as_json() for copy in each.sources],
        "compared_with": each.compared_with,
        "summary": each.summary,
        "note": each.note,
    }
