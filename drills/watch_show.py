"""A run of a plan on the screen, live: clocks against the objectives, each system's steps, who is waited for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.box import ROUNDED
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from drills.scenario import Scenario
from drills.watch import Beat, Clock, SystemView, Timeline, Waiting, told
from drills.words import KINDS, SHORT, VERDICTS
from orchestrator.catalogue.records import RunRow, RunState
from policies.values import format_duration

MARKS = {
    "pending": ("·", "dim"),
    "running": ("▶", "bold blue"),
    "done": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "passed-over": ("–", "dim"),
}
STATES = {
    "pending": ("未轮到 not its turn", "dim"),
    "queued": ("排队 queued", "cyan"),
    "running": ("恢复中 running", "blue"),
    "waiting": ("等待答复 waiting", "magenta"),
    "done": ("完成 done", "green"),
    "failed": ("失败 failed", "bold red"),
    "aborted": ("已中止 aborted", "yellow"),
    "interrupted": ("已中断 interrupted", "yellow"),
}
COLOURS = {"met": "green", "missed": "yellow", "failed": "red"}
BAR_CELLS = 12
FAULTS_SHOWN = 3
HURRY, LATE = 0.5, 0.8


def screen(found: Timeline, height: int = 50) -> RenderableType:
    """Return the whole picture, of so many lines at most."""
    parts: list[RenderableType] = [_head(found)]
    if found.whole:
        parts.append(_strip(found.whole))
    parts += [_wait(each, found) for each in found.waits]
    if found.systems:
        parts.append(_systems(found, height - 14))
    if found.others:
        parts.append(_others(found.others))
    if found.run.state.ended:
        parts.append(_end(found))
    return Group(*parts)


def _head(found: Timeline) -> RenderableType:
    run, scenario = found.run, found.scenario
    words, colour = STATES[found.state]
    kind = KINDS[scenario.kind if scenario else run.arguments.get("kind", "restore")]
    name = f"{kind.zh.partition('（')[0]} {kind.en.partition(' (')[0]}"
    head = f"[bold]{escape(name)}[/]  {escape(run.subject)}  [{colour}]{words}[/]  [dim]{run.id}[/]"
    lines = [Text.from_markup(head)]
    if scenario:
        lines.append(Text.from_markup(_about(found, scenario)))
        lines.append(_clocks(found))
    return Panel(Group(*lines), box=ROUNDED, border_style=colour, padding=(0, 1))


def _about(found: Timeline, scenario: Scenario) -> str:
    begin = found.run.started_at or found.run.queued_at
    end = found.run.ended_at or found.now
    elapsed = (end - begin).total_seconds()
    said = [
        f"[dim]{escape(scenario.plan_title['zh'])} {escape(scenario.plan_title['en'])}[/]",
        f"宣告 declared by {escape(scenario.operator)}",
        f"已用 elapsed [bold]{format_duration(elapsed)}[/]",
    ]
    if found.stops_at and not found.run.state.ended:
        left = (found.stops_at - found.now).total_seconds()
        said.append(f"截止 stopped in {format_duration(max(left, 0))}")
    return " · ".join(said)


def _clocks(found: Timeline) -> Text:
    text = Text()
    if (tightest := found.tightest) is not None:
        text.append("RTO ", "bold")
        text.append_text(_bar(tightest.rto))
        text.append(f"  {tightest.name}", "dim")
    else:
        text.append(f"{found.done}/{len(found.systems)} 个系统已恢复 systems recovered", "bold")
    worst = max((each for each in found.systems if each.rpo.used is not None), key=_share, default=None)
    if worst is not None:
        text.append("    RPO ", "bold")
        text.append_text(_kept(worst.rpo))
        text.append(f"  {worst.name}", "dim")
    return text


def _share(each: SystemView) -> float:
    return (each.rpo.used or 0.0) / each.rpo.limit


def _bar(clock: Clock) -> Text:
    """Return how much of an objective is used, and what is left of it."""
    used, left = clock.used or 0.0, clock.left or 0.0
    share = used / clock.limit
    colour = "green" if share < HURRY else "yellow" if share < LATE else "red"
    cells = min(BAR_CELLS, round(share * BAR_CELLS))
    text = Text.assemble(("█" * cells, colour), ("░" * (BAR_CELLS - cells), "dim"), " ")
    said = f"剩 left {format_duration(left)}" if left >= 0 else f"超时 over by {format_duration(-left)}"
    text.append(said, f"bold {colour}")
    return text.append(f" / {format_duration(clock.limit)}", "dim")


def _kept(clock: Clock) -> Text:
    """Return what was measured against an objective."""
    if clock.used is None:
        return Text(f"— / {format_duration(clock.limit)}", "dim")
    good = clock.used <= clock.limit
    text = Text(f"{'✓' if good else '✗'} {format_duration(clock.used)}", "green" if good else "bold red")
    return text.append(f" / {format_duration(clock.limit)}", "dim")


def _strip(beats: Iterable[Beat]) -> Text:
    """Return steps in one line, each with its mark and its seconds."""
    text = Text()
    for number, beat in enumerate(beats):
        mark, colour = MARKS[beat.mark]
        text.append("  " if number else "")
        text.append(f"{mark} {_label(beat.label)}", colour)
        if beat.seconds is not None:
            text.append(f" {format_duration(beat.seconds)}", "bold" if beat.mark == "running" else "dim")
    return text


def _label(label: str) -> str:
    base, _, about = label.partition(":")
    if base in SHORT:
        return f"{SHORT[base]} · {about}" if about else str(SHORT[base])
    kind, _, name = label.partition("-")
    return f"{SHORT[kind]} {name}" if kind in SHORT and name else label


def _wait(each: Waiting, found: Timeline) -> RenderableType:
    since = format_duration((found.now - each.since).total_seconds())
    about = f"  [dim]{escape(each.about)}[/]" if each.about else ""
    lines = [f"[bold magenta]等待 waiting for {escape(_label(each.topic))}[/]{about}  已等 for {since}"]
    lines.append(f"答复 answer: [bold]{escape(each.command)}[/]")
    if each.topic == "commit":
        lines.append(f"撤销 take it back: [bold]tricenter drill undo {escape(each.run)}[/]")
    return Panel("\n".join(lines), box=ROUNDED, border_style="magenta", padding=(0, 1))


def _systems(found: Timeline, room: int) -> RenderableType:
    """Return the systems by waves: a line each with its clocks, and lines of what it does, waits for, and found."""
    shown = _fitting(found.systems, room)
    names = max((cell_len(_named(each).plain) for each in shown), default=0)
    states = max((cell_len(_state(each).plain) for each in shown), default=0)
    clocks = max((cell_len(_rto(each).plain) for each in shown), default=0)
    lines: list[Text] = []
    for wave in dict.fromkeys(each.wave for each in found.systems):
        of_wave = [each for each in found.systems if each.wave == wave]
        lines.append(_wave(wave, of_wave, [each for each in of_wave if each not in shown]))
        for each in of_wave:
            if each in shown:
                columns = ((_named(each), names), (_state(each), states), (_rto(each), clocks))
                line = Text("  ")
                for text, width in columns:
                    line.append_text(text).append(" " * (width - cell_len(text.plain) + 2))
                lines += [line.append("RPO ", "dim").append_text(_kept(each.rpo)), *_doing(each)]
    return Group(Text(), *lines)


def _wave(wave: int, systems: Sequence[SystemView], hidden: Sequence[SystemView]) -> Text:
    done = sum(each.state == RunState.DONE for each in systems)
    text = Text(f"第 {wave} 波 wave {wave}", "bold").append(f"  {done}/{len(systems)}", "dim")
    for state, count in Counter(each.state for each in hidden).items():
        words, colour = STATES[state]
        text.append(f"  {words} {count}", colour)
    return text


def _fitting(systems: Sequence[SystemView], room: int) -> list[SystemView]:
    """Return the systems that there is room for: those at work or in trouble before those that wait their turn."""
    order = {"waiting": 0, "failed": 0, "running": 1, "queued": 2, "pending": 3, "done": 3}
    kept, lines = [], 0
    for each in sorted(systems, key=lambda each: (order.get(each.state, 0), each.wave, each.name)):
        lines += 1 + len(_doing(each))
        if lines > max(room, 12):
            break
        kept.append(each)
    return kept


def _named(each: SystemView) -> Text:
    return Text.assemble(each.name, " ", (each.title, "dim"))


def _state(each: SystemView) -> Text:
    if each.verdict:
        return Text(str(VERDICTS[each.verdict]), COLOURS[each.verdict])
    return Text(*STATES[each.state])


def _rto(each: SystemView) -> Text:
    clock = _kept(each.rto) if each.rto.over or each.rto.used is None else _bar(each.rto)
    return Text.assemble(("RTO ", "dim"), clock)


def _doing(each: SystemView) -> list[Text]:
    indent = Text("    ")
    lines = [indent + _strip(each.beats)]
    if each.waits_for:
        noun = "等名额 waits for room in" if each.state == "queued" else "等 waits for"
        lines.append(indent + Text(f"{noun} {', '.join(each.waits_for)}", "cyan"))
    for row in each.open:
        lines.append(indent + Text(f"▶ {told(row.step)}{_progress(each.run)}", "blue"))
    lines += [indent + Text(f"✗ {line}", "red") for line in each.faults[:FAULTS_SHOWN]]
    return lines


def _progress(run: RunRow | None) -> str:
    value = run.progress if run and not run.state.ended else None
    if not isinstance(value, dict) or not value.get("total"):
        return ""
    return f"  {min(1.0, value['done'] / value['total']):.0%}"


def _others(rows: Iterable[RunRow]) -> Table:
    """Return the copies that are made before and after: no system is recovered by them."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for row in rows:
        words, colour = STATES[str(row.state)]
        table.add_row(Text(row.part or row.flow), Text(words, colour), Text(_progress(row) + (row.error or "")))
    return table


def _end(found: Timeline) -> RenderableType:
    run = found.run
    verdicts = [each.verdict for each in found.systems if each.verdict]
    lines = []
    if run.state is RunState.DONE and verdicts:
        worst = next((each for each in ("failed", "missed", "met") if each in verdicts), "met")
        lines.append(f"结论 verdict: [bold {COLOURS[worst]}]{VERDICTS[worst].zh} {VERDICTS[worst].en.upper()}[/]")
    if run.error and run.state is not RunState.DONE:
        lines.append(f"[red]错误 error:[/] {escape(run.error)}")
    if run.hint and run.state is not RunState.DONE:
        lines.append(f"[yellow]下一步 next:[/] {escape(run.hint)}")
    lines.append(f"[dim]全部结果 everything it found: tricenter drill show {run.id}[/]")
    return Text.from_markup("\n".join(lines))
