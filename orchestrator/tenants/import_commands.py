"""`tricenter tenant import`: what somebody else made under the names of the site is taken over, by the mark."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, cast

import click
from rich.text import Text

from orchestrator.errors import Refused, UnknownName
from orchestrator.tenants import showing
from orchestrator.tenants.adopting import adoptions, nothing_more, only_adopting
from orchestrator.tenants.applying import Applied, Program, apply, raise_for
from orchestrator.tenants.desired import CENTRES, Desired, all_desired
from orchestrator.tenants.drift_run import LEASE
from orchestrator.tenants.looking import Looks, look
from orchestrator.tenants.planning import Action
from policies.tiers import CentreName

if TYPE_CHECKING:
    from orchestrator.app import App

#: A domain, then what is in it, then what is in its project; one more look to see that nothing is left.
ROUNDS = 4


def import_command(
    confirm: Callable[[int, bool], None], progress: Callable[[Any, Looks], AbstractContextManager[Callable[..., None]]]
) -> click.Command:
    """Return the command; how it is confirmed and followed is the same as of an apply."""

    @click.command("import")
    @click.argument("tenant", metavar="TENANT")
    @click.option("--centre", type=click.Choice(CENTRES), help="只看一个中心 this centre only")
    @click.option("--yes", is_flag=True, help="不再询问 do not ask")
    @click.option("--dry-run", is_flag=True, help="只显示 show and stop")
    @click.option("--output", type=click.Choice(["table", "json"]), default="table", help="输出格式 how to print")
    @click.pass_obj
    def import_(app: App, tenant: str, centre: CentreName | None, yes: bool, dry_run: bool, output: str) -> None:
        """接管已有对象：写上标记 Take over what others made under the names of the site, by writing our mark.

        Only what the site wants by name. Nothing but the mark is written; what differs is shown, and changed by the
        next apply. May be repeated and interrupted.
        """
        if tenant not in app.site.tenants:
            raise UnknownName("tenant", tenant, app.site.tenants)
        wanted = all_desired(app.site, [tenant], centre)
        if dry_run:
            _show(app, _looked(app, wanted), output)
            return
        from orchestrator.catalogue.leases import hold

        applied: list[Applied] = []
        with hold(app.catalogue, LEASE, f"{LEASE}-{secrets.token_hex(4)}", exclusive=True):
            for _ in range(ROUNDS):
                looks = _looked(app, wanted)
                part = Looks(tuple(map(only_adopting, looks.found)), {})
                if output == "table":
                    _show(app, looks, output)
                if not part.actions:
                    break
                confirm(len(part.actions), yes)
                with progress(app, part) as on_action:
                    applied.append(apply(cast(Program, app), part, on_action=on_action, choose=nothing_more))
                raise_for(applied[-1])
        adopted = [action for each in applied for outcome in each.outcomes for action in outcome.done]
        left = [each for found in looks.found for each in adoptions(found)]
        if output == "json":
            told = {"adopted": _as_json(adopted), "left": _as_json(left)}
            showing.print_json(app.console, told)
        else:
            app.console.print(Text(f"已接管 adopted: {len(adopted)}, {len(left)} cannot be", style="bold"))
        if left:
            raise Refused(
                f"{len(left)} object(s) cannot be adopted: {left[0].item.noun} {left[0].item.name}: {left[0].reason}",
                hint="settle these by hand, then run the same command again",
            )

    return import_


def _looked(app: App, wanted: list[Desired]) -> Looks:
    """Look at all centres. Raises Unreachable when one does not answer: adoption is for whoever sees all of it."""
    looks = look(cast(Program, app), wanted)
    if error := showing.explain_unreachable(looks):
        raise error
    return looks


def _show(app: App, looks: Looks, output: str) -> None:
    found = [each for found in looks.found for each in adoptions(found)]
    if output == "json":
        showing.print_json(app.console, {"adoptable": _as_json(found)})
        return
    for each in found:
        app.console.print(Text(f"{each.target}: ", style="bold") + showing.line(each), soft_wrap=True)
    if any(each.item.noun == "domain" for each in found):
        hint = "域接管之后才看得到域内的 what is in a domain is seen once the domain is adopted"
        app.console.print(Text(hint, style="dim"), soft_wrap=True)
    app.console.print(Text(f"可接管 to adopt: {sum(not each.reason for each in found)}", style="bold"))


def _as_json(actions: list[Action]) -> list[dict[str, Any]]:
    return [showing.action_json(each) for each in actions]
