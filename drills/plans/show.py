"""Plans on the screen and as JSON: their states, their steps and turns, and whether they are ready."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.catalogue.plans import PlanAt
from policies.addresses import address_at
from policies.plan import Plan, effective_probes, effective_steps
from policies.plan_state import PlanState
from policies.readiness import Readiness
from policies.site import Site, SystemRef
from policies.values import format_duration
from policies.waves import Waves
from policies.work import plan_systems

STATES = {
    PlanState.VERIFIED: ("green", "已验证 verified"),
    PlanState.NEEDS_VERIFY: ("yellow", "待验证 needs-verify"),
    PlanState.FAILED: ("red", "失败 failed"),
}
MARKS = {"ok": "[green]✓[/]", "warn": "[yellow]![/]", "fail": "[red]✗[/]"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A plan as it would be run at a centre."""

    site: Site
    plan: Plan
    centre: str
    waves: Waves

    @property
    def refs(self) -> dict[str, SystemRef]:
        return {str(ref): ref for ref in plan_systems(self.site, self.plan)}


def as_json(row: PlanAt) -> dict[str, Any]:
    """Return a plan at a centre as plain JSON: ISO times in UTC, null for what never happened."""
    standing, check = row.standing, row.check
    return {
        "plan": row.plan.plan,
        "centre": row.centre,
        "systems": list(row.plan.systems),
        "state": str(standing.state),
        "reason": standing.reason.model_dump(),
        "kind": standing.kind,
        "missed": standing.missed,
        "last_drill_at": standing.last.isoformat() if standing.last else None,
        "due_at": standing.due_at.isoformat(),
        "digest": row.digest,
        "check": {
            "kind": check.kind,
            "checked_at": check.checked_at.isoformat(),
            "failed": check.failed,
            "warned": check.warned,
        }
        if check
        else None,
    }


def show_plans(console: Console, rows: Iterable[PlanAt]) -> None:
    """Print a table of plans and centres."""
    table = _table("预案 plan", "中心 centre", "系统 systems", "状态 state", "上次 last", "到期 due", "就绪 ready")
    for row in rows:
        colour, word = STATES[row.standing.state]
        kind = f" {row.standing.kind}" if row.standing.kind else ""
        table.add_row(
            row.plan.plan,
            row.centre,
            "\n".join(row.plan.systems),
            f"[{colour}]{word}{kind}[/]\n[dim]{row.standing.reason}[/]",
            f"{row.standing.last.astimezone():%Y-%m-%d}" if row.standing.last else "从未 never",
            f"{row.standing.due_at.astimezone():%Y-%m-%d}",
            _ready(row),
        )
    console.print(table if table.row_count else "没有预案 no plans")


def _ready(row: PlanAt) -> str:
    if row.check is None:
        return "[dim]未检查 never looked at[/]"
    if row.check.failed:
        return f"[red]✗ {row.check.failed}[/]"
    return f"[yellow]! {row.check.warned}[/]" if row.check.warned else "[green]✓[/]"


def plan_as_json(shown: Shown) -> dict[str, Any]:
    """Return a plan as it would be run, as plain JSON. Times are seconds from its start."""
    waves = shown.waves
    return {
        "plan": shown.plan.plan,
        "centre": shown.centre,
        "critical_path": list(waves.path),
        "critical_path_seconds": waves.path_seconds,
        "bound_seconds": waves.bound,
        "bound_by": waves.bound_by,
        "makespan_seconds": waves.makespan,
        "turns": [
            {
                "system": turn.name,
                "wave": turn.wave,
                "start_seconds": turn.start,
                "end_seconds": turn.end,
                "measured": not turn.guessed,
                "critical": turn.critical,
                "steps": [each.model_dump(mode="json", exclude_defaults=True) for each in _steps(shown, turn.name)],
                "probes": [each.model_dump(mode="json", exclude_defaults=True) for each in _probes(shown, turn.name)],
            }
            for turn in waves.turns
        ],
        "addresses": [
            {"server": server, "production": str(here), shown.centre: str(there)}
            for server, here, there in addresses(shown)
        ],
    }


def show_plan(console: Console, shown: Shown) -> None:
    """Print the turns of the systems, their steps, and the addresses of their servers."""
    plan, waves = shown.plan, shown.waves
    console.print(f"[bold]预案 plan {plan.plan} @ {shown.centre}[/]  {escape(str(plan.title or ''))}")
    table = _table("批 wave", "系统 system", "开始 start", "恢复 back", "步骤 steps", "校验 probes")
    for turn in sorted(waves.turns, key=lambda each: (each.wave, each.start, each.name)):
        mark = " [magenta]◆[/]" if turn.critical else ""
        guess = "~" if turn.guessed else ""
        steps = _steps(shown, turn.name)
        table.add_row(
            str(turn.wave),
            f"{turn.name}{mark}",
            f"+{format_duration(turn.start)}",
            f"+{guess}{format_duration(turn.end)}",
            " → ".join(each.label for each in steps),
            str(len(_probes(shown, turn.name))),
        )
    console.print(table)
    by = "关键路径 the critical path" if waves.bound_by == "path" else f"{waves.bound_by} 的名额 its room"
    console.print(
        f"预计 expected {format_duration(waves.makespan)} · 下限 least possible {format_duration(waves.bound)}（{by}）"
    )
    console.print("◆ 关键路径 critical path · ~ 从未实测 never measured")
    if found := list(addresses(shown)):
        mapping = _table("云主机 server", "生产 production", shown.centre)
        for server, here, there in found:
            mapping.add_row(server, str(here), str(there))
        console.print(mapping)


def addresses(shown: Shown) -> Iterator[tuple[str, IPv4Address, IPv4Address]]:
    """Yield every server of the plan with its address at production and at the centre."""
    for name, ref in shown.refs.items():
        for server, each in ref.system.servers.items():
            there = address_at(shown.plan, ref.tenant, each.network, each.address, shown.centre)
            yield f"{name}:{server}", each.address, there


def show_readiness(console: Console, found: Readiness) -> None:
    """Print what was looked at, and what to do next."""
    console.print(f"[bold]就绪检查 {found.plan} @ {found.centre}[/]  {found.kind}  {found.seconds:.1f} s")
    table = _table("", "项目 item", "对象 subject", "结果 found", "s")
    for each in found.items:
        words = escape(each.zh) if each.zh == each.en else f"{escape(each.zh)} {escape(each.en)}"
        hint = f"\n[dim]→ {escape(each.hint)}[/]" if each.hint and each.verdict != "ok" else ""
        table.add_row(MARKS[each.verdict], each.name, escape(each.subject), words + hint, f"{each.seconds:.1f}")
    console.print(table)
    if found.ready:
        warned = f"，{found.warned} 项提醒 warnings" if found.warned else ""
        console.print(f"[bold green]就绪 ready[/]{warned}")
    else:
        console.print(f"[bold red]未就绪 not ready[/]：{found.failed} 项 stand in the way")


def _steps(shown: Shown, name: str) -> tuple[Any, ...]:
    return effective_steps(shown.plan, name, shown.refs[name].system)


def _probes(shown: Shown, name: str) -> tuple[Any, ...]:
    return effective_probes(shown.plan, name, shown.refs[name].system)


def _table(*headings: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
