"""`tricenter grade`: which level of GB/T 20988 the elements allow that a program can look at, and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import click

from orchestrator.catalogue.grades import SystemGrade, grade_systems
from policies.grading import PROFILES, profile_of

if TYPE_CHECKING:
    from orchestrator.app import App


@click.command("grade")
@click.argument("name", metavar="[TENANT[/SYSTEM]]", required=False)
@click.option("--profile", type=click.Choice(list(PROFILES)), help="版本 the edition; the one in force when not given")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="格式 format")
@click.pass_obj
def grade_(app: App, name: str | None, profile: str | None, output: Literal["text", "json"]) -> None:
    """按 GB/T 20988 要素逐项核对；不构成定级结论。

    Hold each system against the elements of GB/T 20988. The level shown is the highest that the elements allow which
    a program can look at; people, contracts and rules are named as not checkable. It is no grading.
    """
    now = datetime.now(UTC)
    chosen = PROFILES[profile] if profile else profile_of(now.date())
    grades = grade_systems(app.site, app.catalogue, app.systems(name), chosen, now)
    if output == "json":
        click.echo(json.dumps([each.as_json() for each in grades], ensure_ascii=False, indent=2))
        return
    click.echo(f"{chosen.title}\n{chosen.note}\n")
    for each in grades:
        _tell(each)


def _tell(each: SystemGrade) -> None:
    level = each.grade.level
    allowed = f"至多第 {level} 级 at most level {level}" if level else "无等级 no level"
    aim = each.ref.tier.gbt20988_level
    click.echo(f"{each.ref} @ {each.centre}: {allowed}（目标 aims at {aim}）")
    for element in each.grade.elements:
        mark = "-" if element.level is None else str(element.level)
        unread = "" if element.standing == "read" or element.level is None else "  [条文未核实 clause unverified]"
        click.echo(f"  {mark}  {element.title}: {element.reason}{unread}")
    click.echo()
