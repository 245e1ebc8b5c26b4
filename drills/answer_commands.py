"""The commands by which people answer a run of a plan: `tricenter drill approve|answer|commit|release|undo|abort`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from drills.activation import COMMIT, UNDO
from drills.answers import answer, waiting
from drills.promotion import RELEASE
from orchestrator.approval import APPROVE
from orchestrator.person import login_name

if TYPE_CHECKING:
    from orchestrator.app import App

CODE_VARIABLE = "TRICENTER_APPROVAL_CODE"


@click.command("approve")
@click.argument("drill_id", metavar="ID")
@click.option("--no", "refuse", is_flag=True, help="不批准 refuse it")
@click.option("--message", default="", help="附言 words that are kept with the approval")
@click.option("--code", is_flag=True, help="输入动态口令 ask for the code of a second factor")
@click.pass_obj
def approve(app: App, drill_id: str, *, refuse: bool, message: str, code: bool) -> None:
    """批准切换；宣告人本人不能批准 approve a switch that somebody else declared.

    With --code the code of the second factor is asked for, or taken from TRICENTER_APPROVAL_CODE.
    """
    shown = (os.environ.get(CODE_VARIABLE) or click.prompt("动态口令 code", hide_input=True, err=True)) if code else ""
    answer(app, drill_id, APPROVE, "no" if refuse else message, shown)
    app.progress_console.print("未批准 refused" if refuse else f"已批准 approved by {login_name()}")


@click.command("answer")
@click.argument("drill_id", metavar="ID")
@click.argument("topic", required=False)
@click.option("--no", "refuse", is_flag=True, help="否 the answer is no")
@click.option("--message", default="", help="附言 words that are kept with the answer")
@click.pass_obj
def answer_one(app: App, drill_id: str, topic: str | None, *, refuse: bool, message: str) -> None:
    """确认人工步骤；不给 TOPIC 时列出等待事项 confirm what a run waits for; without TOPIC, list it."""
    if topic is None:
        found = waiting(app, drill_id)
        for each in found:
            click.echo(f"{each.topic}  {each.about}")
        if not found:
            app.progress_console.print("没有等待人工的事项 it waits for nobody")
        return
    one = answer(app, drill_id, topic, "no" if refuse else message)
    app.progress_console.print(f"已答复 answered {one.topic} ({one.about}): {'no' if refuse else message or 'yes'}")


@click.command("commit")
@click.argument("drill_id", metavar="ID")
@click.pass_obj
def commit(app: App, drill_id: str) -> None:
    """确认切换，不再撤销 commit a switch before its undo window has passed."""
    answer(app, drill_id, COMMIT)
    app.progress_console.print("已确认 committed")


@click.command("release")
@click.argument("drill_id", metavar="ID")
@click.pass_obj
def release(app: App, drill_id: str) -> None:
    """结束保留的沙箱，清理其全部资源 end a kept sandbox; everything of it is taken away."""
    answer(app, drill_id, RELEASE)
    app.progress_console.print("正在清理 it is being taken away")


@click.command("undo")
@click.argument("drill_id", metavar="ID")
@click.option("--yes", is_flag=True, help="不再询问 without asking")
@click.pass_obj
def undo(app: App, drill_id: str, *, yes: bool) -> None:
    """撤销切换：切换后写入的数据会丢失 take a switch back; what was written since is lost."""
    if not yes:
        click.confirm(
            "切换后写入新中心的数据会丢失。What was written at the new centre since is lost. Undo?", abort=True
        )
    answer(app, drill_id, COMMIT, UNDO)
    app.progress_console.print("正在撤销 it is being undone")


@click.command("abort")
@click.argument("drill_id", metavar="ID")
@click.pass_obj
def abort(app: App, drill_id: str) -> None:
    """中止：停止并收回已建立的一切 stop a run; what it has made is taken away again."""
    app.ledger.request_abort(drill_id, login_name())
    app.progress_console.print("已要求中止 it was asked to end")


COMMANDS = (approve, answer_one, commit, release, undo, abort)
