"""Following a run of a plan: a picture that moves on a terminal, lines in a pipe, JSON lines for programs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.markup import escape

from drills.measure import Verdict, passed
from drills.watch import Follower, Timeline, Waiting, timeline, told
from drills.watch_show import STATES, screen
from drills.words import VERDICTS
from orchestrator.catalogue.records import AttemptRow, Outcome, RunRow, RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.catalogue.waiting import Looked
from orchestrator.errors import CheckFailed, Interrupted, TricenterError, Unreachable
from policies.limits import Limits

POLL_SECONDS = 0.5

#: Told what one look showed.
Tell = Callable[[Looked], None]


def watch_drill(catalogue: Catalogue, run_id: str, limits: Limits, console: Console, output: str) -> int:
    """Follow a run to its end, and return the exit code that it would have had here. It needs nobody to watch.

    Raises UnknownName, and Unreachable when the catalogue does not answer in the beginning; later it is waited for.
    """
    follower = Follower(catalogue, run_id, limits)
    try:
        with telling(console, output) as tell:
            return exit_code(timeline(_follow(follower, tell, threading.Event())))
    except KeyboardInterrupt:
        click.echo(f"\n任务继续运行 the run goes on; follow it again: tricenter drill watch {run_id}", err=True)
        return Interrupted.exit_code


class Companion:
    """Follows a run that this process executes itself, in a thread beside it. What goes wrong here hurts no run."""

    def __init__(self, catalogue: Catalogue, limits: Limits, console: Console) -> None:
        self._catalogue, self._limits, self._console = catalogue, limits, console
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, run_id: str) -> None:
        """Follow this run from now on: what the engine calls when it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, args=(run_id,), daemon=True)
            self._thread.start()

    def __enter__(self) -> Companion:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread:
            self._thread.join(5)

    def _watch(self, run_id: str) -> None:
        follower = Follower(self._catalogue, run_id, self._limits)
        try:
            with telling(self._console, "table") as tell:
                _follow(follower, tell, self._over)
        except TricenterError as error:
            self._console.print(f"[yellow]无法显示 cannot be shown:[/] {escape(str(error))}")


def exit_code(found: Timeline) -> int:
    """Return the exit code of a command that had done what the run did. Pure."""
    run = found.run
    if run.state is RunState.DONE:
        good = all(each.verdict in (Verdict.MET, None) for each in found.systems)
        return 0 if good else CheckFailed.exit_code
    if run.state is RunState.ABORTED:
        return Interrupted.exit_code
    return int(run.exit_code or TricenterError.exit_code)


@contextmanager
def telling(console: Console, output: str) -> Iterator[Tell]:
    """Yield what tells a look: on a terminal as one picture, else as lines of what is new."""
    if output == "json":
        yield Lines(_tell_json)
    elif not console.is_terminal:
        yield Lines(lambda event, value, seen: _tell_line(console, event, value, seen))
    else:
        # `visible` at the end: the last picture stays on the terminal, whole.
        with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:

            def draw(seen: Looked) -> None:
                if seen.run.state.ended:
                    live.vertical_overflow = "visible"
                live.update(screen(timeline(seen), console.height), refresh=True)

            yield draw


def _follow(follower: Follower, tell: Tell, over: threading.Event) -> Looked:
    """Look and tell until the run has ended. A catalogue that is away for a moment is waited for."""
    seen = follower.look()
    while True:
        tell(seen)
        if seen.run.state.ended:
            return seen
        # When the process that executes the run has come to its end, one more look is the last.
        last = over.wait(POLL_SECONDS)
        try:
            seen = follower.look()
        except Unreachable:
            time.sleep(POLL_SECONDS)
        if last and not seen.run.state.ended:
            tell(seen)
            return seen


class Lines:
    """Finds what is new since the look before, and has each told once."""

    def __init__(self, tell: Callable[[str, Any, Looked], None]) -> None:
        self._tell = tell
        self._known: set[tuple[Any, ...]] = set()

    def __call__(self, seen: Looked) -> None:
        for row in (seen.run, *seen.parts):
            # A run that waits does so for its parts or for a person, and either is told beside.
            if row.state is not RunState.WAITING:
                self._once("state", row, seen, row.id, row.state, row.generation)
        for wait in timeline(seen).waits:
            self._once("waiting", wait, seen, wait.run, wait.topic)
        for attempt in seen.attempts:
            if attempt.ended_at is None:
                self._once("started", attempt, seen, attempt.id)
            else:
                self._once("ended", attempt, seen, attempt.id)
        if seen.run.state.ended:
            self._once("end", timeline(seen), seen)

    def _once(self, event: str, value: Any, seen: Looked, *key: Any) -> None:
        if (event, *key) not in self._known:
            self._known.add((event, *key))
            self._tell(event, value, seen)


OUTCOMES = {"passed": ("green", "✓"), "failed": ("red", "✗"), "interrupted": ("yellow", "↯"), "started": ("blue", "▶")}


def _tell_line(console: Console, event: str, value: Any, seen: Looked) -> None:
    if event == "state":
        _tell_state(console, value, seen)
    elif event == "waiting":
        console.print(f"[magenta]…[/]            等待 waiting for {escape(value.topic)}{_about(value.run, seen)}")
        console.print(f"             答复 answer: {escape(value.command)}", soft_wrap=True)
    elif event == "ended":
        _tell_attempt(console, value, seen)
    elif event == "end":
        _tell_end(console, value)


def _tell_state(console: Console, row: RunRow, seen: Looked) -> None:
    words, colour = STATES[str(row.state)]
    about = row.part or row.subject
    why = f"  [red]{escape(row.error)}[/]" if row.error and row.state.ended and row.id != seen.run.id else ""
    again = f"  接手 taken over ({row.generation})" if row.generation > 1 else ""
    console.print(f"[{colour}]●[/]            {escape(about)}  [{colour}]{words}[/]{again}{why}", soft_wrap=True)


def _tell_attempt(console: Console, row: AttemptRow, seen: Looked) -> None:
    good = row.outcome is not Outcome.PASSED or passed(row)
    colour, mark = OUTCOMES[row.outcome if good else "failed"]
    why = row.error or ("" if good else f"{row.detail.get('expected')} → {row.detail.get('got')}")
    more = f"  [{colour}]{escape(why)}[/]" if why else ""
    words = escape(str(told(row.step)))
    console.print(
        f"[{colour}]{mark}[/] {row.seconds or 0:8.2f} s  {words}{_about(row.run_id, seen)}{more}", soft_wrap=True
    )


def _tell_end(console: Console, found: Timeline) -> None:
    for each in found.systems:
        verdict = str(VERDICTS[each.verdict]) if each.verdict else "—"
        rto, rpo = (_seconds(clock.used) for clock in (each.rto, each.rpo))
        console.print(f"{each.name}  {verdict}  RTO {rto} / {each.rto.limit:.0f} s  RPO {rpo} / {each.rpo.limit:.0f} s")
    if found.run.error and found.run.state is not RunState.DONE:
        console.print(f"[red]错误 error:[/] {escape(found.run.error)}", soft_wrap=True)
    if found.run.hint and found.run.state is not RunState.DONE:
        console.print(f"[yellow]下一步 next:[/] {escape(found.run.hint)}", soft_wrap=True)


def _seconds(value: float | None) -> str:
    return "—" if value is None else f"{value:.1f}"


def _about(run_id: str, seen: Looked) -> str:
    part = next((row.part for row in seen.parts if row.id == run_id), None)
    return f"  [dim]{escape(part)}[/]" if part else ""


def _tell_json(event: str, value: Any, seen: Looked) -> None:
    line = {"event": event, "at": seen.now.isoformat(), **_plain(event, value)}
    click.echo(json.dumps(line, ensure_ascii=False, default=str))


def _plain(event: str, value: Any) -> dict[str, Any]:
    if isinstance(value, RunRow):
        return {
            "run": value.id,
            "flow": value.flow,
            "part": value.part,
            "state": str(value.state),
            "error": value.error,
        }
    if isinstance(value, Waiting):
        return asdict(value)
    if isinstance(value, AttemptRow):
        found = event == "ended" and value.outcome is Outcome.PASSED and passed(value)
        told_ = {"run": value.run_id, "step": value.step, "seconds": value.seconds, "error": value.error}
        return {**told_, "outcome": str(value.outcome), "good": found if event == "ended" else None}
    assert isinstance(value, Timeline)
    return {
        "run": value.run.id,
        "state": str(value.run.state),
        "exit_code": exit_code(value),
        "systems": [
            {"system": each.name, "verdict": each.verdict, "rto_seconds": each.rto.used, "rpo_seconds": each.rpo.used}
            for each in value.systems
        ],
    }
