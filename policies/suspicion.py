"""Which recovery points are not to be trusted as they are: emptied, shrunken, encrypted, or dated wrongly. Pure.

A suspect point is a point, and maybe all there is. But nothing good is let go for its sake, and nobody is recovered
from it unasked, until a person has looked at it and settled whether it is good or bad.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median
from typing import Any

from policies.tenant import source_of
from policies.tiers import SuspicionRule

#: Clocks of hosts differ by less than this; what differs by more was dated wrongly.
CLOCKS_DIFFER = timedelta(hours=1)

#: Of fewer files a share says nothing: one that is rewritten would be half of two.
FEWEST_FILES = 10

#: Of fewer bytes a share says nothing either: restic stores pieces of some MiB anew for a change anywhere in them.
FEWEST_BYTES = 64 << 20

#: From so many comparisons on it is known what is usual for a source.
LEARNED = 3

#: What always is the same varies by so much all the same: names, headers, an index.
LEAST_SPREAD = 0.02


class Standing(StrEnum):
    """What a recovery point is taken for."""

    GOOD = "good"
    SUSPECT = "suspect"
    BAD = "bad"


class Sign(StrEnum):
    """What makes a point suspect."""

    EMPTY = "empty"  # there was something, and now there is nothing
    SHRUNK = "shrunk"
    CHANGED = "changed"  # unusually many files were changed or are gone
    REWRITTEN = "rewritten"  # unusually many bytes are others than before
    CANARY = "canary"  # what nobody changes was changed, or is gone
    AHEAD = "ahead"  # dated in the future
    BACK_DATED = "back-dated"  # made last, and dated before what was there
    UNCOMPARED = "uncompared"  # the point to compare it with cannot be read


@dataclass(frozen=True, slots=True)
class Signal:
    """One reason to suspect a point; `source` is the one that it is about, None for the whole point."""

    sign: Sign
    detail: str
    source: str | None = None

    def __str__(self) -> str:
        return f"{self.sign}{f' {self.source}' if self.source else ''}: {self.detail}"

    def as_json(self) -> dict[str, Any]:
        return {"sign": str(self.sign), "source": self.source, "detail": self.detail}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Signal:
        return cls(Sign(value["sign"]), value["detail"], value["source"])


@dataclass(frozen=True, slots=True)
class Measures:
    """How large a source was in one point, and how much of it was other than in the point before; None: not known."""

    bytes: int
    files: int
    rows: int | None = None
    changed: float | None = None
    rewritten: float | None = None


@dataclass(frozen=True, slots=True)
class Dated:
    """When a point says that it was made."""

    id: str
    data_time: datetime
    finished_at: datetime


def measure_signals(source: str, now: Measures, before: Sequence[Measures], rule: SuspicionRule) -> Iterator[Signal]:
    """Yield what is suspicious about the size of a source, and about how much of it changed.

    `before` are its measures in good points. Without any nothing is suspicious: somebody has to be the first.
    """
    yield from _sizes(source, now, before, rule)
    changed = [each.changed for each in before if each.changed is not None]
    if now.changed is not None and now.changed > (limit := unusual_above(changed, rule)):
        detail = f"{now.changed:.0%} of the files were changed or are gone; suspect above {limit:.0%}"
        yield Signal(Sign.CHANGED, detail, source)
    rewritten = [each.rewritten for each in before if each.rewritten is not None]
    # Whole files are compared one by one. Bytes are only counted, so it must be known what is usual first.
    if now.rewritten is not None and len(rewritten) >= LEARNED:
        limit = unusual_above(rewritten, rule)
        if now.rewritten > limit:
            detail = f"{now.rewritten:.0%} of the bytes are others than before; suspect above {limit:.0%}"
            yield Signal(Sign.REWRITTEN, detail, source)


def _sizes(source: str, now: Measures, before: Sequence[Measures], rule: SuspicionRule) -> Iterator[Signal]:
    shrunk = []
    for unit in ("rows", "files", "bytes"):
        size = getattr(now, unit)
        past = [known for each in before if (known := getattr(each, unit)) is not None]
        usual = median(past) if past else 0
        if size is None or not usual:
            continue
        if size == 0:
            yield Signal(Sign.EMPTY, f"no {unit}; usually {usual:.0f}", source)
            return  # the other units tell the same
        if size < rule.shrunk_below * usual:
            shrunk.append(f"{size} {unit}, usually {usual:.0f}")
    if shrunk:
        yield Signal(Sign.SHRUNK, "; ".join(shrunk), source)


def unusual_above(shares: Sequence[float], rule: SuspicionRule) -> float:
    """Return the share above which a change is unusual: the rule's, or more where more is usual for the source."""
    if len(shares) < LEARNED:
        return rule.changed_above
    usual = median(shares)
    spread = max(median(abs(each - usual) for each in shares), LEAST_SPREAD)
    return max(rule.changed_above, usual + rule.deviations * spread)


def changed_share(before: Mapping[str, str | None], now: Mapping[str, str | None]) -> float | None:
    """Return the share of the files that were changed or are gone since; None where they are too few to tell.

    The values are digests. A file without one was changed while it was read: before, that says nothing of it.
    """
    settled = {path: digest for path, digest in before.items() if digest is not None}
    if len(settled) < FEWEST_FILES:
        return None
    return sum(now.get(path) != digest for path, digest in settled.items()) / len(settled)


def rewritten_share(added: int, size: int, before: int) -> float | None:
    """Return the share of the bytes of before that are others now: what was added, without what only grew."""
    return min(max(added - max(size - before, 0), 0) / before, 1.0) if before >= FEWEST_BYTES else None


def canary_signals(
    source: str, canaries: Iterable[str], before: Mapping[str, str | None] | None, now: Mapping[str, str | None]
) -> Iterator[Signal]:
    """Yield which canaries are gone, or are not as they were. `before` is None when there is no point before."""
    for each in canaries:
        if each not in now:
            yield Signal(Sign.CANARY, f"{each} is not there", source)
        elif before is not None and each in before and before[each] != now[each]:
            yield Signal(Sign.CANARY, f"{each} was changed", source)


def changed_volumes(before: Collection[str], now: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which volumes of servers came and which went between two points, by the names of the points' copies.

    A server that one of them does not hold at all is a change of the site, and not of the server.
    """
    both = set(before) & set(now)
    came = tuple(each for each in now if each not in both and source_of(each) in both)
    return came, tuple(each for each in before if each not in both and source_of(each) in both)


def lost_volume_signals(before: Collection[str], now: Collection[str]) -> Iterator[Signal]:
    """Yield the volumes that servers have no more. Whoever took one off says so; else it would be let go in silence."""
    for each in changed_volumes(before, now)[1]:
        yield Signal(Sign.EMPTY, "the newest good point holds this volume, and the server has it no more", each)


def date_signals(data_time: datetime, vault_time: datetime, newest: datetime | None) -> Iterator[Signal]:
    """Yield what is wrong with the date of a point that was just made.

    `vault_time` is when the vault took it, by the vault's own clock; `newest` the data time of the newest good point.
    """
    if data_time > vault_time + CLOCKS_DIFFER:
        yield Signal(Sign.AHEAD, f"dated {_at(data_time)}, when the vault's clock said {_at(vault_time)}")
    if newest is not None and data_time < newest - CLOCKS_DIFFER:
        yield Signal(Sign.BACK_DATED, f"dated {_at(data_time)}, before the newest good point of {_at(newest)}")


def dated_wrongly(points: Sequence[Dated], now: datetime) -> dict[str, Signal]:
    """Return which points have dates that cannot be: in the future, or made last and dated before another.

    This finds also points that were made by a program which did not look at the vault's clock.
    """
    ahead = {
        each.id: Signal(Sign.AHEAD, f"dated {_at(each.data_time)}, which is in the future")
        for each in points
        if each.data_time > now + CLOCKS_DIFFER
    }
    others = [each for each in points if each.id not in ahead]
    if not others:
        return ahead
    newest = max(others, key=lambda each: each.data_time)
    last = max(others, key=lambda each: each.finished_at)
    if last.data_time >= newest.data_time - CLOCKS_DIFFER:
        return ahead
    detail = f"made last, and dated {_at(last.data_time)}, before {newest.id} of {_at(newest.data_time)}"
    return ahead | {last.id: Signal(Sign.BACK_DATED, detail)}


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M %Z}"
