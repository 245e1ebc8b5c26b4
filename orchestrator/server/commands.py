"""`tricenter status`: the board for people."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Literal

import click

from orchestrator.catalogue.board import Board, Verdict, read_board
from orchestrator.catalogue.database import now
from orchestrator.errors import CheckFailed
from orchestrator.server.show import WIDEST, as_json, render
from policies.site import Site

if TYPE_CHECKING:
    from orchestrator.app import App

WATCH_SECONDS = 5
OBJECTIVE_MISSED = CheckFailed.exit_code


@click.command()
@click.argument("system", metavar="[TENANT[/SYSTEM]]", required=False)
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--watch", is_flag=True, help="每 5 秒刷新 show it anew every 5 seconds, until ctrl-C")
@click.pass_obj
def status(app: App, system: str | None, output: Literal["table", "json"], watch: bool) -> int:
    """RPO/RTO 看板：目标、现状、最近演练与结论。

    The board: objectives, what holds now, the last drill and the verdict of every system at every centre.
    Reads the catalogue only. Exit code 4 when an objective is missed now, or a system has no recovery point at a
    centre that its tier demands; 0 otherwise.
    """
    if watch and (output == "json" or not app.console.is_terminal):
        raise click.UsageError("--watch needs a terminal and the table")
    site = _only(app, system)
    board = read_board(site, app.catalogue, now())
    if watch:
        board = _watch(app, site, board)
    elif output == "json":
        click.echo(json.dumps(as_json(board), ensure_ascii=False, indent=2))
    else:
        app.console.print(render(board, _width(app)))
    return _exit_code(board)


def _only(app: App, name: str | None) -> Site:
    """Return the site with no more than the systems that `name` stands for."""
    chosen = {(ref.tenant.tenant, ref.name) for ref in app.systems(name)}
    tenants = {
        key: tenant.model_copy(
            update={"systems": {each: system for each, system in tenant.systems.items() if (key, each) in chosen}}
        )
        for key, tenant in app.site.tenants.items()
    }
    return app.site.model_copy(update={"tenants": tenants})


def _watch(app: App, site: Site, board: Board) -> Board:
    """Show the board until ctrl-C, and return the last one."""
    from rich.live import Live

    with Live(render(board, _width(app)), console=app.console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.refresh()
                time.sleep(WATCH_SECONDS)
                board = read_board(site, app.catalogue, now())
                live.update(render(board, _width(app)))
        except KeyboardInterrupt:
            return board


def _width(app: App) -> int:
    return min(app.console.width, WIDEST) if app.console.is_terminal else WIDEST


def _exit_code(board: Board) -> int:
    counts = board.verdicts()
    return OBJECTIVE_MISSED if counts[Verdict.MISSED] or counts[Verdict.NEVER] else 0
