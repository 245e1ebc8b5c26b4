"""The small values that site files are written in: names, durations, secrets by reference, texts in two languages."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_DURATION = re.compile(r"(\d+)\s*(s|m|h|d|w)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Model(BaseModel):
    """Base of everything in a site: values that never change and no key that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse_duration(text: Any) -> timedelta:
    """Return the length of time that `text` names: 90s, 15m, 4h, 1d12h, 2w. Raises ValueError."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not (parts := _DURATION.findall(text)):
        raise ValueError("want a length of time such as 90s, 15m, 4h, 1d12h or 2w")
    if _DURATION.sub("", text).strip():
        raise ValueError("want a length of time such as 90s, 15m, 4h, 1d12h or 2w")
    return timedelta(seconds=sum(int(count) * _UNITS[unit] for count, unit in parts))


def format_duration(seconds: float) -> str:
    """Return `seconds` as a person reads it, two units at most: 42s, 3m05s, 4h, 2d06h."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f}s" if 0 < seconds < 10 else f"{whole}s"
    for size, unit, lower, lower_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            rest = whole % size // lower
            return f"{whole // size}{unit}{rest:02d}{lower_unit}" if rest else f"{whole // size}{unit}"
    raise AssertionError("unreachable: whole >= 60")


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]

#: Names travel into buckets, projects, metrics and file names, so they keep to what all of those accept.
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,38}[a-z0-9]$", description="lower case, digits and hyphens")]

#: A secret is named, never written: an environment variable or a file that only its owner can read.
SecretRef = Annotated[
    str, Field(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$", description="env:NAME or file:PATH")
]


class Text(Model):
    """A title in Chinese and English."""

    zh: str
    en: str

    def __str__(self) -> str:
        return f"{self.zh} {self.en}"
