"""A run followed live, from wherever: each attempt as it starts and ends, until the run has ended.

Whoever watches is not needed: the run goes on without, and a server that is started anew is found again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import click
from rich.console import Console
from rich.markup import escape

from orchestrator.errors import Interrupted, TricenterError, Unreachable
from orchestrator.server.client import Client, quoted
from orchestrator.server.run_show import OUTCOMES, elapsed, progress, seconds, state

POLL_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
PROGRESS_SECONDS = 5.0

Kind = Literal["state", "started", "ended", "progress", "taken-over", "lost", "found", "end"]


class Event(NamedTuple):
    """Something that happened to the run; `value` is the attempt's or the run's row, or what went wrong."""

    kind: Kind
    value: Any
    now: str


def watch(client: Client, run_id: str, console: Console, output: str) -> int:
    """Print what happens to a run until it has ended, and return the exit code that it would have had here.

    Raises Unreachable when the server does not answer in the beginning; later it is waited for.
    """
    tell = _tell_json if output == "json" else lambda event: _tell(console, event)
    try:
        for event in events(client, run_id):
            tell(event)
    except KeyboardInterrupt:
        click.echo(f"\n任务继续运行 the run goes on; follow it again: tricenter run watch {run_id}", err=True)
        return Interrupted.exit_code
    return exit_code(event.value)


def exit_code(run: Mapping[str, Any]) -> int:
    """Return the exit code of a command that had done what the run did."""
    if run["state"] == "failed":
        return int(run["exit_code"] or TricenterError.exit_code)
    return {"done": 0, "aborted": Interrupted.exit_code}.get(run["state"], TricenterError.exit_code)


def events(client: Client, run_id: str) -> Iterator[Event]:
    """Yield what happens to a run. The last event is its end."""
    seen = _Seen()
    answered = client.get(_path(run_id, 0))
    while True:
        news = list(seen.news(answered))
        yield from news
        if not answered["run"]["ended_at"]:
            time.sleep(POLL_SECONDS)
        elif not news:
            yield Event("end", answered["run"], answered["now"])
            return
        pause = POLL_SECONDS
        while True:
            try:
                found = client.get_once(_path(run_id, seen.after))
                break
            except Unreachable as error:
                if pause == POLL_SECONDS:
                    yield Event("lost", str(error), answered["now"])
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                time.sleep(pause)
        if pause > POLL_SECONDS:
            yield Event("found", None, found["now"])
        answered = found


def _path(run_id: str, after: int) -> str:
    return f"runs/{quoted(run_id)}/attempts?after={after}"


class _Seen:
    """What was told already. `after` is the attempt up to which nothing can change any more."""

    def __init__(self) -> None:
        self.after = 0
        self._open: set[int] = set()
        self._last = 0
        self._state = ""
        self._generation = 0
        self._progress: Any = None
        self._told_progress = 0.0

    def news(self, answered: Mapping[str, Any]) -> Iterator[Event]:
        run, now = answered["run"], answered["now"]
        for attempt in answered["attempts"]:
            yield from self._attempt(attempt, now)
        self.after = min(self._open, default=self._last + 1) - 1
        if self._generation and run["generation"] > self._generation:
            yield Event("taken-over", run, now)
        self._generation = run["generation"]
        if not run["ended_at"]:
            open_steps = {each["step"] for each in answered["attempts"] if each["ended_at"] is None}
            # A step that the run itself waits on is its parts at work: for anybody's answer the step is `wait:TOPIC`.
            yield from self._changes({**run, "for_parts": run["waiting_for"] in open_steps}, now)

    def _attempt(self, attempt: Mapping[str, Any], now: str) -> Iterator[Event]:
        number = attempt["id"]
        if attempt["ended_at"] is None:
            if number not in self._open:
                self._open.add(number)
                yield Event("started", attempt, now)
        elif number in self._open or number > self._last:
            yield Event("ended", attempt, now)
            self._open.discard(number)
        self._last = max(self._last, number)

    def _changes(self, run: Mapping[str, Any], now: str) -> Iterator[Event]:
        if run["state"] != self._state:
            self._state = run["state"]
            yield Event("state", run, now)
        if progress(run) != self._progress and time.monotonic() - self._told_progress > PROGRESS_SECONDS:
            self._progress, self._told_progress = progress(run), time.monotonic()
            if self._progress:
                yield Event("progress", run, now)


def _tell(console: Console, event: Event) -> None:
    """Print one event: the mark, the seconds, the words."""
    value = event.value
    match event.kind:
        case "started" | "ended":
            _tell_attempt(console, value, event.now)
        case "progress":
            console.print(f"[dim]…            {escape(progress(value))}[/]")
        case "state":
            waited = f"  {escape(value['waiting_for'])}" if value["waiting_for"] else ""
            if value["for_parts"]:
                console.print(f"{state(value)}{waited}  [dim]分任务在进行 its parts are at work[/]")
                return
            by = f"  [dim]{escape(value['worker'])}[/]" if value["state"] == "running" and value["worker"] else ""
            console.print(f"{state(value)}{waited}{by}")
            if waited:
                console.print(f"[dim]批准 approve it: tricenter run approve {value['id']}[/]")
        case "taken-over":
            console.print(f"[yellow]另一执行者接手 taken over[/]  generation {value['generation']}")
        case "lost":
            console.print(f"[yellow]服务器未答复，继续尝试 still trying:[/] {escape(value)}")
        case "found":
            console.print("[green]服务器恢复 the server answers again[/]")
        case "end":
            _tell_end(console, value, event.now)


def _tell_attempt(console: Console, attempt: Mapping[str, Any], now: str) -> None:
    colour, mark = OUTCOMES[attempt["outcome"]]
    took = f"{seconds(attempt['started_at'], attempt['ended_at'] or now):7.2f} s" if attempt["ended_at"] else " " * 9
    why = f"  [{colour}]{escape(attempt['error'])}[/]" if attempt["error"] else ""
    console.print(f"[{colour}]{mark}[/] {took}  {escape(attempt['step'])}{why}")


def _tell_end(console: Console, run: Mapping[str, Any], now: str) -> None:
    console.print(f"{state(run)}  {run['flow']} {escape(run['subject'])}  {elapsed(run, now)}")
    if run["error"] and run["state"] != "done":
        console.print(f"[red]错误 error:[/] {escape(run['error'])}")
    if run["hint"] and run["state"] != "done":
        console.print(f"[yellow]下一步 next:[/] {escape(run['hint'])}")


def _tell_json(event: Event) -> None:
    click.echo(json.dumps({"event": event.kind, "at": event.now, "value": event.value}, ensure_ascii=False))
