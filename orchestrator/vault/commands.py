"""`tricenter restic`: plain restic on one repository, for the moment when nothing between should be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestrator.process import become, find_program

if TYPE_CHECKING:
    from orchestrator.app import App


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--centre", required=True, help="中心 the centre whose vault holds the repository")
@click.argument("system")
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def restic(app: App, centre: str, system: str, arguments: tuple[str, ...]) -> None:
    """对一个系统的仓库直接运行 restic：tricenter restic --centre provincial TENANT/SYSTEM -- snapshots

    Run plain restic on one system's repository. Address, keys and password go by environment, never on the command
    line, so the same can be typed by hand when Tricenter is gone.
    """
    repository = app.repository(centre, app.system(system))
    become([find_program("restic", package="restic"), *arguments], repository.environment())
