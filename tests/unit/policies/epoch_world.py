"""Registers in memory, and the steps of the protocol driven over them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from policies.epoch import Log, may_append, read
from policies.epoch_protocol import Appended, Ask, Look

AT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
SYSTEMS = ("bureau/registry", "bureau/notices")
BOTH = ("same-city", "provincial")
ALL = ("production", *BOTH)

numbers = itertools.count()


def ask(moves: Mapping[str, str], *, run: str = "run", forced: str = "", expected: int | None = None) -> Ask:
    return Ask(f"p{next(numbers)}", dict(moves), forced, "li@a", "wang@b", AT, run, expected)


@dataclass
class Registers:
    """The registers of a site in memory: they add what follows what the writer read, and nothing else."""

    members: tuple[str, ...]
    logs: dict[str, Log] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.logs = dict.fromkeys(self.members, ())

    def append(self, centre: str, upon: Log, entry: Any) -> Appended:
        if self.logs[centre] == upon and may_append(centre, upon, entry):
            self.logs[centre] = (*upon, entry)
            return Appended(self.logs[centre], done=True)
        return Appended(self.logs[centre], done=False)

    def drive(self, steps: Any, reach: tuple[str, ...] | None = None, stop_after: int = 99) -> Any:
        """Take the steps to their end with the registers in `reach`; None when the driver dies before it."""
        reach, answer = self.members if reach is None else reach, None
        for number in itertools.count():
            try:
                question = steps.send(answer)
            except StopIteration as end:
                return end.value
            if number == stop_after:
                return None
            if isinstance(question, Look):
                answer = {centre: self.logs[centre] for centre in reach}
            else:
                wanted = {centre: each for centre, each in question.entries.items() if centre in reach}
                answer = {centre: self.append(centre, *each) for centre, each in wanted.items()}
        raise AssertionError

    def read(self) -> Any:
        return read(self.members, self.logs)
