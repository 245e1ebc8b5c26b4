"""`tricenter notify`: what people were told, what they are to be told, and whether a channel reaches them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.catalogue import notices
from orchestrator.catalogue.notices import Message, Notice, Telling
from orchestrator.catalogue.reading import reading
from orchestrator.errors import UnknownName
from orchestrator.notify.courier import facts_of, foresee, style_of, tell, way_of
from orchestrator.notify.words import Rendered, render
from policies.windows import zone

if TYPE_CHECKING:
    from orchestrator.app import App

STATES = {Telling.WAITING: "待发 waiting", Telling.SENT: "已送达 sent", Telling.GIVEN_UP: "已放弃 given up"}

_output = click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="输出格式 output format"
)
_dry_run = click.option("--dry-run", is_flag=True, help="只说明会发什么 only show what would be sent")


@click.group()
def notify() -> None:
    """通知：渠道、已发与待发 notifications: channels, what was told, what waits to be told."""


@notify.command("list")
@click.option("--state", type=click.Choice([each.value for each in Telling]), help="只看此状态 only this state")
@click.option("--limit", type=click.IntRange(1, 1000), default=30, show_default=True, help="最多几条 how many")
@_output
@click.pass_obj
def list_(app: App, state: str | None, limit: int, output: str) -> None:
    """消息列表，新的在前 messages, the newest first: to which channel, in which state, and what they tell."""
    with reading(app.catalogue) as db:
        found = notices.list_messages(db, limit, Telling(state) if state else None)
        told = {each.id: notices.notices_of(db, each.id) for each in found}
        waiting = notices.waiting_for(db)
    if output == "json":
        listed = {"messages": [_as_json(each, told[each.id]) for each in found], "not_yet_in_a_message": waiting}
        app.console.out(json.dumps(listed, ensure_ascii=False, indent=2), highlight=False)
        return
    app.console.print(_table(app, found, told))
    for name, count in waiting.items():
        app.console.print(f"{escape(name)}: {count} 项尚未成文 notices wait to be put into a message")


@notify.command()
@click.argument("channel")
@_dry_run
@_output
@click.pass_obj
def test(app: App, channel: str, dry_run: bool, output: str) -> None:
    """向一个渠道发一条测试消息 send a test message to CHANNEL. Nothing of it is kept.

    With --dry-run show what would be sent, once the address was read. Exit code 4 when the service refuses it, 6 when
    it does not answer.
    """
    from orchestrator.notify.channels import Sent

    known = app.site.notifications.channels
    if channel not in known:
        raise UnknownName("channel", channel, known)
    way, told, name = way_of(app, channel), [_example(app)], f"test-{secrets.token_hex(4)}"
    shown = render(name, told, style_of(app.site), known[channel].language, way.most_bytes)
    sent = Sent(name, shown, facts_of(app.site, told))
    if not dry_run:
        way.send(sent)
    if output == "json":
        said: dict[str, Any] = {"id": name, "channel": channel, "service": way.service, "sent": not dry_run}
        said |= {**_said(shown), **sent.facts}
        app.console.out(json.dumps(said, ensure_ascii=False, indent=2), highlight=False)
        return
    app.console.print(
        f"{escape(channel)} ({way.service}): " + ("[yellow]未发送 not sent[/]" if dry_run else "[green]已送达 taken[/]")
    )
    _show(app.console, shown)


@notify.command()
@_dry_run
@_output
@click.pass_obj
def send(app: App, dry_run: bool, output: str) -> int:
    """立即查看并发送 look what there is to tell and send it now: for timers, where no server runs.

    With --dry-run show what would be sent. Exit code 3 when a message did not get through; it is tried again.
    """
    if dry_run:
        fresh, coming = foresee(app)
        if output == "json":
            shown = [{"channel": each.channel, "notices": each.notices, **_said(text)} for each, text in coming]
            app.console.out(json.dumps({"new": len(fresh), "messages": shown}, ensure_ascii=False, indent=2))
            return 0
        app.console.print(f"新事项 new {len(fresh)} · 消息 messages {len(coming)}")
        for each, text in coming:
            app.console.print(f"[bold]{escape(each.channel)}[/]")
            _show(app.console, text)
        return 0
    told = tell(app)
    tried = [{"id": each.id, "channel": each.channel, "state": state} for each, state in told.tried]
    if output == "json":
        said = {"new": len(told.noted), "messages": tried, "by_another": told.by_another}
        app.console.out(json.dumps(said, ensure_ascii=False, indent=2), highlight=False)
    elif told.by_another:
        app.console.print("另一进程正在发送 another process is sending")
    else:
        sent = sum(state is Telling.SENT for _, state in told.tried)
        app.console.print(f"新事项 new {len(told.noted)} · 已送达 sent {sent} · 未送达 not sent {len(tried) - sent}")
    return 0 if all(state is Telling.SENT for _, state in told.tried) else 3


def _example(app: App) -> Notice:
    ref = next(iter(app.site.systems()))
    centre, copy = next(iter(ref.copies.items()))
    facts = {
        "test": True,
        "system": str(ref),
        "centre": str(centre),
        "data_time": None,
        "rpo_seconds": 0.0,
        "rpo_objective_seconds": copy.rpo.total_seconds(),
        "over": True,
        "lasted_seconds": 0.0,
    }
    moment = datetime.now(UTC)
    return Notice("test", "objective", "info", f"{ref}@{centre}", moment, moment, facts)


def _as_json(message: Message, told: Sequence[Notice]) -> dict[str, Any]:
    return {
        "id": message.id,
        "channel": message.channel,
        "state": message.state,
        "made_at": message.made_at.isoformat(),
        "attempts": message.attempts,
        "next_at": message.next_at.isoformat() if message.state is Telling.WAITING else None,
        "ended_at": message.ended_at.isoformat() if message.ended_at else None,
        "error": message.error,
        "notices": [
            {"id": each.id, "event": each.event, "severity": each.severity, "subject": each.subject, "over": each.over}
            for each in told
        ],
    }


def _said(shown: Rendered) -> dict[str, str]:
    return {"title": shown.title, "body": shown.body, "severity": shown.severity}


def _show(console: Console, shown: Rendered) -> None:
    console.print(shown.title, markup=False, style="bold")
    console.print(shown.body, markup=False)


def _table(app: App, found: Sequence[Message], told: dict[str, list[Notice]]) -> Table:
    local, rows = zone(app.site.timezone), Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("编号 id", "渠道 channel", "时间 made", "状态 state", "次数 tries", "事项 tells", "原因 why not"):
        rows.add_column(column, overflow="fold")
    for each in found:
        events = sorted({notice.event for notice in told[each.id]})
        rows.add_row(
            each.id,
            escape(each.channel),
            f"{each.made_at.astimezone(local):%m-%d %H:%M:%S}",
            STATES[each.state],
            str(each.attempts),
            f"{each.notices}: {', '.join(events)}",
            escape(each.error or ""),
        )
    return rows
