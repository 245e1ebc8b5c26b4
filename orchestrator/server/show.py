"""The board for people: a table of the terminal, in Chinese and English, and the same as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.catalogue.board import Board, BoardRow, Verdict
from orchestrator.catalogue.records import DrillRow
from policies.values import format_duration

WORDS = {
    Verdict.MET: ("● 达标", "met", "green"),
    Verdict.UNPROVED: ("◐ 未验证", "unproved", "yellow"),
    Verdict.MISSED: ("▲ 不达标", "missed", "bold red"),
    Verdict.NEVER: ("○ 无备份", "no backup", "bold magenta"),
}
LEGEND = {
    Verdict.MET: "目标均满足，且按期演练通过 objectives hold, drilled in time",
    Verdict.UNPROVED: "RPO 满足，但未演练、演练失败或逾期 RPO holds; not drilled, drill failed or overdue",
    Verdict.MISSED: "当前 RPO 或最近实测 RTO 超出目标 RPO now, or RTO last measured, is over the objective",
    Verdict.NEVER: "该中心尚无恢复点 no recovery point at this centre yet",
}
CENTRES = {
    "production": ("生产", "production"),
    "same-city": ("同城", "same-city"),
    "provincial": ("异地", "provincial"),
}
DRILLS = {"met": ("达标", "green"), "missed": ("不达标", "red"), "failed": ("失败", "bold red")}
#: Columns that the board needs at most; in a wider terminal it would only fall apart.
WIDEST = 116

NOTHING = Text("-", style="dim")


def render(board: Board, width: int) -> RenderableType:
    """Return the board as a table of `width` columns; below 100 the names wrap."""
    parts: list[RenderableType] = [_heading(board), _table(board, width), _summary(board), _legend(board)]
    return Group(*parts)


def as_json(board: Board) -> dict[str, Any]:
    """Return the board as plain JSON: ISO times, lengths in seconds, null for what never happened."""
    return {
        "site": board.site,
        "title": board.title.model_dump(),
        "read_at": board.read_at.isoformat(),
        "window_seconds": board.window.total_seconds(),
        "summary": {"systems": len(board.rows), **board.verdicts()},
        "systems": [_row_as_json(row) for row in board.rows],
    }


# --- table


def _heading(board: Board) -> Text:
    local = board.read_at.astimezone()
    return Text.assemble(
        (str(board.title), "bold"), ("   RPO / RTO  ", "dim"), (f"{local:%Y-%m-%d %H:%M:%S %z}", "dim")
    )


def _table(board: Board, width: int) -> Table:
    days = board.window.days
    table = Table(box=box.SIMPLE_HEAD, width=width, pad_edge=False, padding=(0, 1), header_style="dim", show_edge=False)
    table.add_column("系统\nsystem", ratio=1, no_wrap=False, overflow="fold")
    table.add_column("中心\ncentre", min_width=10, no_wrap=True)
    for zh, en in (("RPO 目标", "objective"), ("现在", "actual"), (f"{days}天最差", "worst"), ("合规率", "in RPO")):
        table.add_column(f"{zh}\n{en}", justify="right", no_wrap=True)
    for zh, en in (("RTO 目标", "objective"), ("实测", "measured")):
        table.add_column(f"{zh}\n{en}", justify="right", no_wrap=True)
    table.add_column("最近演练\nlast drill", min_width=13, no_wrap=True)
    table.add_column("结论\nverdict", min_width=9, no_wrap=True)
    for _, rows in groupby(board.rows, key=lambda row: row.tenant):
        _add_tenant(table, list(rows), board.read_at)
    return table


def _add_tenant(table: Table, rows: Sequence[BoardRow], now: datetime) -> None:
    table.add_row(Text(rows[0].tenant_title.zh, style="bold cyan"), Text(rows[0].tenant, style="dim"))
    for _, group in groupby(rows, key=lambda row: row.system):
        of_system = list(group)
        for row, name in zip(of_system, _names(of_system), strict=True):
            table.add_row(name, *_cells(row, now))
    table.add_section()


def _names(rows: Sequence[BoardRow]) -> Iterator[Text]:
    """Yield the first cells of a system's rows: its name and tier, over as many rows as it has."""
    title = Text(f"  {rows[0].system_title.zh}")
    name = Text(f"  {rows[0].system}", style="dim")
    if len(rows) == 1:
        yield Text("\n").join([title, name])
    else:
        yield title
        yield name
        yield from (Text("") for _ in rows[2:])


def _cells(row: BoardRow, now: datetime) -> Iterator[Text]:
    zh, en = CENTRES[row.centre]
    yield Text.assemble(f"{zh} ", (en, "dim"))
    yield _length(row.rpo_objective, "dim")
    yield _length(row.rpo_actual, "bold red" if row.rpo_missed else "green")
    yield _length(row.rpo_worst, "red" if row.rpo_worst > row.rpo_objective else "")
    yield Text(_percent(row.rpo_compliance), style="" if row.rpo_compliance == 1 else "red")
    yield _length(row.rto_objective, "dim")
    yield _length(row.rto_measured, "bold red" if row.rto_missed else "green") if row.rto_measured else NOTHING
    yield _drill(row, now)
    word, english, style = WORDS[row.verdict]
    yield Text.assemble((word, style), " ", (english, "dim"))


def _length(value: timedelta, style: str) -> Text:
    return Text(format_duration(value.total_seconds()), style=style)


def _percent(share: float) -> str:
    """Return a percentage that says 100 only of all."""
    return "100%" if share == 1 else f"{min(share * 100, 99.9):.1f}%"


def _drill(row: BoardRow, now: datetime) -> Text:
    drill = row.last_drill
    overdue = ("逾期", "yellow") if row.drill_overdue else ""
    if drill is None:
        return Text.assemble(("- ", "dim"), overdue)
    word, style = DRILLS[drill.verdict]
    ago = format_duration((now - drill.ended_at).total_seconds())
    return Text.assemble((word, style), f" {ago}前 ", overdue)


def _summary(board: Board) -> Text:
    counts = board.verdicts()
    systems = len({(row.tenant, row.system) for row in board.rows})
    text = Text.assemble("共 ", (f"{systems}", "bold"), f" 个系统 systems，{len(board.rows)} 份保护 copies：")
    for verdict, (word, english, style) in WORDS.items():
        text.append(f" {word} {english} {counts[verdict]} ", style=style if counts[verdict] else "dim")
    return text


def _legend(board: Board) -> Text:
    present = [each for each, count in board.verdicts().items() if count]
    return Text("\n").join(
        Text.assemble(("  " + WORDS[each][0], WORDS[each][2]), ("  " + LEGEND[each], "dim")) for each in present
    )


# --- JSON


def _row_as_json(row: BoardRow) -> dict[str, Any]:
    return {
        "tenant": row.tenant,
        "tenant_title": row.tenant_title.model_dump(),
        "system": row.system,
        "system_title": row.system_title.model_dump(),
        "tier": row.tier,
        "tier_title": row.tier_title.model_dump(),
        "centre": row.centre,
        "verdict": row.verdict,
        "created_at": row.created_at.isoformat(),
        "expected_interval_seconds": row.expected_interval.total_seconds(),
        "rpo_objective_seconds": row.rpo_objective.total_seconds(),
        "rpo_actual_seconds": row.rpo_actual.total_seconds(),
        "rpo_worst_seconds": row.rpo_worst.total_seconds(),
        "rpo_compliance_ratio": row.rpo_compliance,
        "last_data_time": _iso(row.last_data_time),
        "last_landed_at": _iso(row.last_landed_at),
        "proved_data_time": _iso(row.proved_data_time),
        "rto_objective_seconds": row.rto_objective.total_seconds(),
        "rto_measured_seconds": row.rto_measured.total_seconds() if row.rto_measured is not None else None,
        "last_drill": _drill_as_json(row.last_drill) if row.last_drill else None,
        "drill_due_at": row.drill_due_at.isoformat(),
        "drill_overdue": row.drill_overdue,
    }


def _drill_as_json(drill: DrillRow) -> dict[str, Any]:
    return {
        "id": drill.id,
        "plan": drill.plan,
        "kind": drill.kind,
        "verdict": drill.verdict,
        "point": drill.point_id,
        "started_at": drill.started_at.isoformat(),
        "ended_at": drill.ended_at.isoformat(),
        "rpo_seconds": drill.rpo_seconds,
        "rto_seconds": drill.rto_seconds,
        "stages": dict(drill.stages),
        "report": drill.report,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
