"""A running restic under watch: deadline, stall, and a vault that is gone.

restic retries a dead server for minutes. Here its first retry line starts questions to the vault itself, and when
that does not answer for a while, restic is stopped and the truth is told.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from orchestrator.errors import ProcessTimeout, TricenterError, Unreachable
from orchestrator.process import Child
from orchestrator.vault.restic import failures
from orchestrator.vault.restic.messages import Message, Progress, Unread, parse

LOOK_SECONDS = 0.5
#: Well; interrupted; with nobody left to read what it writes.
ENDED_BY_OTHERS = (0, 130, -signal.SIGINT, -signal.SIGKILL, -signal.SIGPIPE)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long restic may run, stand still, and go on without its vault."""

    deadline_seconds: float
    stall_seconds: float
    gone_seconds: float


@dataclass(frozen=True, slots=True)
class Invocation:
    """One restic command: what is run, for which repository, and how it is watched."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    limits: Limits
    answers: Callable[[], bool]
    """Asks the vault itself whether it is there."""
    cwd: Path | None = None
    stdin: int | None = None
    stdout: int | IO[bytes] | None = None
    progresses: bool = False
    """Whether this command tells of progress, so that silence means a stall."""


class Running:
    """A started restic. Leaving the block stops it, SIGINT first, so that its lock goes with it."""

    def __init__(self, what: Invocation) -> None:
        self._what = what
        self.starved: Callable[[], bool] = lambda: False
        """Whether restic waits for its input: then standing still is not its fault, nor the vault's."""
        self.unread: list[Unread] = []
        self._begin = self._moved = time.monotonic()
        self._retried = False
        self._last: Progress | None = None
        self._verdict: TricenterError | None = None
        self._over = threading.Event()
        self.child = Child(
            what.argv, env=what.env, cwd=what.cwd, stdin=what.stdin, stdout=what.stdout, on_stderr=self._hear
        )
        self._watch = threading.Thread(target=self._keep_watch, daemon=True)

    def __enter__(self) -> Running:
        self.child.__enter__()
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.child.__exit__()
        self._watch.join()

    def messages(self) -> Iterator[Message]:
        """Yield what restic says on stdout until it closes it."""
        for line in self.child.lines():
            message = parse(line)
            if isinstance(message, Progress):
                self._move(message)
            if message is not None:
                yield message

    def finish(self, *, accept: Sequence[int] = (0,)) -> int:
        """Wait for the end and return the exit code. Raises what went wrong, as one of our errors."""
        code = self.child.wait(self._what.limits.deadline_seconds)
        self._over.set()
        self._watch.join()
        if self._verdict is not None:
            raise self._verdict
        if code not in accept:
            raise failures.explain(self._what.name, code, self.child.stderr)
        return code

    def raise_if_failed(self, error: Exception) -> None:
        """Raise why restic ended, if it ended badly and by itself; `error` is what came of that to whoever reads it."""
        end = time.monotonic() + LOOK_SECONDS  # the end of the data is seen just before that of restic
        while self.child.running and time.monotonic() < end:
            time.sleep(LOOK_SECONDS / 50)
        if self.child.running:
            return
        code = self.child.wait(0)
        if self._verdict is None and code in ENDED_BY_OTHERS:
            return
        try:
            self.finish()
        except TricenterError as failure:
            raise failure from error

    def _hear(self, line: str) -> None:
        message = parse(line)
        if isinstance(message, Unread):
            self.unread.append(message)
        elif "retrying after" in line:
            self._retried = True

    def _move(self, progress: Progress) -> None:
        if progress != self._last:
            self._last, self._moved, self._retried = progress, time.monotonic(), False

    def _keep_watch(self) -> None:
        gone_since: float | None = None
        while not self._over.wait(LOOK_SECONDS) and self.child.running:
            asked = time.monotonic()
            if not self._retried:
                gone_since = None
            elif self._what.answers():
                gone_since, self._retried = None, False
            else:
                gone_since = gone_since or asked
            self._verdict = self._judge(time.monotonic(), gone_since)
            if self._verdict is not None:
                self.child.stop()
                return

    def _judge(self, now: float, gone_since: float | None) -> TricenterError | None:
        limits, name = self._what.limits, self._what.name
        if now - self._begin > limits.deadline_seconds:
            return ProcessTimeout("restic", limits.deadline_seconds, self.child.stderr)
        if gone_since is not None and now - gone_since > limits.gone_seconds:
            return Unreachable(
                f"the vault of {name} stopped answering while restic worked, {now - gone_since:.0f} s ago",
                hint="run it again: what is stored is not sent again, and a backup goes past a centre that is away",
            )
        if self.starved():
            self._moved = now
        if self._what.progresses and now - self._moved > limits.stall_seconds:
            return Unreachable(
                f"{name}: restic made no progress for {limits.stall_seconds:.0f} s and was stopped",
                hint="look at the line to this vault, then run again: what is stored already is not sent again",
            )
        return None


def run(what: Invocation) -> str:
    """Run restic to its end and return its stdout. Raises our errors."""
    with Running(what) as running:
        said = "\n".join(running.child.lines())
        running.finish()
        return said


def run_telling(what: Invocation) -> tuple[str, str]:
    """Run restic to its end and return its stdout and its stderr. Raises our errors."""
    with Running(what) as running:
        said = "\n".join(running.child.lines())
        running.finish()
        return said, running.child.stderr


@contextlib.contextmanager
def reading(what: Invocation) -> Iterator[Child]:
    """Yield restic while it writes data to its stdout; the block reads it all. A bad end raises on leaving.

    A block that fails by the early end of the data raises why restic ended, and not what half of the data looked like.
    """
    with Running(what) as running:
        try:
            yield running.child
        except Exception as error:
            running.raise_if_failed(error)
            raise
        if what.stdout is None:
            running.child.close_stdout()  # a block that left early must not leave restic waiting to write
        running.finish()
