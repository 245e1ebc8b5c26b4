"""The rolling read of a vault: which part is read next, so that no byte stays unread for longer than promised. Pure.

Objects are named by the hash of their content, so their names are spread evenly, and a *slice* is what begins with
the same hexadecimal digits. Remembered is only when each slice was last read, never a single object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product

HEX = "0123456789abcdef"

#: The share of the promised time after which a slice has its turn again. The rest is for runs that come late or fail.
TURNS_EACH = 0.75
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Up to this size 16 slices are enough for each to be read in one go; above, there are 256.
FINE_FROM_BYTES = 16 * 1024**3


@dataclass(frozen=True, slots=True)
class Slice:
    """The objects whose names begin with `prefix`: when the oldest was uploaded, and when all were last read."""

    prefix: str
    objects: int
    size_bytes: int
    oldest: datetime
    read_at: datetime | None

    @property
    def unread_since(self) -> datetime:
        """The moment since which no byte of the slice has gone unread for longer."""
        return max(self.oldest, self.read_at) if self.read_at else self.oldest


def slice_names(digits: int) -> tuple[str, ...]:
    """Return the prefixes of all slices of so many digits, in order."""
    return tuple("".join(each) for each in product(HEX, repeat=digits))


def digits_for(size_bytes: int) -> int:
    """Return how many digits the slices of a repository of this size have."""
    return 1 if size_bytes < FINE_FROM_BYTES else 2


def regroup(read_at: Mapping[str, datetime], digits: int) -> dict[str, datetime]:
    """Return when each slice of so many digits was read, from a memory of coarser or finer slices.

    A slice that was read only in part was not read: it is not in the result.
    """
    result: dict[str, datetime] = {}
    for name in slice_names(digits):
        whole = next((read_at[name[:size]] for size in range(len(name), -1, -1) if name[:size] in read_at), None)
        if whole is None:
            parts = [read_at.get(name + digit) for digit in HEX]
            known = [each for each in parts if each is not None]
            whole = min(known) if len(known) == len(parts) else None
        if whole is not None:
            result[name] = whole
    return result


def choose_slices(
    slices: Iterable[Slice], now: datetime, within: timedelta, last_run: datetime | None
) -> tuple[Slice, ...]:
    """Return the slices to read now, the longest unread first, so that every byte is read once `within` that time.

    A slice has its turn each three quarters of that time, at a phase of its own: so runs that come often read about
    as much each, also after all slices were read at once. What was never read is read now; and so is what would be
    late by the run after the next one, should they come as often as until now: one of them may fail.

    `last_run` is the last that came to its end; None when none did. What one that was killed has read counts.
    """
    waiting = sorted((each for each in slices if each.objects), key=lambda each: (each.unread_since, each.prefix))
    last = last_run or max((each.read_at for each in waiting if each.read_at), default=None)
    every = within if last is None else max(now - last, timedelta(0))
    return tuple(
        each
        for each in waiting
        if each.read_at is None
        or _last_turn(each.prefix, within * TURNS_EACH, now) > each.read_at
        or now - each.unread_since + 2 * every >= within
    )


def _last_turn(prefix: str, interval: timedelta, now: datetime) -> datetime:
    """Return the last moment up to `now` at which this slice had its turn."""
    phase = interval * (int(prefix or "0", 16) / float(16 ** len(prefix)))
    return now - (now - EPOCH - phase) % interval
