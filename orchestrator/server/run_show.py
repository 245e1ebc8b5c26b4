"""Runs on the screen: a table of them, and one with its attempts. What is shown is what the API answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from policies.values import format_duration

Row = Mapping[str, Any]

STATES = {
    "queued": ("排队 queued", "cyan"),
    "running": ("运行 running", "blue"),
    "waiting": ("等待 waiting", "magenta"),
    "done": ("完成 done", "green"),
    "failed": ("失败 failed", "bold red"),
    "aborted": ("已中止 aborted", "yellow"),
    "interrupted": ("已中断 interrupted", "yellow"),
}
OUTCOMES = {"passed": ("green", "✓"), "failed": ("red", "✗"), "interrupted": ("yellow", "↯"), "started": ("blue", "▶")}
NOTHING = "—"

#: The step whose detail is the lines of a plan, and the one whose detail is what somebody is asked to approve.
PLAN, ASK = "plan", "ask"


def show_runs(console: Console, runs: Iterable[Row], now: str) -> None:
    """Print a table of runs, as they were at `now`: two lines each, so that names stay whole."""
    table = _table(
        "任务 run\n执行者 worker",
        "状态 state\n流程 flow",
        "对象 subject\n步骤 step",
        "用时 elapsed\n进度 progress",
        "谁 who\n原因 why",
    )
    table.columns[0].min_width = 23
    for run in runs:
        lines = (
            (run["id"], run["worker"]),
            (state(run), run["flow"]),
            (escape(run["subject"]), step(run)),
            (elapsed(run, now), progress(run)),
            (escape(run["requested_by"] or NOTHING), run["reason"]),
        )
        table.add_row(*(f"{first}\n[dim]{escape(second or '')}[/]" for first, second in lines))
    console.print(table if table.row_count else "没有任务 no runs")


def show_run(console: Console, answered: Mapping[str, Any]) -> None:
    """Print a run: what was asked for, how it is, its attempts, and what is still to be taken away."""
    run, now = answered["run"], answered["now"]
    console.print(f"[bold]任务 Run {run['id']}[/]  {state(run)}  {run['flow']} {escape(run['subject'])}")
    console.print(_facts(run, now))
    if answered["attempts"]:
        console.print(_attempts(answered["attempts"], now))
        show_plan(console, answered["attempts"])
    for each in answered["cleanups"]:
        if not each["done"]:
            where = f" @ {each['host']}" if each["host"] else ""
            console.print(f"[dim]待清理 to be taken away: {escape(each['action'])}{escape(where)}[/]")
    if run["error"]:
        console.print(f"[red]错误 error:[/] {escape(run['error_type'] or '')}: {escape(run['error'])}")
    if run["hint"]:
        console.print(f"[yellow]下一步 next:[/] {escape(run['hint'])}")


def show_plan(console: Console, attempts: Iterable[Row]) -> None:
    """Print what a run means to do, line by line, when a step of it said so: what somebody is asked to approve."""
    for each in attempts:
        if each["step"] == PLAN and isinstance(each["detail"], list):
            console.print(f"[bold]计划 plan[/]: {len(each['detail'])}")
            for line in each["detail"]:
                console.print(f"  {escape(str(line))}", soft_wrap=True)
        if each["step"] == ASK and isinstance(each["detail"], Mapping):
            console.print("[bold]请批准 what is to be approved[/]")
            for name, value in each["detail"].items():
                console.print(f"  {escape(name)}: {escape(str(value))}", soft_wrap=True)


def state(run: Row) -> str:
    """Return the run's state in colour; an abort that was asked for shows beside it."""
    words, colour = STATES.get(run["state"], (run["state"], "white"))
    asked = " [yellow]中止中 aborting[/]" if run["abort_requested_at"] and not run["ended_at"] else ""
    return f"[{colour}]{words}[/]{asked}"


def step(run: Row) -> str:
    if run["waiting_for"]:
        return f"等待 {run['waiting_for']}"
    return run.get("step") or NOTHING


def progress(run: Row) -> str:
    """Return how far the run's step is; "" when it does not say, or has ended."""
    told = run["progress"]
    if run["ended_at"] or not isinstance(told, Mapping) or not told.get("total"):
        return ""
    return f"{told['what']} {min(1.0, told['done'] / told['total']):.0%}"


def elapsed(run: Row, now: str) -> str:
    """Return how long the run has been at work, or waits to begin."""
    return format_duration(seconds(run["started_at"] or run["queued_at"], run["ended_at"] or now))


def seconds(begin: str, end: str) -> float:
    return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds())


def _facts(run: Row, now: str) -> Table:
    facts = {
        "参数 arguments": " ".join(f"{name}={value}" for name, value in run["arguments"].items()),
        "谁 who": run["requested_by"],
        "原因 why": run["reason"],
        "重试自 retry of": run["retry_of"],
        "排队 queued": _time(run["queued_at"]),
        "开始 started": _time(run["started_at"]),
        "结束 ended": _time(run["ended_at"]),
        "用时 elapsed": elapsed(run, now),
        "执行者 worker": run["worker"],
        "接手次数 generation": str(run["generation"]) if run["generation"] > 1 else None,
        "等待 waits for": run["waiting_for"],
        "进度 progress": progress(run),
        "中止 abort asked by": run["abort_requested_by"],
    }
    grid = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        if value:
            grid.add_row(f"[dim]{name}[/]", escape(value))
    return grid


def _attempts(attempts: Iterable[Row], now: str) -> Table:
    table = _table("", "步骤 step", "开始 started", "秒 seconds", "")
    for each in attempts:
        colour, mark = OUTCOMES[each["outcome"]]
        table.add_row(
            f"[{colour}]{mark}[/]",
            escape(each["step"]),
            _time(each["started_at"]),
            f"{seconds(each['started_at'], each['ended_at'] or now):.2f}",
            escape(each["error"] or ""),
        )
    return table


def _time(text: str | None) -> str:
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}" if text else NOTHING


def _table(*headings: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
