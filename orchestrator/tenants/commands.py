"""`tricenter tenant`: plan, apply, list and show."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import click

from orchestrator.errors import Refused, UnknownName
from orchestrator.tenants import asking, review, showing
from orchestrator.tenants.applying import Program, apply, raise_for
from orchestrator.tenants.desired import CENTRES, Desired, all_desired
from orchestrator.tenants.drift_commands import drift_command
from orchestrator.tenants.drift_run import LEASE
from orchestrator.tenants.handover_commands import HANDING
from orchestrator.tenants.import_commands import import_command
from orchestrator.tenants.life import still_applied
from orchestrator.tenants.life_commands import offboard, resume_command, suspend_command
from orchestrator.tenants.looking import Looks, look
from orchestrator.tenants.orphan_commands import orphans_command
from orchestrator.tenants.parity_commands import parity_command
from orchestrator.tenants.planning import Action
from orchestrator.tenants.quota_commands import quota_command
from orchestrator.tenants.rebuild_commands import rebuild_command
from orchestrator.tenants.request_carrying import carrying_command
from orchestrator.tenants.request_commands import request_group
from orchestrator.tenants.request_deciding import DECIDING
from orchestrator.tenants.rotate_commands import rotate_command
from policies.tiers import CentreName

if TYPE_CHECKING:
    from orchestrator.app import App

output_option = click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", help="输出格式 how to print"
)
review_option = click.option(
    "--output", type=click.Choice(["table", "json", "markdown"]), default="table", help="输出格式 how to print"
)
centre_option = click.option("--centre", type=click.Choice(CENTRES), help="只看一个中心 this centre only")
destroy_option = click.option(
    "--allow-destroy",
    is_flag=True,
    help="删除站点不再要的（仅本程序所建） destroy what the site no longer wants, of ours",
)
fresh_option = click.option(
    "--fresh", is_flag=True, help="全部重新询问，不用记下的细节 ask everything, use no remembered details"
)
tenants_argument = click.argument("tenants", nargs=-1, metavar="[TENANT]...")


@click.group()
def tenant() -> None:
    """委办局租户：计划、应用、查看 Tenants: what the site wants of the clouds and vaults, and making it so."""


@tenant.command("plan")
@tenants_argument
@centre_option
@destroy_option
@fresh_option
@review_option
@click.pass_obj
def plan_command(
    app: App,
    tenants: tuple[str, ...],
    centre: CentreName | None,
    allow_destroy: bool,
    fresh: bool,
    output: str,
) -> None:
    """显示将要做的改动 Show what an apply would do. Writes nothing."""
    _show_plan(app, _looked(app, _wanted(app, tenants, centre), allow_destroy, fresh), output)


@tenant.command("apply")
@tenants_argument
@centre_option
@click.option("--yes", is_flag=True, help="不再询问 do not ask")
@click.option("--dry-run", is_flag=True, help="只显示计划 show the plan and stop")
@destroy_option
@fresh_option
@output_option
@click.pass_obj
def apply_command(
    app: App,
    tenants: tuple[str, ...],
    centre: CentreName | None,
    yes: bool,
    dry_run: bool,
    allow_destroy: bool,
    fresh: bool,
    output: str,
) -> None:
    """使云与站点一致 Make clouds and vaults what the site says. May be repeated and interrupted."""
    wanted = _wanted(app, tenants, centre)
    if dry_run:
        _show_plan(app, _looked(app, wanted, allow_destroy, fresh), output)
        return
    from orchestrator.catalogue.leases import hold

    with hold(app.catalogue, LEASE, f"{LEASE}-{secrets.token_hex(4)}", exclusive=True):
        wanted = still_applied(app, wanted, tenants)
        looks = _looked(app, wanted, allow_destroy, fresh)
        if output == "table":
            showing.print_plan(app.console, looks)
        _confirm(sum(each.kind != "conflict" for each in looks.actions), yes)
        with _progress(app, looks) as on_action:
            applied = apply(cast(Program, app), looks, on_action=on_action, allow_destroy=allow_destroy)
    if output == "json":
        showing.print_json(app.console, showing.applied_json(applied))
    else:
        showing.print_applied(app.console, applied)
    _tell_of_passwords(app, [action for each in applied.outcomes for action in each.done])
    raise_for(applied)


@tenant.command("list")
@fresh_option
@output_option
@click.pass_obj
def list_command(app: App, fresh: bool, output: str) -> None:
    """列出租户及各中心状态 List the tenants, and how each stands at each centre."""
    names = sorted(app.site.tenants)
    looks = _looked(app, _wanted(app, (), None), fresh=fresh)
    if output == "json":
        showing.print_json(app.console, showing.tenants_json(app.site, names, looks))
    else:
        showing.print_tenants(app.console, app.site, names, looks)


@tenant.command("show")
@click.argument("name", metavar="TENANT")
@centre_option
@output_option
@click.pass_obj
def show_command(app: App, name: str, centre: CentreName | None, output: str) -> None:
    """显示租户的全部对象与配额 Show all that a tenant has, with ids and quotas.

    A quota is shown as used/limit, as it was used when drift was last looked for.
    """
    from orchestrator.catalogue.quota_uses import read_quota_uses
    from orchestrator.tenants.quota_use import by_target

    looks = look(cast(Program, app), _wanted(app, (name,), centre), all_quotas=True)
    uses = by_target(read_quota_uses(app.catalogue, name).uses)
    if output == "json":
        showing.print_json(app.console, showing.objects_json(looks, uses))
    else:
        showing.print_objects(app.console, looks, uses)
    if error := showing.explain_unreachable(looks):
        raise error


def _wanted(app: App, tenants: Sequence[str], centre: CentreName | None) -> list[Desired]:
    for name in tenants:
        if name not in app.site.tenants:
            raise UnknownName("tenant", name, app.site.tenants)
    names = sorted(set(tenants) or app.site.tenants)
    return all_desired(app.site, names, centre)


def _looked(app: App, wanted: Sequence[Desired], allow_destroy: bool = False, fresh: bool = False) -> Looks:
    memory = (asking.fresh if fresh else asking.Memory)(lambda: app.catalogue)
    return look(cast(Program, app), wanted, allow_destroy=allow_destroy, memory=memory)


def _show_plan(app: App, looks: Looks, output: str) -> None:
    if output == "json":
        showing.print_json(app.console, showing.plan_json(looks))
    elif output == "markdown":
        review.print_markdown(app.console, review.plan_markdown(looks))
    else:
        showing.print_plan(app.console, looks)
    if error := showing.explain_unreachable(looks):
        raise error


def _confirm(to_do: int, yes: bool) -> None:
    if yes or not to_do:
        return
    if not sys.stdin.isatty():
        raise Refused("nobody is there to confirm the plan", hint="look at the plan, then add --yes")
    if not click.confirm(f"应用这 {to_do} 项改动? apply these {to_do} changes?", err=True):
        raise Refused("not confirmed: nothing was written")


@contextmanager
def _progress(app: App, looks: Looks) -> Iterator[Callable[[Action], None]]:
    """Show how far an apply is: a bar on a terminal, a line per tenth otherwise."""
    total = sum(each.kind != "conflict" for each in looks.actions)
    console = app.progress_console
    if not total:
        yield lambda action: None
    elif console.is_terminal:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns: tuple[Any, ...] = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("应用 applying", total=total)
            yield lambda action: progress.update(task, advance=1, description=str(action.target))
    else:
        done = 0

        def count(action: Action) -> None:
            nonlocal done
            done += 1
            if done * 10 // total != (done - 1) * 10 // total:
                console.print(f"应用 applying: {done}/{total}", markup=False)

        yield count


def _tell_of_passwords(app: App, done: Sequence[Action]) -> None:
    """Say where the first passwords of new members wait. They are in no output."""
    folder = app.secrets_folder / "handover"
    new = [each for each in done if each.kind == "create" and each.item.noun == "user"]
    waiting = [
        each for each in new if any(folder.glob(f"{each.target.tenant}.{each.target.centre}.{each.item.name}.*"))
    ]
    if waiting:
        app.progress_console.print(
            f"初始口令 first passwords of {len(waiting)} new member(s) wait in {folder}: hand over, then delete",
            markup=False,
            soft_wrap=True,
        )


tenant.add_command(rebuild_command(_confirm, _progress))
tenant.add_command(rotate_command(_confirm))
tenant.add_command(drift_command(_confirm, _progress))
tenant.add_command(import_command(_confirm, _progress))
tenant.add_command(orphans_command)
tenant.add_command(parity_command)
tenant.add_command(suspend_command)
tenant.add_command(resume_command)
tenant.add_command(offboard)
for each in (*DECIDING, *HANDING, carrying_command(apply_command, _confirm)):
    request_group.add_command(each)
tenant.add_command(request_group)
tenant.add_command(quota_command(apply_command, _confirm))
