"""`tricenter tenant drift`: what differs from the site, what policy makes of it, and healing what policy heals."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, cast

import click
from rich.table import Table
from rich.text import Text

from orchestrator.errors import UnknownName
from orchestrator.tenants import review, showing
from orchestrator.tenants.applying import Program, apply, raise_for
from orchestrator.tenants.desired import CENTRES, all_desired
from orchestrator.tenants.drift import Difference, differences, only_healing, policy_of
from orchestrator.tenants.drift_run import LEASE
from orchestrator.tenants.life import still_applied
from orchestrator.tenants.looking import Look, Looks, look
from policies.tiers import CentreName

if TYPE_CHECKING:
    from orchestrator.app import App

Found = Sequence[tuple[Look, Sequence[Difference]]]


def drift_command(
    confirm: Callable[[int, bool], None], progress: Callable[[Any, Looks], AbstractContextManager[Callable[..., None]]]
) -> click.Command:
    """Return the command; how healing is confirmed and followed is the same as of an apply."""

    @click.command("drift")
    @click.argument("tenants", nargs=-1, metavar="[TENANT]...")
    @click.option("--centre", type=click.Choice(CENTRES), help="只看一个中心 this centre only")
    @click.option("--heal", is_flag=True, help="按策略修复 make again what policy heals")
    @click.option("--yes", is_flag=True, help="不再询问 do not ask")
    @click.option("--dry-run", is_flag=True, help="只显示 show and stop")
    @click.option(
        "--output", type=click.Choice(["table", "json", "markdown"]), default="table", help="输出格式 how to print"
    )
    @click.pass_obj
    def drift(
        app: App, tenants: tuple[str, ...], centre: CentreName | None, heal: bool, yes: bool, dry_run: bool, output: str
    ) -> None:
        """显示与站点的差异及策略如何处置 Show what differs from the site, and what policy makes of it.

        Without --heal it writes nothing. With it, only what policy heals is made as the site says; nothing is ever
        destroyed.
        """
        for name in tenants:
            if name not in app.site.tenants:
                raise UnknownName("tenant", name, app.site.tenants)
        wanted = all_desired(app.site, sorted(set(tenants) or app.site.tenants), centre)
        if not heal or dry_run:
            looks = look(cast(Program, app), wanted)
            show(app, looks, output)
            if error := showing.explain_unreachable(looks):
                raise error
            return
        from orchestrator.catalogue.leases import hold
        from orchestrator.catalogue.lives import not_applied

        parked = not_applied(app.catalogue)  # who is suspended or leaves differs on purpose
        wanted = [each for each in wanted if each.target.tenant not in parked]

        def choose(found: Look) -> Look:
            return only_healing(found, policy_of(app.site, found.target.tenant))

        with hold(app.catalogue, LEASE, f"{LEASE}-{secrets.token_hex(4)}", exclusive=True):
            looks = look(cast(Program, app), still_applied(app, wanted, tenants))
            if output != "json":
                show(app, looks, output)
            part = Looks(tuple(map(choose, looks.found)), looks.unreachable)
            confirm(len(part.actions), yes)
            with progress(app, part) as on_action:
                applied = apply(cast(Program, app), part, on_action=on_action, choose=choose)
        if output == "json":
            told = {"differences": as_json(_found(app, looks)), **showing.applied_json(applied)}
            showing.print_json(app.console, told)
        else:
            showing.print_applied(app.console, applied)
        raise_for(applied)

    return drift


def show(app: App, looks: Looks, output: str) -> None:
    """Print what differs, with what becomes of it."""
    found = _found(app, looks)
    if output == "json":
        unreachable = {centre: str(error) for centre, error in looks.unreachable.items()}
        showing.print_json(app.console, {"differences": as_json(found), "unreachable": unreachable})
    elif output == "markdown":
        review.print_markdown(app.console, review.drift_markdown(found, looks))
    else:
        _print_table(app, found, looks)


def as_json(found: Found) -> list[dict[str, Any]]:
    return [
        {**showing.action_json(each.action), "policy_noun": each.noun, "fate": each.fate, "why": each.why}
        for _, several in found
        for each in several
    ]


def _found(app: App, looks: Looks) -> Found:
    return [(each, differences(each, policy_of(app.site, each.target.tenant))) for each in looks.found]


def _print_table(app: App, found: Found, looks: Looks) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("租户 tenant", "中心 centre", "种类 noun", "差异 difference", "处置 fate", "原因 why"):
        table.add_column(heading, overflow="fold")
    for each, several in found:
        for one in several:
            style = "green" if one.fate == "heal" else showing.SIGNS[one.action.kind][1]
            cells = (*each.target, one.noun, str(one.action), one.fate, one.why)
            table.add_row(*(Text(cell, style=style) for cell in cells))
    number = sum(len(several) for _, several in found)
    if number:
        app.console.print(table, width=None if app.console.is_terminal else showing.PIPED_WIDTH)
    for centre, error in looks.unreachable.items():
        app.console.print(Text(f"✗ {centre}: {error}", style="red"), soft_wrap=True)
    healed = sum(one.fate == "heal" for _, several in found for one in several)
    told = f"差异 drift: {number} difference(s), policy heals {healed}, {number - healed} for a person"
    app.console.print(Text(told, style="bold"))
