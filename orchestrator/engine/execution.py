"""One execution of a run by one worker: what a flow sees as its `run`, whichever journal is behind it.

Whatever the engine itself has to complain about (the run is another worker's now, the journal does not fit the
code, the process is being stopped) passes through a flow without being an answer of one of its steps, so that no flow
takes it for a reason to compensate.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ParamSpec, Protocol, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from orchestrator.catalogue.ledger import AbortRequested, Claim, Ledger, Superseded
from orchestrator.catalogue.records import Cleanup, Order, Outcome, RunRow, RunState
from orchestrator.engine import place
from orchestrator.engine.journal import (
    NotJournalable,
    StepFailed,
    as_evidence,
    decode,
    decode_error,
    encode,
    encode_error,
    known_error,
)
from orchestrator.engine.parts import Parts
from orchestrator.engine.port import Actions, FlowSpec, Part, PartState
from orchestrator.errors import Aborted, Interrupted, TricenterError, Unreachable
from orchestrator.process import Leash, current_leash, leashed
from policies.limits import Limits

P = ParamSpec("P")
T = TypeVar("T")

#: How long a write about a run is tried again while the database is away: a restart of it takes less.
RETRY_SECONDS = 30.0
WAIT_POLL_SECONDS = 0.5
POLITE_REASON = "the worker is stopping"

log = logging.getLogger(__name__)


class Halted(BaseException):
    """This execution is over and says nothing about its run. Not an Exception: nothing may catch it on the way out."""


class JournalFault(Exception):
    """The journal cannot be written, or does not fit the flow's code. No reason to compensate anything."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a step ended: its result, or its error."""

    result: Any = None
    error: TricenterError | None = None


class Journal(Protocol):
    """Remembers how each step of a run ended. Raises JournalFault for its own troubles."""

    def once(self, name: str, do: Callable[[], Ended]) -> Ended:
        """Return what `do` returned when this step was first done; do it when it never was."""

    def changed(self, name: str) -> bool:
        """Return whether the run takes the new way named so."""

    def position(self) -> int:
        """Return how many entries the journal of this run has."""


class NoJournal:
    """For a command that works in its own process: killed, it is cleared up and not resumed."""

    def once(self, name: str, do: Callable[[], Ended]) -> Ended:
        return do()

    def changed(self, name: str) -> bool:
        return True

    def position(self) -> int:
        return 0


@dataclass
class Execution:
    """Satisfies `orchestrator.engine.port.Run`."""

    ledger: Ledger
    claim: Claim
    journal: Journal
    limits: Limits
    leash: Leash = field(default_factory=Leash)
    observer: Callable[[str, float, float], None] | None = None
    latest: tuple[str, float, float] | None = None
    halting: threading.Event = field(default_factory=threading.Event)
    waiting: bool = False
    #: Set when one of the run's parts has ended in this process.
    wake: threading.Event = field(default_factory=threading.Event)
    #: Turns a part into what is asked of the ledger, and executes one in this process if that is done here.
    order_part: Callable[[Part], Order] | None = None
    staff: Callable[[], bool] = lambda: False

    @property
    def id(self) -> str:
        return self.claim.run.id

    def step(self, name: str, act: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        ended = self.journal.once(name, lambda: self._try(name, act, args, kwargs))
        if ended.error:
            raise ended.error
        result: T = ended.result
        return result

    def attempt(self, name: str, act: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        ended = self._try(name, act, args, kwargs)
        if ended.error:
            raise ended.error
        result: T = ended.result
        return result

    def cleanup(self, action: str, /, *, here: bool = False, **arguments: str) -> None:
        host = socket.gethostname() if here else None
        self._write(lambda: self.ledger.add_cleanup(self.claim, action, arguments, host=host))

    def undo(self, action: str, /, *, here: bool = False, **arguments: str) -> None:
        host = socket.gethostname() if here else None
        self._write(lambda: self.ledger.add_cleanup(self.claim, action, arguments, host=host, on_failure=True))

    def pin(self) -> None:
        self._write(lambda: self.ledger.pin(self.claim, place.this_place(), self.journal.position()))

    def changed(self, name: str) -> bool:
        return self.journal.changed(name)

    def progress(self, what: str, done: float, total: float) -> None:
        self.latest = (what, done, total)
        self._innermost.check()
        if self.observer:
            self.observer(what, done, total)

    def wait(self, topic: str, timeout_seconds: float) -> Any:
        return self.step(f"wait:{topic}", self._wait, topic, timeout_seconds)

    def parts(self, name: str, due: Callable[[Mapping[str, PartState]], Iterable[Part]]) -> Mapping[str, PartState]:
        self.cleanup("end-parts", run=self.id)
        return self.attempt(name, self._conduct_parts, name, due)

    def heed(self, row: RunRow) -> None:
        """Raise Aborted when somebody asked for the run's end before this execution began."""
        if row.abort_requested_at:
            raise Aborted("the run was aborted", hint="what it had made was taken away again")

    # --- one attempt

    @property
    def _innermost(self) -> Leash:
        """The run's leash, or a shorter one that the flow put itself on."""
        return current_leash() or self.leash

    def _try(self, name: str, act: Callable[..., Any], args: Any, kwargs: Any) -> Ended:
        try:
            attempt = self._write(lambda: self.ledger.start_attempt(self.claim, name))
        except Aborted as error:
            return Ended(error=error)
        try:
            self._innermost.check()
            result = act(*args, **kwargs)
        except KeyboardInterrupt as error:
            self._close(attempt, Outcome.INTERRUPTED, error=error)
            raise
        except JournalFault:
            raise  # no answer of the step
        except Exception as error:
            self._go_no_further()
            told = known_error(self._innermost.error or error)
            if not isinstance(error, TricenterError):
                log.warning("step %s of run %s failed", name, self.id, exc_info=error)
            outcome = Outcome.INTERRUPTED if isinstance(told, Interrupted) else Outcome.FAILED
            self._close(attempt, outcome, error=told)
            return Ended(error=told)
        self._close(attempt, Outcome.PASSED, detail=as_evidence(result))
        return Ended(result)

    def _close(self, attempt: int, outcome: Outcome, *, detail: Any = None, error: BaseException | None = None) -> None:
        self._write(lambda: self.ledger.end_attempt(self.claim, attempt, outcome, detail=detail, error=error))

    def _go_no_further(self) -> None:
        """Halt when the process is being stopped: that its children were ended is no answer of the step."""
        if self.halting.is_set():
            raise Halted(POLITE_REASON)

    def _write(self, write: Callable[[], T]) -> T:
        """Write about the run: again when the database is away for a moment, and never as a run's former owner."""
        self._go_no_further()
        again = Retrying(
            retry=retry_if_exception_type(Unreachable),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            stop=stop_after_delay(RETRY_SECONDS),
            reraise=True,
        )
        try:
            return again(write)
        except Superseded as error:
            raise Halted(str(error)) from error
        except AbortRequested:
            raise Aborted("the run was aborted", hint="what it had made was taken away again") from None
        except Unreachable as error:
            raise JournalFault(str(error)) from error

    def _conduct_parts(
        self, name: str, due: Callable[[Mapping[str, PartState]], Iterable[Part]]
    ) -> dict[str, PartState]:
        if self.order_part is None:
            raise TypeError("this engine executes no parts")
        self._write(lambda: self.ledger.wait_begin(self.claim, name))
        self.waiting = True
        parts = Parts(self.ledger, self.claim, self._write, self.staff, self.wake)
        try:
            states = parts.conduct(due, self._order_part, self._check)
        except TricenterError:
            self._hold_again(heedless=True)  # the flow still writes down how it ended
            raise
        self._hold_again()
        return states

    def _order_part(self, part: Part) -> Order:
        assert self.order_part is not None
        order = self.order_part(part)
        run = self.claim.run
        return replace(
            order,
            parent=self.id,
            part=part.name,
            # Among the parts the most urgent first; beside other runs, what the whole is worth.
            priority=run.priority,
            deadline=run.queued_at + timedelta(milliseconds=part.urgency),
            requested_by=run.requested_by,
            reason=run.reason,
        )

    def _check(self) -> None:
        self._go_no_further()
        self._innermost.check()

    def _hold_again(self, *, heedless: bool = False) -> None:
        """Take again what a run lets go while it waits; `heedless` of what has stopped it."""
        while not self._write(lambda: self.ledger.wait_end(self.claim, self.limits)):
            if not heedless:
                self._check()
            time.sleep(WAIT_POLL_SECONDS)
        self.waiting = False

    def _wait(self, topic: str, timeout_seconds: float) -> Any:
        """Wait for a message. The time counts from the first attempt, whichever worker made it."""
        began = self._write(lambda: self.ledger.wait_begin(self.claim, topic))
        self.waiting = True
        while True:
            self._go_no_further()
            self.leash.check()
            message = self._write(lambda: self.ledger.received(self.id, topic))
            seconds = (self._write(self.ledger.clock) - began).total_seconds()
            if message is not None or seconds >= timeout_seconds:
                break
            time.sleep(min(WAIT_POLL_SECONDS, max(0.01, timeout_seconds - seconds)))
        self._hold_again()
        return message


def conduct(
    execution: Execution,
    spec: FlowSpec,
    program: Any,
    actions: Actions,
    *,
    wrap: Callable[[Execution], Any] | None = None,
) -> Any:
    """Run a flow to its end, take away what it made for the time being, and record how it ended. Return its result.

    `wrap` may put something around the run that the flow sees, to tell of its steps.

    Raises what the flow raised. Raises Halted, and records nothing, when this execution is no longer the run's;
    JournalFault, with the run given back and nothing compensated, when the journal does not fit.
    """
    claim, ledger = execution.claim, execution.ledger
    try:
        execution.heed(claim.run)
        with leashed(execution.leash):
            result = spec.run(wrap(execution) if wrap else execution, program, claim.run.arguments)
    except KeyboardInterrupt as error:
        _finish(execution, actions, RunState.INTERRUPTED, error)
        raise
    except JournalFault as error:
        log.warning("run %s is held: %s", claim.run.id, error)
        ledger.hold_back(claim, error)
        raise
    except Exception as error:
        told = known_error(error)
        if told is not error:
            log.exception("run %s failed by a fault of the program", claim.run.id)
        _finish(execution, actions, _state_after(told), told)
        raise told from error
    _finish(execution, actions, RunState.DONE, None, result=as_evidence(result))
    return result


def clean_up(ledger: Ledger, actions: Actions, run_id: str, *, failed: bool) -> None:
    """Do what a run registered to be taken away, the last made first; what cannot be done now stays registered."""
    here = socket.gethostname()
    mine = [each for each in ledger.open_cleanups(run_id) if each.host in (None, here)]
    for each in mine:
        if each.on_failure and not failed:
            ledger.close_cleanup(each.id)
    do_cleanups(ledger, actions, [each for each in mine if failed or not each.on_failure])


def do_cleanups(ledger: Ledger, actions: Actions, cleanups: Sequence[Cleanup]) -> None:
    for each in cleanups:
        try:
            actions[each.action](**each.arguments)
        except Exception as failure:
            # A thing that cannot be taken away now must not hide how the run ended.
            log.warning("clean-up %s of run %s failed: %s", each.action, each.run_id, failure)
            log.debug("its traceback", exc_info=True)
        else:
            ledger.close_cleanup(each.id)


def written_down(ended: Ended) -> tuple[str, bool]:
    """Return how a step ended as text, and whether it failed: so does one whose result cannot be written down."""
    if ended.error is None:
        try:
            return encode(ended.result), False
        except NotJournalable as error:
            ended = Ended(error=StepFailed(str(error), hint="this is a fault of the program; see its log"))
    assert ended.error is not None
    return encode_error(ended.error), True


def read_back(text: str, failed: bool) -> Ended:
    """Return how a step ended, from what `written_down` gave."""
    return Ended(error=decode_error(text)) if failed else Ended(decode(text))


def _state_after(error: TricenterError) -> RunState:
    if isinstance(error, Aborted):
        return RunState.ABORTED
    return RunState.INTERRUPTED if isinstance(error, Interrupted) else RunState.FAILED


def _finish(
    execution: Execution, actions: Actions, state: RunState, error: BaseException | None, *, result: Any = None
) -> None:
    # Still ours? A former owner must not take away what the run's new one is working with.
    execution._write(lambda: execution.ledger.check(execution.claim))
    clean_up(execution.ledger, actions, execution.id, failed=state is not RunState.DONE)
    execution._write(lambda: execution.ledger.end(execution.claim, state, result=result, error=error))


def worker_id(kind: str) -> str:
    """Return an identifier that no process had before."""
    return f"{kind}-{socket.gethostname()}-{os.getpid()}-{time.time_ns() // 1_000_000:x}"
