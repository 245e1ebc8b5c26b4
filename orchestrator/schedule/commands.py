"""`tricenter schedule`: what comes next, why, until when, and what holds it. Needs the catalogue and no server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.catalogue.database import now as current_time
from orchestrator.schedule.facts import read_schedule_facts
from policies.schedule import Due, Reminder, reminders, upcoming
from policies.values import format_duration
from policies.windows import zone

if TYPE_CHECKING:
    from orchestrator.app import App

#: Drills by people are called to mind this long before they are due.
REMIND_BEFORE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown: of one moment, in the site's own time."""

    now: datetime
    local: tzinfo
    hours: int
    coming: Sequence[Due]
    reminders: Sequence[Reminder]


@click.group()
def schedule() -> None:
    """定时任务：接下来做什么 the schedule: what is done next, by itself."""


@schedule.command("show")
@click.argument("target", metavar="[TENANT[/SYSTEM]]", required=False)
@click.option(
    "--hours", type=click.IntRange(1, 24 * 366), default=24, show_default=True, help="看多少小时 how far to look"
)
@click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="输出格式 output format"
)
@click.pass_obj
def show(app: App, target: str | None, hours: int, output: str) -> None:
    """接下来每项任务的时间、原因、期限，以及被什么挡住。

    The next of every job, in the order of their times: why, until when an objective is kept, and what holds it
    (a window, a blackout, a run that is open). Drills that people must hold are listed as reminders.
    """
    chosen = {str(ref) for ref in app.systems(target)}
    now = current_time()
    facts = read_schedule_facts(app.catalogue, now)
    shown = Shown(
        now,
        zone(app.site.timezone),
        hours,
        [
            each
            for each in upcoming(app.site, facts, now, hours)
            if each.system in chosen or (each.system is None and target is None)
        ],
        [each for each in reminders(app.site, facts, now, REMIND_BEFORE) if each.system in chosen],
    )
    if output == "json":
        app.console.out(json.dumps(as_json(shown), ensure_ascii=False, indent=2), highlight=False)
    else:
        render(app.console, shown)


def as_json(shown: Shown) -> dict[str, Any]:
    """Return what is shown as plain JSON: ISO times in UTC, null for what does not apply."""
    return {
        "read_at": shown.now.isoformat(),
        "hours": shown.hours,
        "coming": [
            {
                "flow": each.flow,
                "subject": each.subject,
                "arguments": dict(each.arguments),
                "at": each.at.isoformat(),
                "deadline": each.deadline.isoformat(),
                "priority": each.priority,
                "reason": {"zh": each.reason_zh, "en": each.reason_en},
                "held_until": each.held_until.isoformat() if each.held_until else None,
                "held_by": {"zh": each.hold.reason_zh, "en": each.hold.reason_en} if each.hold else None,
                "open_run": each.open,
            }
            for each in shown.coming
        ],
        "reminders": [
            {
                "system": each.system,
                "centre": each.centre,
                "plans": list(each.plans),
                "last_at": each.last.isoformat() if each.last else None,
                "due_at": each.due_at.isoformat(),
                "overdue": each.due_at < shown.now,
            }
            for each in shown.reminders
        ],
    }


def render(console: Console, shown: Shown) -> None:
    """Print the tables."""
    rows = _table("时间 when", "任务 what", "对象 subject", "期限 deadline", "原因 why", "状态 state")
    for each in shown.coming:
        rows.add_row(
            "现在 now" if each.at <= shown.now else _local(each.at, shown),
            each.flow,
            escape(each.subject),
            _deadline(each, shown),
            f"{each.reason_zh} {each.reason_en}",
            _state(each, shown),
        )
    heading = f"未来 {shown.hours} 小时 the next {shown.hours} h"
    console.print(f"[bold]{heading}[/]  {shown.local}: {len(shown.coming)} 项 jobs")
    if shown.coming:
        console.print(rows)
    if shown.reminders:
        console.print("[bold]演练提醒 drills that people must hold[/]（不会自动执行 none is run by itself）")
        console.print(_reminders(shown))


def _reminders(shown: Shown) -> Table:
    rows = _table("系统 system", "中心 centre", "预案 plan", "上次 last", "到期 due")
    for each in shown.reminders:
        overdue = each.due_at < shown.now
        due = f"{each.due_at.astimezone(shown.local):%Y-%m-%d}"
        rows.add_row(
            each.system,
            each.centre,
            ", ".join(each.plans),
            f"{each.last.astimezone(shown.local):%Y-%m-%d}" if each.last else "从未 never",
            f"[red]{due} 逾期 overdue[/]" if overdue else due,
        )
    return rows


def _table(*columns: str) -> Table:
    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        rows.add_column(column, overflow="fold")
    return rows


def _local(moment: datetime, shown: Shown) -> str:
    return f"{moment.astimezone(shown.local):%m-%d %H:%M}"


def _deadline(each: Due, shown: Shown) -> str:
    left = each.deadline - shown.now
    if left < timedelta(0):
        return f"[red]{_local(each.deadline, shown)} 已过 missed[/]"
    return f"{_local(each.deadline, shown)} ({format_duration(left.total_seconds())})"


def _state(each: Due, shown: Shown) -> str:
    if each.open:
        return f"[cyan]已有任务 a run is {each.open}[/]"
    if each.hold:
        return f"[yellow]{escape(' '.join(_once((each.hold.reason_zh, each.hold.reason_en))))}[/]"
    return "[green]到期 due[/]" if each.at <= shown.now else ""


def _once(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
