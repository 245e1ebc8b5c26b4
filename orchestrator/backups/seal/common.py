"""What seals of every kind have in common: what a seal did, as it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Sealed:
    """A source that no client can write to any more, at the centre where it stands.

    `name` is what it is called while it is sealed: of a database another one than its clients know. `at` is when the
    last writer was gone: what was acknowledged to a client before is in it. `facts` say how it was then.
    """

    source: str
    kind: str
    place: str
    name: str
    at: datetime
    detail: str
    facts: Mapping[str, Any] = field(default_factory=dict)
