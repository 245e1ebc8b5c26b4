"""Hooks run: programs of a system that make it stand still for its backup, and let it go on whatever happens.

What was begun is taken back: by the flow itself; at `longest` by a timer, whatever the flow waits for; and when this
process was killed by the next command or server on the same host, from what the run registered before it began. What
took it back is in the evidence, so that it is not done again without need; yet it may be, and must bear it.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Literal, Protocol

from orchestrator.catalogue.records import Outcome
from orchestrator.catalogue.store import Catalogue
from orchestrator.engine.port import Run
from orchestrator.errors import CheckFailed, InvalidInput, ProcessFailed, ProcessTimeout, TricenterError
from orchestrator.process import Child, Leash, current_leash, leashed
from policies.hooks import Hook, Hooks, SourceHooks
from policies.site import SystemRef
from policies.values import format_duration

Phase = Literal["freeze", "thaw", "before", "after"]

#: So much of what a failed hook said is told: its last lines, each cut.
LINES_TOLD = 5
LINE_CHARACTERS = 200
READ_BYTES = 8192

log = logging.getLogger(__name__)


class Program(Protocol):
    """What taking back needs of the object graph."""

    @property
    def catalogue(self) -> Catalogue: ...

    def system(self, name: str) -> SystemRef: ...


class HookFailed(ProcessFailed):
    """A hook ended badly or not in time. Carries the end of what it said."""


class FrozenTooLong(TricenterError):
    """A system was thawed because its time was up, and its backup ended with that."""


@dataclass(frozen=True, slots=True)
class HookRan:
    """A hook that ended well."""

    program: str
    seconds: float


def check_hooks(ref: SystemRef, centre: str) -> None:
    """Raise InvalidInput for a hook whose program is not there or may not be run. Runs none."""
    for name, hook in ref.system.hooks_at(centre).every.items():
        program = Path(hook.run[0])
        if not program.is_file() or not os.access(program, os.X_OK):
            what = "may not be executed" if program.is_file() else "is not there"
            raise InvalidInput(
                f"{ref}: the program of the hook {name}, {program}, {what}", hint="install it, or chmod +x it"
            )


def run_hook(hook: Hook, ref: SystemRef, run_id: str, phase: Phase, source: str = "") -> HookRan:
    """Run a hook to its end. Raises HookFailed. What takes something back runs also while everything is stopped."""
    began, seconds = time.monotonic(), hook.timeout.total_seconds()
    named = f"{ref}: hook {phase}{f':{source}' if source else ''}, {hook.run[0]},"
    env = {
        "TRICENTER_SYSTEM": str(ref),
        "TRICENTER_RUN": run_id,
        "TRICENTER_SOURCE": source,
        "TRICENTER_PHASE": phase,
    }
    with tempfile.TemporaryFile() as output:
        always = phase in ("thaw", "after")
        try:
            with Child(hook.run, env=env, cwd=Path("/"), output=output, always=always) as child:
                code = child.wait(seconds)
        except ProcessTimeout:
            raise _failed(named, f"did not end within {format_duration(seconds)}", -1, output) from None
        except OSError as error:
            raise _failed(named, f"cannot be run: {error.strerror}", -1, output) from error
        if code != 0:
            raise _failed(named, f"ended with code {code}", code, output)
    return HookRan(hook.run[0], round(time.monotonic() - began, 3))


def _failed(named: str, how: str, code: int, output: IO[bytes]) -> HookFailed:
    output.seek(max(0, output.seek(0, os.SEEK_END) - READ_BYTES))
    lines = [each[:LINE_CHARACTERS] for each in output.read().decode("utf-8", "replace").split("\n") if each.strip()]
    said = " / ".join(lines[-LINES_TOLD:]) or "it said nothing"
    failure = HookFailed(named, code, said)
    failure.args = (f"{named} {how}: {said}",)
    failure.hint = "run the program by hand with the same arguments"
    return failure


# --- what was begun and is to be taken back


@contextmanager
def hooked(run: Run, catalogue: Catalogue, ref: SystemRef, hooks: SourceHooks, source: str) -> Iterator[None]:
    """Run the hooks of one source around the block. `after` runs once `before` was begun, whatever happens."""
    with _held(run, catalogue, ref, hooks.before, hooks.after, source, None):
        yield


@contextmanager
def frozen(run: Run, catalogue: Catalogue, ref: SystemRef, hooks: Hooks) -> Iterator[None]:
    """Hold a system frozen during the block, no longer than its `longest`.

    Raises FrozenTooLong, with the system thawed at that moment, when the block takes longer; HookFailed when it could
    not be frozen, or not be thawed: then it may stand still now, which the message says.
    """
    with _held(run, catalogue, ref, hooks.freeze, hooks.thaw, "", hooks.longest):
        yield


def take_back(program: Program, system: str, run: str, phase: Phase, source: str) -> None:
    """Do what a run registered before it began with a system: thaw it, unless that was done. May be repeated."""
    ref, last = program.system(system), _step(phase, source)
    if not _is_open(program.catalogue, run, source):
        return
    hook = ref.system.hooks.every.get(last)
    if hook is None:
        raise CheckFailed(
            f"{ref}: run {run} was stopped before its hook {last} ran, and the site has no such hook any more",
            hint="write it again until the next command has run it",
        )
    run_hook(hook, ref, run, phase, source)


@contextmanager
def _held(
    run: Run,
    catalogue: Catalogue,
    ref: SystemRef,
    begin: Hook | None,
    end: Hook | None,
    source: str,
    longest: timedelta | None,
) -> Iterator[None]:
    first: Phase = "before" if source else "freeze"
    last: Phase = "after" if source else "thaw"
    undo = _Once(lambda: _end(run, end, ref, last, source))
    if end:
        run.cleanup("run-hook", here=True, system=str(ref), run=run.id, phase=last, source=source)
        if _is_open(catalogue, run.id, source):
            _end(run, end, ref, last, source)  # an attempt that was killed has left it so
    began = time.monotonic()
    try:
        run.attempt(_step(first, source), lambda: begin and run_hook(begin, ref, run.id, first, source))
        # From here on: a thaw beside a freeze that is still at work would leave it frozen.
        with _limited(ref, longest, began, undo):
            yield
    except BaseException as error:
        _undo_after(error, undo)
        raise
    undo()


class _Once:
    """What takes something back, once: called by the flow or by the timer, whoever comes first."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act, self._lock, self._done = act, threading.Lock(), False

    def __call__(self) -> None:
        with self._lock:
            if not self._done:
                self._act()
                self._done = True


@contextmanager
def _limited(ref: SystemRef, longest: timedelta | None, began: float, undo: _Once) -> Iterator[None]:
    """Call `undo` at `longest` after `began`, stop what the block does, and raise FrozenTooLong on its end."""
    if longest is None:
        yield
        return
    leash, expired, seconds = Leash(current_leash()), threading.Event(), longest.total_seconds()
    error = FrozenTooLong(
        f"{ref} was thawed: its capture was not complete after {format_duration(seconds)}, and it is not held longer",
        hint="hooks.longest sets this time; a path or a database is read whole within it, a volume only snapshot",
    )

    def expire() -> None:
        expired.set()  # first: what is captured from now on is not of one state any more
        try:
            undo()
        except TricenterError as failure:
            log.warning("%s", failure)
        finally:
            leash.pull(error)

    timer = threading.Timer(max(0.0, began + seconds - time.monotonic()), expire)
    timer.daemon = True
    timer.start()
    try:
        with leashed(leash):
            yield
    finally:
        timer.cancel()
    if expired.is_set():
        raise error


def _undo_after(error: BaseException, undo: _Once) -> None:
    """Take back after a failure; when that fails too, that is the worse news, and both are told."""
    try:
        undo()
    except HookFailed as failure:
        if not isinstance(error, TricenterError):
            log.warning("%s", failure)  # what stops this process is not to be held up
            return
        failure.args = (f"{failure}. Before that: {error}",)
        raise failure from error


def _end(run: Run, hook: Hook | None, ref: SystemRef, phase: Phase, source: str) -> None:
    """Run what takes back, with evidence if the run still takes any: also a run that was stopped must thaw."""
    if hook is None:
        return
    begun = False

    def act() -> HookRan:
        nonlocal begun
        begun = True
        try:
            return run_hook(hook, ref, run.id, phase, source)
        except HookFailed as failure:
            state = "the system may still stand still" if phase == "thaw" else "its source may be as the hook left it"
            failure.args = (f"{failure}. No recovery point was made, and {state}",)
            failure.hint = "see to it now; the hook is run again at the end of this run and by every later command"
            raise

    try:
        run.attempt(_step(phase, source), act)
    finally:
        if not begun:
            act()


def _step(phase: Phase, source: str) -> str:
    return f"{phase}:{source}" if source else phase


def _is_open(catalogue: Catalogue, run_id: str, source: str) -> bool:
    """Return whether a run began with the system, or the source, and nothing shows that it was taken back."""
    first, last = (f"before:{source}", f"after:{source}") if source else ("freeze", "thaw")
    begun = False
    for each in catalogue.attempts(run_id):
        if each.step == first:
            begun = True
        elif each.step == last and each.outcome is Outcome.PASSED:
            begun = False
    return begun
