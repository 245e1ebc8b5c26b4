"""Spot checks: is what was backed up what stands there? The rule of a tier, and the judgement of what was compared.

A verification of a vault cannot find that the wrong folder is backed up, that a pattern leaves too much out, or that a
mount was empty: the point is whole, and holds the wrong thing. So the newest point is compared with the live source.
What changed since its data time is no fault: it is counted. Pure.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from policies.values import Model

SHARE_PATTERN = r"^[0-9]{1,3}(\.[0-9]+)?\s*%$"
#: Of a small source so many files are read at least: 5% of ten would be none.
SAMPLE_LEAST = 20


def parse_share(value: Any) -> float:
    """Return the share, 0 to 1, that `5%` names. Raises ValueError."""
    if isinstance(value, float) and 0 <= value <= 1:
        return value
    if not isinstance(value, str) or not re.fullmatch(SHARE_PATTERN, value.strip()):
        raise ValueError("want a share such as 5% or 0.5%")
    share = float(value.strip().rstrip("% ")) / 100
    if share > 1:
        raise ValueError("want a share of 100% at most")
    return share


#: A share of a whole, written in percent.
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    WithJsonSchema({"type": "string", "pattern": SHARE_PATTERN, "examples": ["5%", "0.5%"]}),
]


class SpotCheckRule(Model):
    """How much a spot check reads, and how much may differ although nothing changed since the point."""

    sample: Share = Field(0.05, description="share of the files that is read and compared, and 20 of them at least")
    count: Share = Field(0.02, description="share of files or rows that may be missing on either side")
    content: Share = Field(0.01, description="share of the files that were read whose content may differ")


@dataclass(frozen=True, slots=True)
class Compared:
    """One source as it stands, held against the newest point. `faults` are out of tolerance; none says that it holds.

    `expected` files, tables or volumes are in the point and `there` are live, of which `sampled` were read. `changed`
    ones changed since the point's data time: of those nothing is asked.
    """

    source: str
    kind: str
    expected: int
    there: int
    sampled: int
    changed: int
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Live:
    """A file as it stands: its size, and whether it changed since the point."""

    size: int
    changed: bool


def choose_sample(names: Collection[str], share: float, seed: str) -> list[str]:
    """Return which of the names are read: the same ones for the same seed."""
    ordered = sorted(names)
    count = min(len(ordered), max(math.ceil(len(ordered) * share), SAMPLE_LEAST))
    return sorted(random.Random(seed).sample(ordered, count))  # noqa: S311 - nobody gains by guessing it


def judge_files(
    source: str, kind: str, point: Mapping[str, int], live: Mapping[str, Live], differing: Collection[str],
    sampled: int, rule: SpotCheckRule,
) -> Compared:  # fmt: skip
    """Return how a folder tree compares with its point: `point` has the sizes of the files there.

    `differing` are the sampled ones of another content.
    """
    gone = sorted(point.keys() - live.keys())
    unknown = sorted(name for name in live.keys() - point.keys() if not live[name].changed)
    faults = []
    if len(gone) > rule.count * len(point):
        faults.append(f"{len(gone)} of {len(point)} files of the point are not there: {_some(gone)}")
    if len(unknown) > rule.count * len(live):
        faults.append(f"{len(unknown)} of {len(live)} files stood there before and are not in it: {_some(unknown)}")
    if len(differing) > rule.content * sampled:
        faults.append(f"{len(differing)} of {sampled} files that did not change differ: {_some(sorted(differing))}")
    if not point:
        faults.append("the point holds no file at all")
    changed = sum(each.changed for each in live.values())
    return Compared(source, kind, len(point), len(live), sampled, changed, tuple(faults))


def judge_tables(
    source: str, kind: str, point: Mapping[str, int], live: Mapping[str, int], rule: SpotCheckRule
) -> Compared:
    """Return how a database compares with its point, by the rows of each table. What was added since is counted."""
    gone = sorted(point.keys() - live.keys())
    faults = [f"{len(gone)} tables of the point are not there: {_some(gone)}"] if gone else []
    for table in sorted(point.keys() & live.keys()):
        if point[table] - live[table] > rule.count * point[table]:
            faults.append(f"{table} has {live[table]} rows, and {point[table]} in the point")
    if not point and live:
        faults.append("the point holds no table at all")
    changed = sum(live[table] != rows for table, rows in point.items() if table in live)
    both = len(point.keys() & live.keys())
    return Compared(source, kind, len(point), len(live), both, changed, tuple(faults))


def judge_volume(source: str, kind: str, point: int, live: int) -> Compared:
    """Return how a volume compares with its point, by its size."""
    faults = () if point == live else (f"the volume has {live} bytes, and {point} in the point",)
    return Compared(source, kind, 1, 1, 1, 0, faults)


def judge_server(source: str, kind: str, point: Mapping[str, int], live: Mapping[str, int]) -> Compared:
    """Return how a server compares with its point, by its volumes' sizes. One attached since is a change, no fault."""
    gone = sorted(point.keys() - live.keys())
    faults = [f"{len(gone)} volumes of the point are not there: {_some(gone)}"] if gone else []
    for device in sorted(point.keys() & live.keys()):
        if point[device] != live[device]:
            faults.append(f"the volume {device} has {live[device]} bytes, and {point[device]} in the point")
    both = len(point.keys() & live.keys())
    return Compared(source, kind, len(point), len(live), both, len(live.keys() - point.keys()), tuple(faults))


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
