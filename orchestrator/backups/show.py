"""What backups and replication look like on a terminal, and as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from orchestrator.backups.replication import SystemReplicated
from orchestrator.batch import Ended
from orchestrator.catalogue.database import now
from orchestrator.catalogue.records import PointAt, SourceCopy
from orchestrator.catalogue.store import Catalogue
from policies.site import SystemRef
from policies.values import format_duration, format_size
from policies.work import copy_centres


class Bars:
    """A progress bar per system; on a pipe or in a log, one line per system when it ends."""

    def __init__(self, console: Console, title: str, progress: Progress) -> None:
        self._console, self._title, self._progress = console, title, progress
        self._tasks: dict[str, TaskID] = {}
        self._began = time.monotonic()

    def move(self, subject: object, what: str, done: float, total: float) -> None:
        name = str(subject)
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=None)
        self._progress.update(self._tasks[name], description=f"{name} [dim]{what}", completed=done, total=total or None)

    def end(self, ended: Ended[Any, Any]) -> None:
        name = str(ended.subject)
        if name in self._tasks:
            self._progress.remove_task(self._tasks.pop(name))
        mark = f"[red]✗ {ended.error}[/]" if ended.error else "[green]✓[/]"
        self._console.print(f"{time.monotonic() - self._began:7.1f}s {self._title} {name} {mark}")


@contextmanager
def progress(console: Console, title: str, subjects: Sequence[object]) -> Iterator[Bars]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        DownloadColumn(binary_units=True),
        TimeElapsedColumn(),
    )
    console.print(f"[bold]{title}[/]: {len(subjects)} 个系统 systems")
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield Bars(console, title, bars)


def print_json(console: Console, value: Any) -> None:
    console.out(json.dumps(value, ensure_ascii=False, indent=2), highlight=False)


def table(*columns: str) -> Table:
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        # Folded rather than cut: half a name is none. An identifier stays in one piece, to be copied.
        whole = column.startswith("恢复点 recovery point")
        justify: Literal["left", "right"] = "right" if column.endswith(" ") else "left"
        made.add_column(column, justify=justify, overflow="fold", no_wrap=whole, min_width=23 if whole else None)
    return made


def _failure(ended: Ended[SystemRef, Any]) -> dict[str, Any]:
    return {"system": str(ended.subject), "state": "failed", "error": str(ended.error)}


def backups(console: Console, ended: Sequence[Ended[SystemRef, PointAt]], output: str) -> None:
    if output == "json":
        print_json(console, [_failure(e) if e.result is None else point_as_json(e.result) for e in ended])
        return
    rows = table(
        "系统 system", "恢复点 recovery point", "中心 centre", "数据时间 data time", "大小 size ", "新增 added "
    )
    for each in ended:
        if each.result is None:
            rows.add_row(str(each.subject), "[red]失败 failed", "", "", "", "")
            continue
        point = each.result.point
        rows.add_row(
            str(each.subject), point.id, each.result.centre, local(point.data_time), format_size(point.bytes),
            format_size(point.added_bytes),
        )  # fmt: skip
    console.print(rows)


def sources(console: Console, ended: Sequence[Ended[SystemRef, list[str]]], output: str) -> None:
    if output == "json":
        print_json(
            console,
            [_failure(e) if e.result is None else {"system": str(e.subject), "sources": e.result} for e in ended],
        )
        return
    rows = table("系统 system", "来源 sources", "备往 to", "结果 result")
    for each in ended:
        kinds = ", ".join(f"{name} ({source.kind})" for name, source in each.subject.system.sources.items())
        result = f"[red]{each.error}" if each.error else "[green]可以备份 ready"
        rows.add_row(str(each.subject), kinds, copy_centres(each.subject)[0], result)
    console.print(rows)


def local(moment: datetime) -> str:
    return moment.astimezone().strftime("%m-%d %H:%M:%S")


def point_as_json(at: PointAt) -> dict[str, Any]:
    point = at.point
    return {
        "system": f"{point.tenant}/{point.system}",
        "state": "done",
        "point": point.id,
        "centre": at.centre,
        "data_time": point.data_time.isoformat(),
        "landed_at": at.landed_at.isoformat(),
        "proved_at": at.proved_at.isoformat() if at.proved_at else None,
        "bytes": point.bytes,
        "added_bytes": point.added_bytes,
        "sources": [each.as_json() for each in point.sources],
    }


def points(
    console: Console,
    catalogue: Catalogue,
    refs: Sequence[SystemRef],
    centre: str | None,
    silent: set[str],
    output: str,
) -> None:
    wanted = {(ref.tenant.tenant, ref.name) for ref in refs}
    found = [at for at in catalogue.points_at(centre) if (at.point.tenant, at.point.system) in wanted]
    if output == "json":
        print_json(console, [point_as_json(at) | {"listed": at.centre not in silent} for at in found])
        return
    by_point: dict[str, list[PointAt]] = {}
    for at in found:
        by_point.setdefault(at.point.id, []).append(at)
    rows = table(
        "系统 system",
        "恢复点 recovery point",
        "数据时间 data time",
        "距今 age ",
        "大小 size ",
        "所在中心 at (✓ 已验证 proved)",
    )
    for landings in by_point.values():
        point = landings[0].point
        where = ", ".join(
            at.centre + (" ✓" if at.proved_at else "") + (" (无应答 last known)" if at.centre in silent else "")
            for at in landings
        )
        age = format_duration((now() - point.data_time).total_seconds())
        rows.add_row(
            f"{point.tenant}/{point.system}", point.id, local(point.data_time), age, format_size(point.bytes), where
        )
    console.print(rows)


def restore_plan(
    console: Console, ref: SystemRef, chosen: PointAt, copies: Sequence[SourceCopy], folder: Path, output: str
) -> None:
    if output == "json":
        print_json(console, point_as_json(chosen) | {"target": str(folder), "restore": [c.source for c in copies]})
        return
    console.print(f"{ref}: {chosen.point.id} @ {chosen.centre} → {folder}")
    for each in copies:
        console.print(f"  {each.source}  {each.kind}  {format_size(each.bytes)}  {each.files} 个文件 files")


def restored(console: Console, chosen: PointAt, result: Mapping[str, Mapping[str, Any]], output: str) -> None:
    if output == "json":
        print_json(console, point_as_json(chosen) | {"restored": dict(result)})
        return
    rows = table("来源 source", "位置 place", "验证 proof")
    for name, each in result.items():
        mark = "[green]✓" if each["proved"] else "[yellow]–"
        rows.add_row(name, str(each["path"]), f"{mark} {each['detail']}")
    console.print(rows)


def replications(
    console: Console,
    ended: Sequence[Ended[SystemRef, SystemReplicated]],
    source: str,
    target: str,
    output: str,
    *,
    dry_run: bool,
) -> None:
    if output == "json":
        print_json(console, [_failure(e) if e.result is None else _transfer(e, source, target) for e in ended])
        return
    copied = "待复制 to copy " if dry_run else "已复制 copied "
    rows = table("系统 system", f"{source} → {target}", copied, "已有 present ", "用时 took ", "恢复点 points ")
    for each in ended:
        if each.result is None:
            rows.add_row(str(each.subject), "[red]失败 failed", "", "", "", "")
            continue
        transfer = each.result.transfer
        rows.add_row(
            str(each.subject),
            "[green]首次加入 joined" if transfer.joined else "[green]✓",
            f"{transfer.copied} · {format_size(transfer.copied_bytes)}",
            str(transfer.present),
            format_duration(transfer.seconds),
            "" if dry_run else str(len(each.result.landed)),
        )
    console.print(rows)


def _transfer(ended: Ended[SystemRef, SystemReplicated], source: str, target: str) -> dict[str, Any]:
    assert ended.result is not None
    transfer = ended.result.transfer
    return {
        "system": str(ended.subject),
        "state": "done",
        "from": source,
        "to": target,
        "joined": transfer.joined,
        "copied": transfer.copied,
        "copied_bytes": transfer.copied_bytes,
        "hashed_bytes": transfer.hashed_bytes,
        "present": transfer.present,
        "seconds": round(transfer.seconds, 3),
        "points": list(ended.result.landed),
    }
