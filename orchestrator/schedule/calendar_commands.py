"""`tricenter calendar`: the drills that people hold, by their days, and the annual plan. Needs no server."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from orchestrator.catalogue.database import now as current_time
from orchestrator.schedule import calendar_show as show
from orchestrator.schedule.facts import read_schedule_facts
from policies.calendar import PlannedDrill, plan_drills
from policies.windows import zone

if TYPE_CHECKING:
    from orchestrator.app import App

DAYS_PER_MONTH = 31


@click.group()
def calendar() -> None:
    """演练日历：按等级要求排定人工演练 the calendar of drills: who drills what, and when."""


@calendar.command("show")
@click.option("--months", type=click.IntRange(1, 24), default=3, show_default=True, help="看几个月 how far to look")
@click.option(
    "--output",
    type=click.Choice(["table", "json", "ics"]),
    default="table",
    show_default=True,
    help="输出格式 output format; ics 可导入日历程序 for calendar programs",
)
@click.pass_obj
def show_calendar(app: App, months: int, output: str) -> None:
    """接下来几个月的演练，逾期的在前 the drills of the next months; the overdue come first.

    Each plan has its own day, spread over the weeks; holidays, weekends and blackouts are passed over.
    """
    moment = current_time()
    drills = _drills(app, moment, moment + timedelta(days=months * DAYS_PER_MONTH))
    if output == "json":
        click.echo(json.dumps([show.as_json(each) for each in drills], ensure_ascii=False, indent=2))
    elif output == "ics":
        click.echo(show.as_ics(app.site, drills, moment), nl=False)
    else:
        show.show_calendar(app.console, drills)


@calendar.command("plan")
@click.option("--year", type=click.IntRange(2020, 2100), help="年度 the year; the next one from December on")
@click.option("--output", type=click.Choice(["md", "html"]), default="md", show_default=True, help="输出格式 format")
@click.pass_obj
def annual_plan(app: App, year: int | None, output: str) -> None:
    """年度演练计划表 the annual plan of drills: item, purpose, form, time, units, arrangements, budget."""
    moment, local = current_time(), zone(app.site.timezone)
    today = moment.astimezone(local)
    chosen = year or (today.year + 1 if today.month == 12 else today.year)
    end = datetime(chosen + 1, 1, 1, tzinfo=local)
    drills = [each for each in _drills(app, moment, end) if each.day.year == chosen]
    click.echo(show.annual_plan(app.site, drills, chosen, html=output == "html"), nl=False)


def _drills(app: App, moment: datetime, until: datetime) -> list[PlannedDrill]:
    return plan_drills(app.site, read_schedule_facts(app.catalogue, moment), moment, until)
