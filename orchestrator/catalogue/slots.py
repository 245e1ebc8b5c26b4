"""The slots of runs: what is taken of each centre, vault, cloud and tenant, and whether there is room for one more.

Counted and taken by one transaction at a time (`database.serialise`): two that count at once would both find room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from orchestrator.catalogue import tables as t
from policies.limits import Limits, lookup

MINUTE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Use:
    """How many runs hold each slot now, and how many claimed it within the last minute. Every limit is 1 or more."""

    held: Counter[str]
    claimed: Counter[str]

    def full(self, limits: Limits, *, anew: bool = True) -> set[str]:
        """Return the slots without room for one more run; not `anew` is a run that goes on after a wait."""
        return {slot for slot in self.held.keys() | self.claimed.keys() if self._is_full(slot, limits, anew)}

    def _is_full(self, slot: str, limits: Limits, anew: bool) -> bool:
        limit = lookup(limits, slot)
        return (limit.concurrent is not None and self.held[slot] >= limit.concurrent) or (
            anew and limit.per_minute is not None and self.claimed[slot] >= limit.per_minute
        )


def read_use(db: Connection, moment: datetime) -> Use:
    slot = select(t.run_slots.c.slot)
    held = db.execute(slot.where(t.run_slots.c.released_at.is_(None)))
    claimed = db.execute(slot.where(t.run_slots.c.claimed_at > moment - MINUTE))
    return Use(Counter(held.scalars()), Counter(claimed.scalars()))


def take(db: Connection, run_id: str, generation: int, slots: Iterable[str], moment: datetime) -> None:
    rows = [
        {"run_id": run_id, "generation": generation, "slot": slot, "claimed_at": moment}
        for slot in dict.fromkeys(slots)
    ]
    if rows:
        db.execute(insert(t.run_slots), rows)


def take_again(db: Connection, run_id: str, generation: int) -> None:
    """Hold again what this claim released when it began to wait. It counts as the claim that it was."""
    mine = (t.run_slots.c.run_id == run_id) & (t.run_slots.c.generation == generation)
    db.execute(update(t.run_slots).where(mine).values(released_at=None))


def release(db: Connection, run_ids: Iterable[str], moment: datetime) -> None:
    """Free whatever the runs hold. May be repeated."""
    held = t.run_slots.c.run_id.in_(list(run_ids)) & t.run_slots.c.released_at.is_(None)
    db.execute(update(t.run_slots).where(held).values(released_at=moment))
