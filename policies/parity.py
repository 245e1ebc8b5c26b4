"""Parity: how much of what a tenant needs at a centre is there, as it must be, so that it can be taken over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: What a taken-over system cannot run without weighs more than who may look at it. Nouns that are not named weigh 2.
WEIGHTS = {
    **dict.fromkeys(("domain", "project", "network", "subnet", "application credential", "bucket"), 4),
    **dict.fromkeys(("user", "group", "membership", "role"), 1),
}
OTHER = 2


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is wanted. `reason` says what is wrong with it, "" for nothing."""

    noun: str
    name: str
    reason: str = ""

    @property
    def weight(self) -> int:
        return WEIGHTS.get(self.noun, OTHER)


@dataclass(frozen=True, slots=True)
class Parity:
    """The share by weight of what is there as it must be, from 0 to 1, and why it is not 1."""

    ratio: float
    reasons: tuple[str, ...]


def parity_of(parts: Iterable[Part]) -> Parity:
    """Return the parity of all parts; that of nothing is 1. Pure. The heaviest reasons come first."""
    wanted = list(parts)
    wrong = sorted((each for each in wanted if each.reason), key=lambda each: (-each.weight, each.noun, each.name))
    whole = sum(each.weight for each in wanted)
    ratio = 1 - sum(each.weight for each in wrong) / whole if whole else 1.0
    return Parity(ratio, tuple(each.reason for each in wrong))
