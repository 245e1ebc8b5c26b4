"""The board for people: a table of the terminal, in Chinese and English, and the same as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from rich.cells import set_cell_size
from rich.console import Group, RenderableType
from rich.text import Text

from orchestrator.catalogue.board import Board, BoardRow, Verdict
from orchestrator.catalogue.records import DrillRow
from orchestrator.server.columns import Column, grid, least_width, titles
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
    Verdict.NEVER: "该中心尚无可信恢复点 no good recovery point at this centre yet",
}
CENTRES = {
    "production": ("生产", "production"),
    "same-city": ("同城", "same-city"),
    "provincial": ("异地", "provincial"),
}
DRILLS = {"met": ("达标", "green"), "missed": ("不达标", "red"), "failed": ("失败", "bold red")}
NOTHING = Text("-", style="dim")


COLUMNS = (
    Column("中心", "centre", 17, "left"),
    Column("RPO目标", "target", 7),
    Column("现在", "now", 6),
    Column("7天最差", "worst", 7),
    Column("合规率", "within", 6),
    Column("RTO目标", "target", 7),
    Column("实测", "measured", 8),
    Column("最近演练", "last drill", 16, "left"),
    Column("结论", "verdict", 18, "left"),
)
NARROWEST = least_width(COLUMNS)
#: What the board takes in a wide terminal: two more blanks between columns.
WIDEST = NARROWEST + 2 * (len(COLUMNS) - 1)


def render(board: Board, width: int) -> RenderableType:
    """Return the board for a terminal of `width` columns. It takes NARROWEST at least and WIDEST at most."""
    gap = 1 + max(0, min(2, (width - NARROWEST) // (len(COLUMNS) - 1)))
    line = Text("─" * (NARROWEST + (gap - 1) * (len(COLUMNS) - 1)), style="dim")
    parts: list[RenderableType] = [
        _heading(board),
        _summary(board),
        Text(""),
        grid(COLUMNS, [titles(COLUMNS)], gap),
        line,
    ]
    for _, rows in groupby(board.rows, key=lambda row: row.tenant):
        parts += [*_tenant(list(rows), board.read_at, gap), Text("")]
    return Group(*parts[:-1], line, _legend(board))


def as_json(board: Board) -> dict[str, Any]:
    """Return the board as plain JSON: ISO times, lengths in seconds, null for what never happened."""
    return {
        "site": board.site,
        "title": board.title.model_dump(),
        "read_at": board.read_at.isoformat(),
        "window_seconds": board.window.total_seconds(),
        "summary": {"systems": _count_systems(board), "copies": len(board.rows), **board.verdicts()},
        "systems": [_row_as_json(row, board.read_at) for row in board.rows],
    }


# --- table


def _heading(board: Board) -> Text:
    local = board.read_at.astimezone()
    return Text.assemble((str(board.title), "bold"), ("   RPO / RTO   ", ""), (f"{local:%Y-%m-%d %H:%M:%S %z}", "dim"))


def _tenant(rows: Sequence[BoardRow], now: datetime, gap: int) -> Iterator[RenderableType]:
    yield Text.assemble((rows[0].tenant_title.zh, "bold cyan"), (f" {rows[0].tenant_title.en}", "cyan"))
    for _, group in groupby(rows, key=lambda row: row.system):
        of_system = list(group)
        first, suspects = of_system[0], max(row.suspects for row in of_system)
        yield Text.assemble(
            f" {first.system_title.zh} ",
            (f"{first.tenant}/{first.system}", ""),
            (f"  {first.tier_title.zh} {first.tier}", "dim"),
            (f"  可疑恢复点 suspect points: {suspects}" if suspects else "", "bold yellow"),
        )
        if first.archived:
            yield Text.assemble("  归档落后 archive behind:", *_archives(of_system, now))
        if any(row.locks for row in of_system):
            yield Text.assemble("  对象锁最早到期 earliest lock ends:", *_locks(of_system, now))
        yield grid(COLUMNS, (list(_cells(row, now)) for row in of_system), gap)


def _archives(rows: Sequence[BoardRow], now: datetime) -> Iterator[tuple[str, str]]:
    """Say how far the archive at each centre is behind, against the RPO there."""
    for row in rows:
        behind = now - row.archived_until if row.archived_until else None
        told = "无 none" if behind is None else format_duration(max(behind, timedelta(0)).total_seconds())
        yield f"  {' '.join(CENTRES[row.centre])} ", "dim"
        yield told, "bold red" if behind is None or behind > row.rpo_objective else "green"


def _locks(rows: Sequence[BoardRow], now: datetime) -> Iterator[tuple[str, str]]:
    """Say when the earliest object lock at each centre ends, where the vault was asked."""
    for row in rows:
        if row.locks is None or not row.locks.objects:
            continue
        yield f"  {' '.join(CENTRES[row.centre])} ", "dim"
        floor = row.locks.floor
        told = f"{floor.astimezone():%F}" if floor else f"未锁定 not locked: {row.locks.unlocked}"
        yield told, "bold red" if row.lock_missed(now) else "green"


def _cells(row: BoardRow, now: datetime) -> Iterator[Text]:
    zh, en = CENTRES[row.centre]
    yield Text.assemble(f"  {zh} ", (en, "dim"))
    yield _length(row.rpo_objective, "dim")
    yield _length(row.rpo_actual, "bold red" if row.rpo_missed else "green")
    yield _length(row.rpo_worst, "red" if row.rpo_worst > row.rpo_objective else "")
    yield Text(_percent(row.rpo_compliance), style="" if row.rpo_compliance == 1 else "red")
    yield _length(row.rto_objective, "dim")
    yield NOTHING if row.rto_measured is None else _length(row.rto_measured, "bold red" if row.rto_missed else "green")
    yield _drill(row, now)
    word, english, style = WORDS[row.verdict]
    yield Text.assemble((word, style), " ", (english, "dim"))


def _length(value: timedelta, style: str) -> Text:
    return Text(format_duration(value.total_seconds()), style=style)


def _percent(share: float) -> str:
    """Return a percentage that says 100 only of all."""
    return "100%" if share == 1 else f"{min(share * 100, 99.9):.1f}%"


def _drill(row: BoardRow, now: datetime) -> Text:
    """Say how the last drill went, how long ago it was, and whether the next is overdue."""
    drill = row.last_drill
    if drill is None:
        word, ago = ("未演练", "yellow"), ""
    else:
        word, ago = DRILLS[drill.verdict], f" {_ago(now - drill.ended_at)}"
    return Text.assemble(word, (ago, "dim"), (" 逾期" if row.drill_overdue else "", "yellow"))


def _ago(age: timedelta) -> str:
    """Return an age in one unit: that a drill was 12 days and 3 hours ago is more than anybody asks."""
    seconds = age.total_seconds()
    return f"{age.days}d" if age.days else format_duration(seconds // 60 * 60 if seconds >= 60 else int(seconds))


def _summary(board: Board) -> Text:
    counts = board.verdicts()
    counted = Text("  ").join(
        Text(f"{word} {english} {counts[verdict]}", style=style if counts[verdict] else "dim")
        for verdict, (word, english, style) in WORDS.items()
    )
    systems, copies = f"{_count_systems(board)}", f"{len(board.rows)}"
    return Text.assemble((systems, "bold"), " 个系统 systems，", (copies, "bold"), " 份保护 copies\n", counted)


def _count_systems(board: Board) -> int:
    return len({(row.tenant, row.system) for row in board.rows})


def _legend(board: Board) -> Text:
    present = [each for each, count in board.verdicts().items() if count]
    return Text("\n").join(
        Text.assemble((set_cell_size(WORDS[each][0], 9), WORDS[each][2]), (LEGEND[each], "dim")) for each in present
    )


# --- JSON


def _row_as_json(row: BoardRow, now: datetime) -> dict[str, Any]:
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
        "suspect_points": row.suspects,
        "proved_data_time": _iso(row.proved_data_time),
        "rto_objective_seconds": row.rto_objective.total_seconds(),
        "rto_measured_seconds": row.rto_measured.total_seconds() if row.rto_measured is not None else None,
        "last_drill": _drill_as_json(row.last_drill) if row.last_drill else None,
        "drill_due_at": row.drill_due_at.isoformat(),
        "drill_overdue": row.drill_overdue,
        "archived": row.archived,
        "archived_until": _iso(row.archived_until),
        "lock_floor": _iso(row.locks.floor) if row.locks else None,
        "lock_measured_at": _iso(row.locks.ran_at) if row.locks else None,
        "lock_missed": row.lock_missed(now),
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
