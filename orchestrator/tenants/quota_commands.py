"""`tricenter tenant quota ask|list|history|show|approve|reject|apply`: a quota changes by two people's word."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from orchestrator.approval import ask_second_factor
from orchestrator.catalogue.lives import not_applied
from orchestrator.catalogue.quota_changes import (
    OPEN,
    ChangeState,
    QuotaChange,
    ask_quota_change,
    decide_quota_change,
    mark_quota_change_applied,
    read_quota_change,
    read_quota_changes,
)
from orchestrator.catalogue.quota_uses import QuotaUse, read_quota_uses
from orchestrator.errors import CheckFailed, InvalidInput, PartlyDone, Refused, UnknownName, Unreachable
from orchestrator.person import login_name, same_person
from orchestrator.tenants.life import refuse_unless_applied
from orchestrator.tenants.quota_changing import Change, below_use, plan_change, write_change
from orchestrator.tenants.quota_use import ask_uses
from orchestrator.tenants.request_carrying import is_settled
from policies.quota_change import Edits, parse_edits

if TYPE_CHECKING:
    from orchestrator.app import App

output_option = click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", help="输出格式 how to print"
)
change_argument = click.argument("change_id", metavar="ID")

WORDS: dict[ChangeState, str] = {
    "asked": "待批准 asked",
    "approved": "已批准 approved",
    "rejected": "已退回 rejected",
    "applied": "已生效 applied",
}


@click.group("quota")
def quota_group() -> None:
    """配额变更：申请、他人批准、写入站点并生效、历史 Changes of quotas, approved by another person."""


@quota_group.command("ask")
@click.argument("tenant", metavar="TENANT")
@click.option("--set", "sets", multiple=True, metavar="LIMIT=N", help="compute.cores=40；unlimited 不限 or unlimited")
@click.option(
    "--unset", "unsets", multiple=True, metavar="LIMIT", help="不再单写此项 leave it to the class or the cloud"
)
@click.option(
    "--class", "quota_class", metavar="NAME", help="改用的配额档次；空串为不用 the class; an empty text for none"
)
@click.option("--multiplier", type=click.IntRange(1, 1000), help="档次的倍数 so many times the class")
@click.option("--reason", required=True, help="事由 why; it stands in the history")
@click.option("--dry-run", is_flag=True, help="只检查 check and stop")
@output_option
@click.pass_obj
def ask_command(
    app: App,
    tenant: str,
    sets: tuple[str, ...],
    unsets: tuple[str, ...],
    quota_class: str | None,
    multiplier: int | None,
    reason: str,
    dry_run: bool,
    output: str,
) -> None:
    """申请变更一个租户的配额，待他人批准 Ask for a change of a tenant's quota, for another person to approve.

    Checked first: the site must be valid with it, and no limit may fall below what is in use. Writes nothing to the
    site or the clouds.
    """
    if tenant not in app.site.tenants:
        raise UnknownName("tenant", tenant, app.site.tenants)
    refuse_unless_applied([tenant], not_applied(app.catalogue))
    try:
        edits = parse_edits(sets, unsets, quota_class, multiplier)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    change = _planned(app, tenant, edits)
    if change.made:
        raise InvalidInput(f"this changes nothing of {tenant}", hint=f"tricenter tenant show {tenant}")
    uses = read_quota_uses(app.catalogue, tenant).uses
    _refuse_below_use(change, uses)
    if not uses:
        unseen = "用量尚未看过，生效前再核对 what is in use was not seen yet: it is asked before anything is applied"
        app.progress_console.print(unseen, markup=False, soft_wrap=True)
    if dry_run:
        _show_change(app, change, output)
        return
    made = ask_quota_change(app.catalogue, tenant, edits, change.differing, login_name(), reason)
    app.ledger.sealer.now()
    if output == "json":
        click.echo(json.dumps(made.as_json(), ensure_ascii=False, indent=2))
    else:
        _show_change(app, change, output)
        app.console.print(f"{made.id}  {made.tenant}  {WORDS[made.state]}", markup=False)
        app.console.print(
            f"下一步 next: tricenter tenant quota approve {made.id}，须另一人 another person", markup=False
        )


@quota_group.command("list")
@click.option("--all", "every", is_flag=True, help="也列出已办结的 those that are settled, too")
@output_option
@click.pass_obj
def list_command(app: App, every: bool, output: str) -> None:
    """列出待办的变更 List the changes that wait for an approval or for their apply, the last first."""
    _show_list(app, read_quota_changes(app.catalogue, states=None if every else OPEN), output)


@quota_group.command("history")
@click.argument("tenant", metavar="TENANT")
@output_option
@click.pass_obj
def history_command(app: App, tenant: str, output: str) -> None:
    """一个租户的配额变更历史 Every change of a tenant's quota: what, who asked, who decided, when it took effect."""
    rows = read_quota_changes(app.catalogue, tenant)
    if not rows and tenant not in app.site.tenants:
        raise UnknownName("tenant", tenant, app.site.tenants)
    _show_list(app, rows, output)


@quota_group.command("show")
@change_argument
@output_option
@click.pass_obj
def show_command(app: App, change_id: str, output: str) -> None:
    """显示一项变更 Show one change: the limits, the lines of the file, who said what."""
    row = read_quota_change(app.catalogue, change_id)
    if output == "json":
        click.echo(json.dumps(row.as_json(), ensure_ascii=False, indent=2))
        return
    _show_list(app, [row], output)
    if row.state in OPEN and row.tenant in app.site.tenants:
        app.console.print(_planned(app, row.tenant, row.edits).diff(), markup=False, soft_wrap=True)


@quota_group.command("approve")
@change_argument
@click.option("--message", default="", help="批准意见 what is to be remembered with it")
@click.pass_obj
def approve_command(app: App, change_id: str, message: str) -> None:
    """批准变更（不得由申请人批准） Approve a change. Who asked for it may not. It must still be what was asked for."""
    row, by = read_quota_change(app.catalogue, change_id), login_name()
    if same_person(row.by, by):
        raise Refused(f"{by} asked for the change {row.id} and cannot approve it", hint="another person must")
    if row.state == "asked":
        change = _planned(app, row.tenant, row.edits)
        _refuse_another(change, row)
        _refuse_below_use(change, read_quota_uses(app.catalogue, row.tenant).uses)
    ask_second_factor(app.site.approval, by, row.id)
    done = decide_quota_change(app.catalogue, change_id, "approved", by, message)
    app.ledger.sealer.now()
    app.console.print(f"{done.id}  {done.tenant}  {WORDS[done.state]}", markup=False)


@quota_group.command("reject")
@change_argument
@click.option("--reason", required=True, help="理由 why")
@click.pass_obj
def reject_command(app: App, change_id: str, reason: str) -> None:
    """退回或撤回变更，写明理由 Reject a change, or take one's own back, until it is applied."""
    done = decide_quota_change(app.catalogue, change_id, "rejected", login_name(), reason)
    app.ledger.sealer.now()
    app.console.print(f"{done.id}  {done.tenant}  {WORDS[done.state]}", markup=False)


def quota_command(apply_command: click.Command, confirm: Callable[[int, bool], None]) -> click.Group:
    """Return the group; clouds are changed by the same command that applies any tenant."""

    @quota_group.command("apply")
    @change_argument
    @click.option("--yes", is_flag=True, help="不再询问 do not ask")
    @click.option("--dry-run", is_flag=True, help="只显示计划 show what would be written and stop")
    @click.pass_context
    def carry_out(context: click.Context, change_id: str, yes: bool, dry_run: bool) -> None:
        """把已批准的变更写入站点并生效 Write an approved change into the site, and apply the tenant.

        May be repeated and interrupted. Where the site folder comes from elsewhere and cannot be written, make the
        edit there: it is found done.
        """
        app: App = context.obj
        row = read_quota_change(app.catalogue, change_id)
        if row.state not in ("approved", "applied"):
            raise Refused(f"the change {row.id} of {row.tenant} is {row.state}", hint="it must be approved first")
        change = _planned(app, row.tenant, row.edits)
        if not change.made:
            if row.state == "applied":
                raise Refused(f"the change {row.id} took effect, and was altered since", hint="ask for a new one")
            _refuse_another(change, row)
            _refuse_below_use(change, _uses_now(app, row.tenant))
        _show_change(app, change, "table")
        if dry_run:
            return
        if not change.made:
            confirm(1, yes)
            write_change(change)
        context.obj = fresh = type(app)(app.site_folder, app.overlay, debug=app.debug)
        try:
            context.invoke(
                apply_command,
                tenants=(row.tenant,), centre=None, yes=yes, dry_run=False, allow_destroy=False, output="table",
            )  # fmt: skip
        finally:
            settled = is_settled(fresh, row.tenant)
            if settled and row.state != "applied":
                mark_quota_change_applied(fresh.catalogue, row.id, login_name())
                fresh.ledger.sealer.now()
                app.console.print(f"{row.id}  {row.tenant}  {WORDS['applied']}", markup=False)
        if not settled:
            raise PartlyDone(f"the change {row.id} has not reached every centre", hint="run it again")

    return quota_group


def _planned(app: App, tenant: str, edits: Edits) -> Change:
    """Return what edits do to the site as it is. Raises InvalidInput where the site is not valid with them."""
    site = app.site
    assert app.site_folder is not None  # a site was read from it
    change = plan_change(site, app.site_folder, app.overlay, tenant, edits)
    if change.faults:
        told = "; ".join(f"{each.path}: {each.got}, want {each.want}" for each in change.faults)
        raise InvalidInput(told, hint=change.faults[0].hint)
    return change


def _refuse_another(change: Change, row: QuotaChange) -> None:
    """Refuse what is no longer what was asked for: the file, a class or a multiplier was altered meanwhile."""
    if not change.made and change.differing != row.differences:
        raise CheckFailed(
            f"the change {row.id} would now be another: {'; '.join(map(str, change.differing)) or 'none'}",
            hint=f"tricenter tenant quota reject {row.id}, and ask anew",
        )


def _refuse_below_use(change: Change, uses: Sequence[QuotaUse]) -> None:
    if found := list(below_use(change.differing, uses)):
        raise CheckFailed(
            f"less than is in use: {'; '.join(found)}", hint="let the bureau free it first, or ask for more"
        )


def _uses_now(app: App, tenant: str) -> list[QuotaUse]:
    """Return what is in use at each cloud; of one that does not answer what was seen there last."""
    seen = read_quota_uses(app.catalogue, tenant).uses
    found: list[QuotaUse] = []
    for centre in app.site.clouds():
        try:
            found += ask_uses(app, centre, [tenant])
        except Unreachable as error:
            app.progress_console.print(f"{centre}: {error}；用上次所见 as last seen", markup=False, soft_wrap=True)
            found += [each for each in seen if each.centre == centre]
    return found


def _show_change(app: App, change: Change, output: str) -> None:
    if output == "json":
        told: dict[str, Any] = {"differences": [each._asdict() for each in change.differing], "diff": change.diff()}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    if change.made:
        app.console.print(f"= tenants/{change.file.name} 已是如此 says so already", markup=False)
        return
    for each in change.differing:
        kept = "；云上维持原值 the clouds keep what they have" if each.after is None else ""
        app.console.print(f"~ {each}{kept}", markup=False, highlight=False)
    app.console.print(change.diff(), markup=False, soft_wrap=True, highlight=False)


def _show_list(app: App, rows: Sequence[QuotaChange], output: str) -> None:
    if output == "json":
        click.echo(json.dumps([each.as_json() for each in rows], ensure_ascii=False, indent=2))
        return
    table = Table("编号 id", "租户 tenant", "变更 change", "申请 asked", "决定 decided", "状态 state")
    for each in rows:
        limits = "\n".join(map(str, each.differences))
        asked = f"{each.by} {each.at.astimezone():%Y-%m-%d %H:%M}\n{each.why}"
        decided = f"{each.decided_by} {each.decided_at.astimezone():%Y-%m-%d %H:%M}" if each.decided_at else ""
        decided += f"\n{each.message}" if each.message else ""
        state = WORDS[each.state] + (f"\n{each.applied_at.astimezone():%Y-%m-%d %H:%M}" if each.applied_at else "")
        table.add_row(each.id, each.tenant, limits, asked, decided, state)
    app.console.print(table)
