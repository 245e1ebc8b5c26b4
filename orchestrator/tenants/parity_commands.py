"""`tricenter tenant parity`: whether each centre has all that a tenant needs there, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from orchestrator.errors import UnknownName
from orchestrator.tenants import showing
from orchestrator.tenants.applying import Program
from orchestrator.tenants.desired import CENTRES, all_desired
from orchestrator.tenants.looking import Looks, look
from orchestrator.tenants.parity import parity
from policies.tiers import CentreName

if TYPE_CHECKING:
    from orchestrator.app import App

SHOWN = 5


@click.command("parity")
@click.argument("tenants", nargs=-1, metavar="[TENANT]...")
@click.option("--centre", type=click.Choice(CENTRES), help="只看一个中心 this centre only")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", help="输出格式 how to print")
@click.pass_obj
def parity_command(app: App, tenants: tuple[str, ...], centre: CentreName | None, output: str) -> None:
    """各中心是否齐备、可供接管 How much of what each tenant needs is at each centre, and what is missing.

    By weight: what a taken-over system cannot run without counts more than who may look at it. Writes nothing.
    """
    for name in tenants:
        if name not in app.site.tenants:
            raise UnknownName("tenant", name, app.site.tenants)
    looks = look(cast(Program, app), all_desired(app.site, sorted(set(tenants) or app.site.tenants), centre))
    if output == "json":
        showing.print_json(app.console, _as_json(looks))
    else:
        _show(app, looks)
    if error := showing.explain_unreachable(looks):
        raise error


def _as_json(looks: Looks) -> dict[str, Any]:
    found = []
    for each in looks.found:
        seen = parity(each)
        target = {"tenant": each.target.tenant, "centre": each.target.centre}
        found.append({**target, "ratio": round(seen.ratio, 4), "reasons": list(seen.reasons)})
    return {"parities": found}


def _show(app: App, looks: Looks) -> None:
    from rich.table import Table

    table = Table("租户 tenant", "中心 centre", "齐备 parity", "缺什么 what is missing")
    for each in looks.found:
        seen = parity(each)
        more = f"… {len(seen.reasons) - SHOWN} more" if len(seen.reasons) > SHOWN else ""
        style = "green" if seen.ratio == 1 else "yellow" if seen.ratio > 0.5 else "red"
        told = "\n".join([*seen.reasons[:SHOWN], *filter(None, [more])])
        table.add_row(each.target.tenant, each.target.centre, f"[{style}]{_percent(seen.ratio)}[/]", told)
    app.console.print(table)


def _percent(ratio: float) -> str:
    """Return a share that never reads 100% when something is missing."""
    return f"{min(int(ratio * 1000) / 10, 99.9) if ratio < 1 else 100:g}%"
