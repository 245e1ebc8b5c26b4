"""Drills on the screen: steps as they happen, then the result. Rich on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from drills.probes import ProbeResult
from drills.words import KINDS, STAGES, VERDICTS, Words, step_words
from orchestrator.catalogue.records import DrillRow
from orchestrator.engine.port import Run
from policies.values import format_duration

P = ParamSpec("P")
T = TypeVar("T")

COLOURS = {"met": "green", "missed": "yellow", "failed": "red"}


class Narrated:
    """A run whose steps are told to a person as they end. Satisfies `orchestrator.engine.port.Run`.

    The parts of a run tell theirs as well, from threads of their own: so each line says which system it is about.
    """

    def __init__(self, run: Run, console: Console, about: str = "") -> None:
        self._run, self._console, self._about = run, console, about

    @property
    def id(self) -> str:
        return self._run.id

    def step(self, name: str, act: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._told(name, lambda: self._run.step(name, act, *args, **kwargs))

    def wait(self, topic: str, timeout_seconds: float) -> Any:
        self._console.print(
            f"[yellow]…[/] 等待 waiting for [bold]{escape(topic)}[/]: tricenter drill answer {self.id} {escape(topic)}"
        )
        return self._told(f"wait:{topic}", lambda: self._run.wait(topic, timeout_seconds))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)

    def _told(self, name: str, act: Callable[[], T]) -> T:
        begin = time.monotonic()
        words = step_words(name)
        try:
            result = act()
        except BaseException:
            self._line("red", "✗", begin, words)
            raise
        if isinstance(result, ProbeResult) and not result.passed:
            self._line("red", "✗", begin, words, f"  {result.expected} → {result.got}")
        else:
            self._line("green", "✓", begin, words)
        return result

    def _line(self, colour: str, mark: str, begin: float, words: Words, more: str = "") -> None:
        seconds = time.monotonic() - begin
        about = f"  [dim]{escape(self._about)}[/]" if self._about else ""
        self._console.print(
            f"[{colour}]{mark}[/] {seconds:7.2f} s  {escape(str(words))}{about}[{colour}]{escape(more)}[/]"
        )


def show_drill(console: Console, document: Mapping[str, Any], report: str | None) -> None:
    """Print the result of a run: objectives beside what was measured, probes, the verdict, the report's path."""
    console.print()
    title = document["plan_title"]
    console.print(
        f"[bold]{KINDS[document['kind']]} {document['drill']}[/]  {document['plan']} @ {document['centre']}"
        f"  [dim]{escape(title['zh'])} {escape(title['en'])}[/]"
    )
    console.print(_objectives(document["systems"]))
    for each in document["systems"]:
        _show_system(console, each, alone=len(document["systems"]) == 1)
    if document["reconciliations"]:
        console.print(_probes(document["reconciliations"]))
    verdict = VERDICTS[document["verdict"]]
    console.print(f"结论 verdict: [bold {COLOURS[document['verdict']]}]{verdict.zh} {verdict.en.upper()}[/]")
    if report:
        console.print(f"报告 report: {report}", soft_wrap=True)


def _show_system(console: Console, system: Mapping[str, Any], *, alone: bool) -> None:
    if not alone:
        console.print(f"[bold]{system['system']}[/]  [dim]{escape(system['title']['zh'])}[/]")
    reached = [
        f"{STAGES[stage]} {format_duration(seconds)}"
        for stage, seconds in system["measured"]["stages"].items()
        if seconds is not None
    ]
    console.print("阶段 stages: " + " · ".join(reached))
    escrow = (system.get("key_access") or {}).get("escrow")
    if escrow and escrow["verdict"] != "ok":
        told = f"{escrow['en']}; {escrow['hint']}"
        console.print(f"[yellow]•[/] 托管 escrow: {escape(escrow['zh'])}\n  [dim]{escape(told)}[/]")
    if system["probes"]:
        console.print(_probes(system["probes"]))
    for problem in system["problems"]:
        console.print(f"[red]•[/] {escape(problem['zh'])}\n  [dim]{escape(problem['en'])}[/]")


def show_drills(console: Console, rows: Iterable[DrillRow]) -> None:
    """Print a table of runs of plans, newest first; one line a system."""
    table = _table(
        "演练 Drill", "方式 kind", "系统 system", "中心 centre", "开始 started", "RPO", "RTO", "结论 verdict"
    )
    for row in rows:
        table.add_row(
            row.id,
            KINDS[row.kind].zh.partition("（")[0],
            f"{row.tenant}/{row.system}",
            row.centre,
            f"{row.started_at.astimezone():%Y-%m-%d %H:%M}",
            _duration(row.rpo_seconds),
            _duration(row.rto_seconds),
            f"[{COLOURS[row.verdict]}]{VERDICTS[row.verdict]}[/]",
        )
    console.print(table if table.row_count else "没有演练记录 no drill on record")


def _objectives(systems: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("系统 system", "", "目标 objective", "实测 measured", "")
    for system in systems:
        for name, key in (("RPO", "rpo_seconds"), ("RTO", "rto_seconds")):
            limit, actual = system["objective"][key], system["measured"][key]
            kept = actual is not None and actual <= limit
            mark = "[green]✓[/]" if kept else "[red]✗[/]"
            shown = system["system"] if name == "RPO" else ""
            table.add_row(shown, name, f"≤ {format_duration(limit)}", _duration(actual), mark)
    return table


def _probes(probes: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("校验 probe", "应为 expected", "实为 got", "")
    for each in probes:
        mark = "[green]✓[/]" if each["passed"] else "[red]✗[/]"
        table.add_row(escape(each["name"]), escape(each["expected"]), escape(each["got"]), mark)
        for line in () if each["passed"] else each["detail"]:
            table.add_row("", "", f"[dim]{escape(line)}[/]", "")
    return table


def _duration(seconds: float | None) -> str:
    return "—" if seconds is None else format_duration(seconds)


def _table(*headings: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
