"""The registers of a site, asked all at once: whoever does not answer within seconds is left out, whatever ails him.

Nothing here waits for a centre that is gone. A register that failed once is not asked again by the same object, so a
centre that is black-holed costs its deadline once.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Mapping
from typing import Protocol, TypeVar

from orchestrator.errors import CheckFailed, TricenterError, Unreachable
from orchestrator.vault.register import Register
from policies.epoch import Inconsistent, Log
from policies.epoch_protocol import Answer, Append, Appended, Look, Question

#: More than one connection and one answer may take: what is slower hangs elsewhere, in a name service for one.
ANSWER_SECONDS = 8.0

T = TypeVar("T")


class HasRegisters(Protocol):
    """What this room needs of the object graph."""

    @property
    def registers(self) -> Mapping[str, Register]:
        """The register of every centre that has a vault."""


def ask_all(acts: Mapping[str, Callable[[], T]], seconds: float = ANSWER_SECONDS) -> dict[str, T | TricenterError]:
    """Return what each act returned or which of our errors it raised, at the latest after `seconds`.

    An act that hangs is left to itself and counts as Unreachable: it may still do what it was asked for.
    """
    told: queue.SimpleQueue[tuple[str, T | BaseException]] = queue.SimpleQueue()

    def work(name: str, act: Callable[[], T]) -> None:
        try:
            told.put((name, act()))
        except BaseException as error:  # noqa: BLE001 - raised again by who asked
            told.put((name, error))

    for name, act in acts.items():
        # No pool: at the end of the program Python would wait for what hangs in one.
        threading.Thread(target=work, args=(name, act), name=f"register-{name}", daemon=True).start()
    found: dict[str, T | TricenterError] = {}
    end = time.monotonic() + seconds
    while len(found) < len(acts):
        try:
            name, result = told.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        if isinstance(result, BaseException) and not isinstance(result, TricenterError):
            raise result
        found[name] = result
    for name in acts.keys() - found.keys():
        found[name] = Unreachable(f"{name} does not answer within {seconds:.0f} s", hint="is the centre up?")
    return found


class Registers:
    """The registers of a site as one conversation. `silent` holds why a register is not asked any more."""

    def __init__(self, registers: Mapping[str, Register]) -> None:
        self.members = tuple(registers)
        self.silent: dict[str, TricenterError] = {}
        self._registers = dict(registers)

    def ask(self, acts: Mapping[str, Callable[[Register], T]], seconds: float = ANSWER_SECONDS) -> dict[str, T]:
        """Return what the registers answered that still do, at the latest after `seconds`."""
        asked = {
            name: _bound(act, self._registers[name])
            for name, act in acts.items()
            if name in self._registers and name not in self.silent
        }
        answers: dict[str, T] = {}
        for name, answer in ask_all(asked, seconds).items():
            if isinstance(answer, TricenterError):
                self.silent[name] = answer
            else:
                answers[name] = answer
        return answers

    def look(self) -> dict[str, Log]:
        """Return the whole logs of the registers that answer."""
        return self.ask(dict.fromkeys(self.members, Register.read))

    def drive(self, steps: Generator[Question, Answer, T]) -> T:
        """Take the steps of a protocol to their end, and return what they return."""
        try:
            question = next(steps)
            while True:
                question = steps.send(self._answer(question))
        except StopIteration as end:
            result: T = end.value
            return result

    def _answer(self, question: Question) -> Answer:
        if isinstance(question, Look):
            return self.look()
        return self.ask({name: _adding(question, name) for name in question.entries})


def consistent(act: Callable[[], T]) -> T:
    """Return what `act` returns. Raises CheckFailed where it finds that registers contradict each other."""
    try:
        return act()
    except Inconsistent as error:
        raise CheckFailed(
            f"the registers hold what cannot be: {error}",
            hint="tricenter epoch show; somebody wrote into a register by other means, or two sites share a bucket",
        ) from error


def _adding(question: Append, name: str) -> Callable[[Register], Appended]:
    upon, entry = question.entries[name]
    return lambda register: register.append(upon, entry)


def _bound(act: Callable[[Register], T], register: Register) -> Callable[[], T]:
    return lambda: act(register)
