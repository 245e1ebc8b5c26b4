"""`tricenter lab guests`: the site's servers at production, booted for real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from orchestrator.errors import InvalidInput, UnknownName
from orchestrator.lab import guest_servers
from orchestrator.lab.guest_servers import GuestServer, Seen
from orchestrator.lab.layout import open_lab
from orchestrator.lab.progress import Progress
from policies.load import load_site

if TYPE_CHECKING:
    from orchestrator.app import App

_folder = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="TRICENTER_LAB",
    help="实验室目录 the lab's folder",
)
_systems = click.argument("systems", nargs=-1, metavar="[TENANT/SYSTEM]...")


@click.group()
def guests() -> None:
    """真实虚机 the servers of the site's systems at production, really booted."""


@guests.command("up")
@_folder
@_systems
@click.pass_obj
def up_(app: App, folder: Path | None, systems: tuple[str, ...]) -> None:
    """启动 boot the servers from their seeded volumes, and wait until each answers."""
    guest_servers.start(open_lab(folder), _wanted(app, systems), Progress(app.progress_console))


@guests.command()
@_folder
@_systems
@click.pass_obj
def down(app: App, folder: Path | None, systems: tuple[str, ...]) -> None:
    """删除 shut the servers down and delete them; their volumes stay."""
    guest_servers.delete(open_lab(folder), _wanted(app, systems), Progress(app.progress_console))


@guests.command()
@_folder
@_systems
@click.option("--output", type=click.Choice(["table", "json"]), default="table", help="输出格式 the form of the answer")
@click.pass_obj
def status(app: App, folder: Path | None, systems: tuple[str, ...], output: str) -> int:
    """状态 show each server and what it answers; exit code 4 unless all do."""
    seen = guest_servers.look(open_lab(folder), _wanted(app, systems))
    if output == "json":
        click.echo(json.dumps([_row(each) for each in seen], indent=2, ensure_ascii=False))
    else:
        table = Table()
        for heading in ("服务器 server", "状态 status", "地址 address", "主机 host", "首页 page", "行数 rows"):
            table.add_column(heading, no_wrap=True)
        for each in seen:
            table.add_row(*_row(each).values())
        app.console.print(table)
    return 0 if all(each.status == "ACTIVE" and each.rows for each in seen) else 4


def _row(each: Seen) -> dict[str, str]:
    return {
        "server": str(each.server),
        "status": each.status or "-",
        "address": str(each.server.server.address),
        "host": each.host,
        "page": each.page,
        "rows": each.rows,
    }


def _wanted(app: App, systems: tuple[str, ...]) -> list[GuestServer]:
    if app.site_folder is None:
        raise InvalidInput("no site was given", hint="tricenter --site DIR lab guests up")
    site = load_site(app.site_folder)
    known = {str(each.system) for each in guest_servers.servers(site)}
    for name in systems:
        if name not in known:
            raise UnknownName("system with servers", name, sorted(known))
    return guest_servers.servers(site, systems)
