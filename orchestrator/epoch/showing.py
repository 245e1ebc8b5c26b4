"""What the registers say, looked at all at once, and shown: which epoch holds, who is active where, who is behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.catalogue.epochs import Adopted, read_history
from orchestrator.epoch.fence import Program
from orchestrator.epoch.registers import Registers, consistent
from policies.epoch import Log, Place, Record, State, join, read

CENTRES = {"production": "生产 production", "same-city": "同城 same-city", "provincial": "省级 provincial"}


@dataclass(frozen=True, slots=True)
class RegisterSeen:
    """One register: how many entries it has, the newest decided epoch it knows; `error` says why it did not answer."""

    centre: str
    entries: int
    epoch: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Seen:
    """All registers at one moment, and what this orchestrator goes by."""

    registers: tuple[RegisterSeen, ...]
    state: State
    local: tuple[Adopted, ...]

    @property
    def local_epoch(self) -> int:
        return self.local[-1].record.epoch if self.local else 0

    @property
    def local_places(self) -> dict[str, Place]:
        return join(*(each.record.active for each in self.local))

    @property
    def stale(self) -> list[str]:
        """The systems that are active elsewhere than this orchestrator believes."""
        mine = self.local_places
        return [name for name, place in self.state.active.items() if place.since > mine.get(name, Place("", 0)).since]


def look(app: Program) -> Seen:
    """Ask every register. One that does not answer is shown so and costs some seconds."""
    registers = Registers(app.registers)
    logs = registers.look()
    state = consistent(lambda: read(registers.members, logs))
    seen = tuple(_seen(each, logs, registers) for each in registers.members)
    return Seen(seen, state, tuple(read_history(app.catalogue)))


def _seen(centre: str, logs: Mapping[str, Log], registers: Registers) -> RegisterSeen:
    if centre not in logs:
        return RegisterSeen(centre, 0, 0, str(registers.silent[centre]))
    alone = read((centre,), {centre: logs[centre]})
    return RegisterSeen(centre, len(logs[centre]), alone.epoch, None)


def as_document(seen: Seen) -> dict[str, Any]:
    """Return what was seen as plain JSON."""
    return {
        "epoch": seen.state.epoch,
        "current": seen.state.current.as_evidence() if seen.state.current else None,
        "active": {name: {"centre": place.centre, "since": place.since} for name, place in seen.state.active.items()},
        "contested": [each.as_evidence() for each in seen.state.contested],
        "doubtful": [each.as_evidence() for each in seen.state.doubtful],
        "registers": [
            {"centre": each.centre, "reachable": each.error is None, "entries": each.entries, "epoch": each.epoch}
            | ({"error": each.error} if each.error else {})
            for each in seen.registers
        ],
        "local": {"epoch": seen.local_epoch, "stale": seen.stale},
        "history": [each.as_evidence() for each in seen.state.decided],
    }


def show(console: Console, seen: Seen) -> None:
    """Print what was seen."""
    current = seen.state.current
    console.print(
        f"[bold]纪元 Epoch {seen.state.epoch}[/]" + (f"  {_told(current)}" if current else "  从未提升 never raised")
    )
    for each in seen.registers:
        mark = "[green]✓[/]" if each.error is None else "[red]✗[/]"
        behind = each.error is None and each.epoch < seen.state.epoch
        told = escape(each.error) if each.error else f"epoch {each.epoch}, {each.entries} entries"
        late = "  [yellow]落后 behind: tricenter epoch heal[/]" if behind else ""
        console.print(f"{mark} {CENTRES[each.centre]}  {told}{late}", soft_wrap=True)
    _warn(console, seen)
    if seen.state.active:
        console.print(_places(seen))
    if len(seen.state.decided) > 1:
        console.print(_history(seen.state.decided))


def _warn(console: Console, seen: Seen) -> None:
    for each in seen.state.contested:
        console.print(
            f"[bold red]有争议 contested[/] epoch {each.epoch} ({_told(each)}) was decided beside the newest one; "
            f"it is fenced. 新的切换将终结争议 the next one that two centres consent to ends the contest",
            soft_wrap=True,
        )
    for each in seen.state.doubtful:
        console.print(
            f"[yellow]未定 in doubt[/] epoch {each.epoch} ({_told(each)}) has a vote, and it cannot be told whether it "
            "was decided: 待各中心恢复后 when all centres answer: tricenter epoch heal",
            soft_wrap=True,
        )
    if seen.stale:
        console.print(
            f"[bold red]本调度器已落后 this orchestrator is fenced[/] for {', '.join(seen.stale)}: it goes by "
            f"epoch {seen.local_epoch}. 原中心 the old centre: tricenter rejoin CENTRE · "
            "其他 any other: tricenter epoch adopt",
            soft_wrap=True,
        )


def _places(seen: Seen) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("系统 system", "运行于 active at", "自纪元 since epoch", "本机所知 known here"):
        table.add_column(heading, overflow="fold")
    mine = seen.local_places
    for name, place in sorted(seen.state.active.items()):
        here = mine.get(name)
        known = "✓" if here == place else CENTRES[here.centre] if here else CENTRES["production"]
        table.add_row(name, CENTRES[place.centre], str(place.since), known)
    return table


def _history(decided: tuple[Record, ...]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("纪元 epoch", "时间 at", "移动 moved", "宣告·批准 declared · approved", "强制 forced"):
        table.add_column(heading, overflow="fold")
    for each in decided:
        moved = ", ".join(f"{name} → {each.active[name].centre}" for name in each.moved)
        people = f"{each.declared_by} · {each.approved_by}"
        table.add_row(str(each.epoch), _time(each.at), escape(moved), escape(people), escape(each.forced))
    return table


def _told(record: Record) -> str:
    how = f" · 强制 forced: {escape(record.forced)}" if record.forced else ""
    return f"{_time(record.at)} · {escape(record.declared_by)} · {escape(record.approved_by)}{how}"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
