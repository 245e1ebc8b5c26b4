"""What a replication copies, and in which order. Pure.

The order is what keeps every centre whole at every moment. Referrers are listed first and published last: a snapshot
that is seen has its index entries seen, and those their packs; and at the target a pack is there before the index
that names it, and both before the snapshot. When a target joins, keys come before `config`: without `config` there is
no repository, so its arrival is what makes the joining final, and a run killed before it joins again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from orchestrator.vault.s3 import Entry

Part = Literal["keys", "config", "data", "index", "snapshots"]

#: Referrers first. `locks` is no part: a lock concerns the processes at one centre.
LISTING_ORDER: tuple[Part, ...] = ("snapshots", "index", "data", "keys", "config")
COPYING_ORDER: tuple[Part, ...] = ("keys", "config", "data", "index", "snapshots")

_ID = "([0-9a-f]{64})"
_SHAPES: dict[Part, re.Pattern[str]] = {
    "keys": re.compile(f"keys/{_ID}"),
    "config": re.compile("(config)"),
    "data": re.compile(f"data/[0-9a-f]{{2}}/{_ID}"),
    "index": re.compile(f"index/{_ID}"),
    "snapshots": re.compile(f"snapshots/{_ID}"),
}


@dataclass(frozen=True, slots=True)
class Phase:
    """Objects that may be copied in any order among themselves, after all of the phases before."""

    part: Part
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """The phases of a replication. `present` counts the source's objects that the target has already."""

    phases: tuple[Phase, ...]
    present: int

    @property
    def objects(self) -> int:
        return sum(len(phase.entries) for phase in self.phases)

    @property
    def size_bytes(self) -> int:
        return sum(entry.size_bytes for phase in self.phases for entry in phase.entries)


def part_of(key: str) -> Part | None:
    """Return which part of a repository `key` (relative to its prefix) is; None when it is not replicated."""
    return next((part for part, shape in _SHAPES.items() if shape.fullmatch(key)), None)


def plan_copy(source: Iterable[Entry], target: Iterable[Entry], *, joining: bool) -> CopyPlan:
    """Return what to copy so that `target` holds all that `source` does; keys are relative to the prefix.

    An object of the same key and size is there: content cannot differ under a name that is its hash unless it was
    damaged, which is the scrub's to find. One of another size is written again. `keys` and `config` travel only when
    the target is `joining`: later each centre has passwords of its own.
    """
    there = {entry.key: entry.size_bytes for entry in target}
    wanted: dict[Part, list[Entry]] = {part: [] for part in COPYING_ORDER}
    present = 0
    for entry in source:
        part = part_of(entry.key)
        if part is None or (part in ("keys", "config") and not joining):
            continue
        if there.get(entry.key) == entry.size_bytes:
            present += 1
        else:
            wanted[part].append(entry)
    # The largest first: at the end of a phase no thread is left alone with a big one.
    phases = (
        Phase(part, tuple(sorted(wanted[part], key=lambda entry: (-entry.size_bytes, entry.key))))
        for part in COPYING_ORDER
    )
    return CopyPlan(tuple(phase for phase in phases if phase.entries), present)
