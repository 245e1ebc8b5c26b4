"""What a person sees while the lab comes up: one line per stage, with its seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console


class Progress:
    """Stages of one command. On a terminal the running one shows a spinner; elsewhere lines are plain."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._begin = time.monotonic()

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Show `title` while the block runs, and how long it took. A failure is shown and goes on up."""
        begin = time.monotonic()
        terminal = self._console.is_terminal
        with self._console.status(f"{title} …") if terminal else nullcontext():
            try:
                yield
            except BaseException:
                self._line("✗", "red", title, begin)
                raise
        self._line("✓", "green", title, begin)

    @contextmanager
    def lane(self, title: str) -> Iterator[None]:
        """Show how long one of the jobs inside a stage took, when it is done."""
        begin = time.monotonic()
        yield
        self._line("·", "dim", title, begin)

    def _line(self, mark: str, colour: str, title: str, begin: float) -> None:
        self._console.print(f"[{colour}]{mark}[/] {time.monotonic() - begin:6.1f} s  {title}")

    def say(self, text: str) -> None:
        self._console.print(text)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begin
