"""What a metric is: its name, kind, labels and help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: The labels of what holds of a system at a centre.
SYSTEM = ("tenant", "system", "tier", "centre")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `always` says that its series exist for every system and centre from the start."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    help: str
    zh: str
    always: bool = True
