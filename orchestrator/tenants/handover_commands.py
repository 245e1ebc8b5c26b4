"""`tricenter tenant request sheet|hand-over`: what a bureau is given when its tenant stands."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.catalogue.leases import hold
from orchestrator.catalogue.requests import StoredRequest, mark_handed_over, read_request
from orchestrator.errors import Refused, UnknownName
from orchestrator.person import login_name
from orchestrator.tenants.handover import first_passwords, hand_over, identity_address, sheet, write_sheet

if TYPE_CHECKING:
    from orchestrator.app import App


@click.command("sheet")
@click.argument("request_id", metavar="ID")
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), help="写到哪个文件夹 the folder")
@click.pass_obj
def sheet_command(app: App, request_id: str, folder: Path | None) -> None:
    """生成移交单（HTML、PDF），不含口令 Make the hand-over sheet. Holds no password; the same again makes the same."""
    row = _applied(app, request_id)
    addresses = {str(each): identity_address(app.secrets_folder, row.tenant, each) for each in app.site.clouds()}
    for path in write_sheet(folder or app.state / "handover", sheet(app.site, row, addresses)):
        click.echo(path)


@click.command("hand-over")
@click.argument("request_id", metavar="ID")
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), required=True, help="写到哪个新文件 a new file")
@click.option("--recipient", default="", help="用接收人的 age 公钥加密 encrypted for this age recipient: age1…")
@click.option("--passphrase", "ask", is_flag=True, help="询问口令并加密 ask for a passphrase, and encrypt with it")
@click.option("--plain", is_flag=True, help="不加密，只限属主可读 not encrypted, readable by its owner only")
@click.pass_obj
def hand_over_command(app: App, request_id: str, to: Path, recipient: str, ask: bool, plain: bool) -> None:
    """把初始口令一次性写入文件，随即删除原件 Write first passwords into a file, once, and delete where they waited."""
    if (bool(recipient), ask, plain).count(True) != 1:
        raise click.UsageError("give one of --recipient, --passphrase and --plain")
    row = _applied(app, request_id)
    with hold(app.catalogue, f"hand-over-{row.id}", f"hand-over-{secrets.token_hex(4)}", exclusive=True):
        row = _applied(app, request_id)
        if row.handed_over_at is not None:
            raise Refused(
                f"{row.tenant} was handed over at {row.handed_over_at.astimezone():%Y-%m-%d %H:%M}: "
                "its first passwords are here no more",
                hint="who lost theirs gets a new one from the cloud's administrator",
            )
        waiting = first_passwords(app.secrets_folder, app.site, row.tenant)
        if not waiting:
            raise Refused(
                f"no first password of {row.tenant} waits here", hint=f"it may have been handed over in {to.parent}"
            )
        passphrase = click.prompt("口令 passphrase", hide_input=True, confirmation_prompt=True, err=True) if ask else ""
        hand_over(waiting, row.tenant, to, recipient=recipient, passphrase=passphrase)
        mark_handed_over(app.catalogue, row.id, login_name(), sorted({each.account for each in waiting}))
    app.ledger.sealer.now()
    app.console.print(f"{to}: {len(waiting)} 个初始口令 first password(s)", markup=False, soft_wrap=True)


def _applied(app: App, request_id: str) -> StoredRequest:
    row = read_request(app.catalogue, request_id)
    if row.state != "applied":
        raise Refused(f"the request {row.id} is {row.state}", hint=f"tricenter tenant request apply {row.id}")
    if row.tenant not in app.site.tenants:
        raise UnknownName("tenant", row.tenant, app.site.tenants)
    return row


HANDING = (sheet_command, hand_over_command)
