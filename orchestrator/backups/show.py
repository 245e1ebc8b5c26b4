"""What backups and replication look like on a terminal, and as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from orchestrator.backups.destination import Destination
from orchestrator.backups.replication import SystemReplicated, Way
from orchestrator.batch import Ended
from orchestrator.catalogue.database import now
from orchestrator.catalogue.records import PointAt, Settlement
from orchestrator.catalogue.store import Catalogue
from policies.site import SystemRef
from policies.suspicion import Standing
from policies.values import format_duration, format_size

#: How what a point is taken for is shown; nothing is said of a good one.
STANDINGS = {Standing.GOOD: "", Standing.SUSPECT: "[yellow]可疑 suspect[/]", Standing.BAD: "[red]不可用 bad[/]"}


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


def _failure(ended: Ended[Any, Any]) -> dict[str, Any]:
    way = {"from": ended.subject.source, "to": ended.subject.target} if isinstance(ended.subject, Way) else {}
    system = ended.subject.ref if isinstance(ended.subject, Way) else ended.subject
    return {"system": str(system), "state": "failed", "error": str(ended.error), **way}


def _past(bypassed: Iterable[str]) -> str:
    """Return what is said of a point or a backup that went past centres that were away."""
    names = ", ".join(bypassed)
    return f" [yellow](绕过 written past {names})[/]" if names else ""


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
            str(each.subject), point.id, each.result.centre + _past(point.bypassed) + _standing(each.result),
            local(point.data_time),            format_size(point.bytes), format_size(point.added_bytes),
        )  # fmt: skip
    console.print(rows)
    _why(console, [each.result for each in ended if each.result])


@dataclass(frozen=True, slots=True)
class Ready:
    """What a backup would do now: the sources it reads, whether all are of one moment or frozen, and where they go."""

    sources: list[str]
    consistent: bool
    freezes: bool
    to: Destination


def sources(console: Console, ended: Sequence[Ended[SystemRef, Ready]], output: str) -> None:
    if output == "json":
        print_json(console, [_failure(e) if e.result is None else _ready(e.subject, e.result) for e in ended])
        return
    rows = table("系统 system", "来源 sources", "备往 to", "一致性 consistency", "结果 result")
    for each in ended:
        kinds = ", ".join(f"{name} ({source.kind})" for name, source in each.subject.system.sources.items())
        result = f"[red]{each.error}" if each.error else "[green]可以备份 ready"
        to = each.result.to.centre + _past(each.result.to.bypassed) if each.result else ""
        rows.add_row(str(each.subject), kinds, to, _consistency(each.result), result)
    console.print(rows)


def _ready(ref: SystemRef, ready: Ready) -> dict[str, Any]:
    told = {"sources": ready.sources, "consistent": ready.consistent, "freezes": ready.freezes}
    return {"system": str(ref), **told, "to": ready.to.centre, "bypassed": dict(ready.to.bypassed)}


def _consistency(ready: Ready | None) -> str:
    if ready is None:
        return ""
    if ready.freezes:
        return "冻结后同一时刻 frozen, one moment"
    return "同一时刻 one moment" if ready.consistent else "各来源先后 one after another"


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
        "standing": str(at.standing),
        "suspicion": [each.as_json() for each in point.suspicion],
        "settlement": settlement_as_json(at.settlement) if at.settlement else None,
        "bytes": point.bytes,
        "added_bytes": point.added_bytes,
        "consistent": point.consistent,
        "bypassed": list(point.bypassed),
        "sources": [each.as_json() for each in point.sources],
    }


def settlement_as_json(said: Settlement) -> dict[str, Any]:
    return {
        "verdict": str(said.verdict),
        "reason": said.reason,
        "by": said.settled_by,
        "at": said.settled_at.isoformat(),
    }


def _standing(at: PointAt) -> str:
    """Return what is to be said of a point that is not simply good, in the colour that it deserves."""
    word = STANDINGS[at.standing]
    return f"  {word}" if word else ""


def _why(console: Console, found: Iterable[PointAt]) -> None:
    """Print for each point that is not simply good what makes it so, and what was said of it."""
    for at in found:
        for signal in at.point.suspicion if at.standing is not Standing.GOOD else ():
            console.print(f"{STANDINGS[at.standing]} {at.point.id} {escape(str(signal))}")
        if said := at.settlement:
            who = f"{said.settled_by}, {local(said.settled_at)}: {said.reason}"
            console.print(f"裁定 settled {said.verdict}: {at.point.id} {escape(who)}")


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
        ) + _past(point.bypassed)
        age = format_duration((now() - point.data_time).total_seconds())
        rows.add_row(
            f"{point.tenant}/{point.system}",
            point.id,
            local(point.data_time),
            age,
            format_size(point.bytes),
            where + _standing(landings[0]),
        )
    console.print(rows)
    _why(console, [landings[0] for landings in by_point.values()])


def replications(
    console: Console,
    ended: Sequence[Ended[Way, SystemReplicated]],
    output: str,
    *,
    dry_run: bool,
) -> None:
    if output == "json":
        print_json(console, [_failure(e) if e.result is None else _transfer(e) for e in ended])
        return
    copied = "待复制 to copy " if dry_run else "已复制 copied "
    rows = table("系统 system", "路线 way", "结果 result", copied, "已有 present ", "用时 took ", "恢复点 points ")
    for each in ended:
        if each.result is None:
            rows.add_row(*_way(each.subject), "[red]失败 failed", "", "", "", "")
            continue
        transfer = each.result.transfer
        rows.add_row(
            *_way(each.subject),
            "[green]首次加入 joined" if transfer.joined else "[green]✓",
            f"{transfer.copied} · {format_size(transfer.copied_bytes)}",
            str(transfer.present),
            format_duration(transfer.seconds),
            "" if dry_run else str(len(each.result.landed)),
        )
    console.print(rows)


def _way(way: Way) -> tuple[str, str]:
    return str(way.ref), f"{way.source} → {way.target}"


def _transfer(ended: Ended[Way, SystemReplicated]) -> dict[str, Any]:
    assert ended.result is not None
    transfer = ended.result.transfer
    return {
        "system": str(ended.subject.ref),
        "state": "done",
        "from": ended.subject.source,
        "to": ended.subject.target,
        "joined": transfer.joined,
        "copied": transfer.copied,
        "copied_bytes": transfer.copied_bytes,
        "hashed_bytes": transfer.hashed_bytes,
        "present": transfer.present,
        "seconds": round(transfer.seconds, 3),
        "points": list(ended.result.landed),
    }
