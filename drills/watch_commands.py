"""The command `tricenter drill watch`: a run of a plan, live, from any terminal that reaches the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drills.watching import watch_drill

if TYPE_CHECKING:
    from orchestrator.app import App


@click.command("watch")
@click.argument("drill_id", metavar="[ID]", required=False)
@click.option("--output", type=click.Choice(["table", "json"]), default="table", help="输出格式 json: a line an event")
@click.pass_obj
def watch(app: App, drill_id: str | None, output: str) -> int:
    """跟随一次演练或切换：各系统进度、目标倒计时、在等谁。

    Follow a run of a plan live: its systems step by step, its clocks against the objectives, who is waited for.
    Without ID, the one that was begun last. Only reads: the run needs nobody to watch, and goes on after ctrl-C.
    Exit code as that of the run: 0 met, 4 an objective was missed or a recovery failed.
    """
    if drill_id is None:
        begun = app.catalogue.runs(flow="drill", limit=1)
        if not begun:
            raise click.UsageError("没有演练 no drill was ever begun: give an ID")
        drill_id = begun[0].id
    return watch_drill(app.catalogue, drill_id, app.site.limits, app.console, output)


COMMANDS = (watch,)
