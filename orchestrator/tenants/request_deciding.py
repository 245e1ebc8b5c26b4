"""`tricenter tenant request submit|list|show|approve|reject`: who asks, and somebody else who decides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from orchestrator.approval import ask_second_factor
from orchestrator.catalogue.requests import (
    StoredRequest,
    decide_request,
    read_request,
    read_requests,
    submit_requests,
)
from orchestrator.errors import CheckFailed, Refused
from orchestrator.person import login_name, same_person
from orchestrator.tenants.request_commands import (
    files_argument,
    looked_at,
    output_option,
    raise_for_faults,
    show_checked,
)
from orchestrator.tenants.request_writing import plan_writing
from orchestrator.tenants.requesting import as_yaml
from policies.request import Request

if TYPE_CHECKING:
    from orchestrator.app import App


@click.command("submit")
@files_argument
@click.option("--dry-run", is_flag=True, help="只检查 check and stop")
@output_option
@click.pass_obj
def submit_command(app: App, files: tuple[Path, ...], dry_run: bool, output: str) -> None:
    """检查并登记申请，待他人批准 Check requests and store them, for somebody else to approve.

    Those with faults are told and left out; the others are stored, with the addresses that they were given.
    """
    found = looked_at(app, files)
    if output == "table" or dry_run:
        show_checked(app, found, output)
    sound = [
        each.request.model_dump(mode="json", exclude_none=True) for each in found.judged if each.sound and each.request
    ]
    if not dry_run:
        stored = submit_requests(app.catalogue, sound, login_name())
        app.ledger.sealer.now()
        if output == "json":
            click.echo(json.dumps([each.as_json() for each in stored], ensure_ascii=False, indent=2))
        for each in stored if output == "table" else ():
            app.console.print(f"{each.id}  {each.tenant}  已登记 asked", markup=False)
    raise_for_faults(found)


@click.command("list")
@output_option
@click.pass_obj
def list_command(app: App, output: str) -> None:
    """列出申请 List requests, the last first."""
    rows = read_requests(app.catalogue)
    if output == "json":
        told = [{**each.as_json(), "document": None} for each in rows]
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    table = Table(
        "编号 id", "租户 tenant", "状态 state", "申请人 by", "时间 at", "决定人 decided by", "移交 handed over"
    )
    for each in rows:
        handed = f"{each.handed_over_at:%Y-%m-%d}" if each.handed_over_at else ""
        at = f"{each.at.astimezone():%Y-%m-%d %H:%M}"
        table.add_row(each.id, each.tenant, each.state, each.by, at, each.decided_by or "", handed)
    app.console.print(table)


@click.command("show")
@click.argument("request_id", metavar="ID")
@output_option
@click.pass_obj
def show_command(app: App, request_id: str, output: str) -> None:
    """显示一份申请与将写入站点的文件 Show a request, and the file that it becomes in the site."""
    row = read_request(app.catalogue, request_id)
    if output == "json":
        click.echo(json.dumps(row.as_json(), ensure_ascii=False, indent=2))
        return
    told = f"{row.id}  {row.tenant}  {row.state}  {row.by} {row.at.astimezone():%Y-%m-%d %H:%M}"
    if row.decided_by:
        told += f"  {row.decided_by}: {row.reason}"
    app.console.print(told, markup=False, soft_wrap=True)
    app.console.print(as_yaml(request_of(row).as_tenant()), markup=False, soft_wrap=True)


@click.command("approve")
@click.argument("request_id", metavar="ID")
@click.option("--message", default="", help="批准意见 what is to be remembered with it")
@click.pass_obj
def approve_command(app: App, request_id: str, message: str) -> None:
    """批准申请（不得由申请人批准） Approve a request. Who submitted it may not. It must still fit the site."""
    row, by = read_request(app.catalogue, request_id), login_name()
    if same_person(row.by, by):
        raise Refused(
            f"{by} submitted the request {row.id} and cannot approve it", hint="another person must approve it"
        )
    assert app.site_folder or app.site  # raises what is missing
    assert app.site_folder is not None
    wrong = plan_writing({row.tenant: request_of(row)}, app.site_folder, app.overlay).wrong
    if row.state == "asked" and wrong:
        raise CheckFailed(f"it no longer fits: {wrong[row.tenant]}", hint="reject it, and let it be submitted anew")
    ask_second_factor(app.site.approval, by, row.id)
    done = decide_request(app.catalogue, request_id, "approved", by, message)
    app.ledger.sealer.now()
    app.console.print(f"{done.id}  {done.tenant}  已批准 approved", markup=False)


@click.command("reject")
@click.argument("request_id", metavar="ID")
@click.option("--reason", required=True, help="理由 why")
@click.pass_obj
def reject_command(app: App, request_id: str, reason: str) -> None:
    """退回申请，写明理由 Reject a request with the reason. Its name and addresses are free again."""
    done = decide_request(app.catalogue, request_id, "rejected", login_name(), reason)
    app.ledger.sealer.now()
    app.console.print(f"{done.id}  {done.tenant}  已退回 rejected", markup=False)


def request_of(row: StoredRequest) -> Request:
    """Return what was asked for."""
    return Request.model_validate(dict(row.document))


DECIDING = (submit_command, list_command, show_command, approve_command, reject_command)
