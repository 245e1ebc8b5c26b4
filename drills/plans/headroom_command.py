"""`tricenter plan headroom`: whether all of production fits at a centre, and who is shed where it does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import click

from drills.plans.headroom import Found, look_at_headroom
from orchestrator.errors import CheckFailed
from policies.headroom import RESOURCES
from policies.tiers import CentreName

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.app import App

NAMES = {
    "instances": "云主机 servers",
    "cores": "vCPU",
    "ram": "内存 memory, MiB",
    "volumes": "云硬盘 volumes",
    "gigabytes": "容量 volumes, GiB",
}


@click.command("headroom")
@click.option("--centre", type=click.Choice(["same-city", "provincial"]), default="same-city", show_default=True)
@click.option("--output", type=click.Choice(["table", "json"]), default="table", help="输出格式 how to print")
@click.pass_obj
def headroom_command(app: App, centre: str, output: str) -> int:
    """全部接管能否容纳；放不下时的舍弃次序 Would all of production fit at a centre at once, and who is shed if not.

    The most urgent is given room first: by RTO objective there, then by the level of its tier. Writes nothing. Exit
    code 4 when it does not fit.
    """
    found = look_at_headroom(app, cast(CentreName, centre))
    if output == "json":
        click.echo(json.dumps(found.as_json(), ensure_ascii=False, indent=2))
    else:
        _show(app.console, found)
    return 0 if found.shared.fits else CheckFailed.exit_code


def _show(console: Console, found: Found) -> None:
    from rich.table import Table

    table = Table("资源 resource", "需要 needed", "可用 free", title=f"{found.centre}: 全部接管 all taken over")
    for name in RESOURCES:
        free = f"{found.room[name]:.0f}" if name in found.room else "—"
        table.add_row(NAMES[name], f"{found.needed[name]:.0f}", free)
    console.print(table)
    if found.shared.fits:
        console.print(f"容得下 fits: {len(found.shared.kept)} 个系统 systems", markup=False)
        return
    console.print("放不下，按此次序舍弃（最先舍弃者在前） does not fit; shed, the first to go first:", markup=False)
    for need, why in reversed(found.shared.shed):
        console.print(f"  x {need.system}: 不足 lacking {', '.join(why)}", markup=False, soft_wrap=True)
