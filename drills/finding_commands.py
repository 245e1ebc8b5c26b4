"""`tricenter finding`: what drills found wrong, who puts it right until when, and whether it is right."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import click
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from drills.report.words import STATES
from orchestrator.catalogue.corrections import Correction, State, assign, close, findings
from orchestrator.catalogue.corrections import finding as one
from orchestrator.person import login_name

if TYPE_CHECKING:
    from orchestrator.app import App

_output = click.option("--output", type=click.Choice(["table", "json"]), default="table", help="格式 format")
Output = Literal["table", "json"]


@click.group()
def finding() -> None:
    """整改：演练发现的问题，直到复测通过 what drills found wrong, until a later drill shows that it is right."""


@finding.command("list")
@click.option("--state", "states", type=click.Choice([each.value for each in State]), multiple=True, help="状态 state")
@click.option("--drill", metavar="ID", help="一次演练的 of one drill")
@click.option("--system", metavar="TENANT[/SYSTEM]", help="一个单位或系统的 of one bureau or system")
@_output
@click.pass_obj
def list_(app: App, states: tuple[str, ...], drill: str | None, system: str | None, output: Output) -> None:
    """问题列表，先到期的在前 findings, the one that is due first coming first; open and done ones when not told."""
    wanted = tuple(State(each) for each in states) or (State.OPEN, State.DONE)
    tenant, _, name = (system or "").partition("/")
    found = findings(app.catalogue, states=wanted, drill=drill, tenant=tenant or None, system=name or None)
    if output == "json":
        click.echo(json.dumps([each.as_json() for each in found], ensure_ascii=False, indent=2))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("#", "系统 system", "问题 finding", "责任人 owner", "期限 due", "状态 state"):
        table.add_column(heading, overflow="fold")
    now = datetime.now(UTC)
    for each in found:
        late = each.state is State.OPEN and each.due_at < now
        due = f"{each.due_at.astimezone():%F}"
        table.add_row(
            str(each.id),
            f"{each.tenant}/{each.system} @ {each.centre}",
            escape(f"{each.zh}\n{each.en}"),
            escape(each.owner),
            f"[red]{due}[/]" if late else due,
            str(STATES[each.state]),
        )
    app.console.print(table if found else "没有问题 no finding")


@finding.command()
@click.argument("number", type=int)
@_output
@click.pass_obj
def show(app: App, number: int, output: Output) -> None:
    """一个问题的全部情况 everything about one finding."""
    _tell(one(app.catalogue, number), output)


@finding.command("assign")
@click.argument("number", type=int)
@click.option("--owner", help="责任人 who answers for it")
@click.option("--due", type=click.DateTime(["%Y-%m-%d"]), help="期限 until when: YYYY-MM-DD")
@_output
@click.pass_obj
def assign_(app: App, number: int, owner: str | None, due: datetime | None, output: Output) -> None:
    """指定责任人与期限 say who answers for a finding, and until when."""
    if owner is None and due is None:
        raise click.UsageError("give --owner, --due, or both")
    until = due.astimezone() if due else None
    changed = assign(app.catalogue, number, owner=owner, due=until, by=login_name())
    app.ledger.sealer.now()
    _tell(changed, output)


@finding.command("close")
@click.argument("number", type=int)
@click.option("--note", required=True, help="如何整改 what was done about it")
@_output
@click.pass_obj
def close_(app: App, number: int, note: str, output: Output) -> None:
    """登记已整改；由之后的演练复测 say that a finding was put right. A later drill verifies it, or opens it again."""
    changed = close(app.catalogue, number, note_text=note, by=login_name())
    app.ledger.sealer.now()
    _tell(changed, output)


def _tell(found: Correction, output: Output) -> None:
    told = found.as_json()
    if output == "json":
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    for key, value in told.items():
        if value is not None:
            click.echo(f"{key:<12} {value}")
