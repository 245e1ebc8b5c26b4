"""Many small looks side by side, each with a deadline: what does not answer costs seconds, and holds nothing back.

A thread cannot be stopped from outside. One that overstays is given up and left behind: its children are stopped, its
requests have deadlines of their own, and nothing that it finds later counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from drills.deadline import DeadlinePassed, stop_after
from orchestrator.errors import TricenterError
from orchestrator.process import Leash, current_leash, leashed
from policies.readiness import Item, Verdict
from policies.values import format_duration

#: How long one look may take, and the first ones, that ask whether a centre's service answers at all.
ITEM_SECONDS = 30.0
GATE_SECONDS = 6.0
#: How many look at once.
WORKERS = 6


class Answer(NamedTuple):
    """What a look found."""

    verdict: Verdict
    zh: str
    en: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One look. What it raises is its failure. `needs` names the gate without which there is nothing to look at."""

    name: str
    subject: str
    act: Callable[[], Answer]
    needs: str | None = None


def look_at(gates: Mapping[str, Check], checks: Sequence[Check]) -> list[Item]:
    """Return what all looks found, the gates first, in their order. Raises only what stops the run itself."""
    names = list(gates)
    opened = dict(zip(names, _side_by_side([gates[name] for name in names], GATE_SECONDS), strict=True))
    shut = {name for name, item in opened.items() if item.verdict == "fail"}
    asked = [each for each in checks if each.needs not in shut]
    found = iter(_side_by_side(asked, ITEM_SECONDS))
    return [*opened.values(), *(_behind(each) if each.needs in shut else next(found) for each in checks)]


def _behind(check: Check) -> Item:
    zh, en = f"未检查：{check.needs} 不应答", f"not looked at: {check.needs} does not answer"
    return Item(check.name, check.subject, "fail", zh, en, "mend that first, then look again")


def _side_by_side(checks: Sequence[Check], seconds: float) -> list[Item]:
    if not checks:
        return []
    looks = [_Look(each, seconds, current_leash()) for each in checks]
    waiting, running = list(looks), list[_Look]()
    while waiting or running:
        while waiting and len(running) < WORKERS:
            running.append(waiting.pop(0).begin())
        running[0].ended.wait(0.05)
        if (leash := current_leash()) is not None:
            leash.check()
        running = [each for each in running if not each.is_over()]
    return [each.item() for each in looks]


class _Look:
    """One look in a thread of its own."""

    def __init__(self, check: Check, seconds: float, leash: Leash | None) -> None:
        self.check, self.seconds, self.ended = check, seconds, threading.Event()
        self._leash = leash
        self._given_up = False
        self._began = self._took = 0.0
        self._answer: Answer | None = None

    def begin(self) -> _Look:
        self._began = time.monotonic()
        threading.Thread(target=self._act, name=f"look-{self.check.name}", daemon=True).start()
        return self

    def is_over(self) -> bool:
        """Return whether it ended, or is given up: a second is left for stopping children."""
        self._given_up = self._given_up or (
            not self.ended.is_set() and time.monotonic() > self._began + self.seconds + 1
        )
        return self._given_up or self.ended.is_set()

    def item(self) -> Item:
        if self._answer is None or self._given_up:
            return Item(self.check.name, self.check.subject, *_late(self.seconds), seconds=self.seconds)
        return Item(self.check.name, self.check.subject, *self._answer, seconds=round(self._took, 3))

    def _act(self) -> None:
        try:
            with leashed(Leash(self._leash)), stop_after(self.seconds):
                answer = self.check.act()
        except DeadlinePassed:
            answer = _late(self.seconds)
        except TricenterError as error:
            answer = Answer("fail", f"{error}", f"{error}", error.hint)
        except Exception as error:  # noqa: BLE001  # in a thread nobody would hear of it
            told = f"{type(error).__name__}: {error}"
            answer = Answer("fail", told, told, "run it again with --debug")
        self._took = time.monotonic() - self._began
        self._answer = answer
        self.ended.set()


def _late(seconds: float) -> Answer:
    length = format_duration(seconds)
    zh, en = f"{length} 内无应答", f"no answer within {length}"
    return Answer("fail", zh, en, "is the service up, and the way to it open?")
