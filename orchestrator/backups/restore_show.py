"""What restores look like on a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from orchestrator.backups.choosing import Found
from orchestrator.backups.restore_plan import Folder, RestorePlan
from orchestrator.backups.show import print_json, table
from policies.values import format_duration, format_size

SHOWN = 10


def tell_found(console: Console, found: Found) -> None:
    """Say which point was taken, how far it is from what was asked for, and which centres were silent."""
    for name, error in found.silent.items():
        console.print(f"[yellow]{name} 无应答 does not answer:[/] {error}", markup=True, soft_wrap=True)
    taken = f"{found.point.id}，数据时间 data of {found.point.data_time.astimezone():%F %T}"
    if found.behind_seconds is not None and found.asked:
        early = format_duration(found.behind_seconds)
        taken += f"，比所要的 {found.asked.astimezone():%F %T} 早 {early} earlier than asked for"
    console.print(f"恢复点 point {taken}，取自 from {found.centre}", soft_wrap=True)
    if found.newer:
        console.print(
            f"[yellow]更新的恢复点 a newer point, {found.newer.id} of {found.newer.data_time.astimezone():%F %T},"
            " 只在无应答的中心 is known at a silent centre only[/]",
            soft_wrap=True,
        )


def plan(console: Console, made: RestorePlan, output: str) -> None:
    if output == "json":
        print_json(console, made.as_json())
        return
    rows = table("来源 source", "类型 kind", "大小 size ", "文件 files ", "路径 paths")
    for part in made.parts:
        paths = ", ".join(part.shown_paths) or "全部 all"
        rows.add_row(part.source, part.proof.copy.kind, format_size(part.bytes), str(len(part.files)), paths)
    console.print(rows)
    console.print(f"恢复到 to {made.to}", markup=False, soft_wrap=True)
    if made.free_bytes is not None:
        console.print(f"需要 needs {format_size(made.bytes)}，可用 free {format_size(made.free_bytes)}")
    takes = format_duration(made.takes.total_seconds()) if made.takes else "未知（尚无演练） not known: no drill yet"
    console.print(f"预计用时 likely to take {takes}")
    if made.present:
        _present(console, made)


def _present(console: Console, made: RestorePlan) -> None:
    same = sum(each.same for each in made.present)
    rule = made.to.rule if isinstance(made.to, Folder) else ""
    console.print(f"目标已有 there already: {same} 个相同 the same, {len(made.present) - same} 个不同 other ({rule})")
    other = [each.path for each in made.present if not each.same]
    for path in other[:SHOWN]:
        console.print(f"  {path}", markup=False, soft_wrap=True)
    if len(other) > SHOWN:
        console.print(f"  … {len(other) - SHOWN} 个 more")


def restored(console: Console, told: Mapping[str, Any], results: Sequence[Mapping[str, Any]], output: str) -> None:
    if output == "json":
        print_json(console, {**told, "restored": {each["source"]: dict(each) for each in results}})
        return
    rows = table("来源 source", "位置 place", "验证 proof", "新 new ", "覆盖 over ", "保留 kept ", "相同 same ")
    for each in results:
        mark = "[green]✓" if each["proved"] else "[yellow]–"
        moved = each["moved"] or {}
        counts = (str(moved.get(name, "")) for name in ("new", "overwritten", "kept", "same"))
        rows.add_row(each["source"], str(each["path"]), f"{mark} {each['detail']}", *counts)
    console.print(rows)
