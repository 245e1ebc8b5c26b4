"""Is a plan ready to be run at a centre? What a look at it found, item by item, and what to do next. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was looked at. `subject` is the system, tenant or centre that it is about; `hint` what to do."""

    name: str
    subject: str
    verdict: Verdict
    zh: str
    en: str
    hint: str = ""
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Item:
        return cls(**value)


@dataclass(frozen=True, slots=True)
class Readiness:
    """What was found of one plan, for one kind of run at one centre. `seconds` is how long the look took."""

    plan: str
    centre: str
    kind: str
    items: tuple[Item, ...]
    seconds: float

    @property
    def failed(self) -> int:
        return sum(each.verdict == "fail" for each in self.items)

    @property
    def warned(self) -> int:
        return sum(each.verdict == "warn" for each in self.items)

    @property
    def ready(self) -> bool:
        """Whether nothing stands in the way. Warnings do not."""
        return not self.failed

    def as_json(self) -> dict[str, Any]:
        return {
            "plan": self.plan,
            "centre": self.centre,
            "kind": self.kind,
            "ready": self.ready,
            "failed": self.failed,
            "warned": self.warned,
            "seconds": round(self.seconds, 3),
            "items": [each.as_json() for each in self.items],
        }
