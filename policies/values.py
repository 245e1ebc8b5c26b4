"""The small values that site files are written in: names, durations, secrets by reference, texts in two languages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

NAME_PATTERN = r"^[a-z][a-z0-9-]{0,38}[a-z0-9]$"
#: Long enough for a tenant's name, a hyphen and a system's name.
LONG_NAME_PATTERN = r"^[a-z][a-z0-9-]{0,79}[a-z0-9]$"
ENDPOINT_PATTERN = r"^https?://[^/\s@]+$"
SECRET_PATTERN = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"  # noqa: S105 - the form of a reference, not a secret
DURATION_PATTERN = r"^\s*([0-9]+\s*[smhdw]\s*)+$"

_LONGEST = timedelta(days=36500)
_DURATION = re.compile(r"([0-9]+)\s*([smhdw])")
DURATION_WANTED = "a length of time such as 90s, 15m, 4h, 1d12h or 2w"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Model(BaseModel):
    """Base of everything in a site: values that never change and no key that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Misfit:
    """Values that are right one by one and wrong together: where (below the model), what stands there, what fits."""

    at: tuple[str | int, ...]
    got: str
    want: str
    hint: str = ""


class MisfitError(ValueError):
    """What a model raises when its values do not fit together: every misfit at once."""

    def __init__(self, misfits: Iterable[Misfit]) -> None:
        self.misfits = tuple(misfits)
        super().__init__("; ".join(f"{'.'.join(map(str, each.at))}: want {each.want}" for each in self.misfits))


def parse_duration(text: Any) -> timedelta:
    """Return the length of time that `text` names: 90s, 15m, 4h, 1d12h, 2w. Raises ValueError."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"want {DURATION_WANTED}")
    seconds = sum(int(count) * _UNITS[unit] for count, unit in _DURATION.findall(text))
    if seconds > _LONGEST.total_seconds():
        raise ValueError("want a length of time of a hundred years at most")
    return timedelta(seconds=seconds)


def format_size(count: float) -> str:
    """Return a number of bytes as a person reads it: 1.2 GiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


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


def _no_flag(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("want a number, not true or false")  # noqa: TRY004 - pydantic hears ValueError only
    return value


_DURATION_SCHEMA = WithJsonSchema(
    {"type": "string", "pattern": DURATION_PATTERN, "description": DURATION_WANTED, "examples": ["15m", "1d12h"]}
)

#: A length of time; `0s` is allowed.
Duration = Annotated[timedelta, BeforeValidator(parse_duration), _DURATION_SCHEMA]

#: A length of time that is longer than nothing.
Span = Annotated[timedelta, Field(gt=timedelta(0)), BeforeValidator(parse_duration), _DURATION_SCHEMA]

#: A whole number. YAML's `true` is none, although Python takes it for 1.
Whole = Annotated[int, BeforeValidator(_no_flag)]

#: Names travel into buckets, projects, metrics and file names, so they keep to what all of those accept.
Name = Annotated[str, Field(pattern=NAME_PATTERN, description="lower case, digits and hyphens")]

#: The name of a plan, which may be made of a tenant's and a system's.
LongName = Annotated[str, Field(pattern=LONG_NAME_PATTERN, description="lower case, digits and hyphens")]

#: A secret is named, never written: an environment variable or a file that only its owner can read.
SecretRef = Annotated[str, Field(pattern=SECRET_PATTERN, description="env:NAME or file:PATH")]

#: Text that says something.
Words = Annotated[str, Field(min_length=1)]


class Text(Model):
    """A title in Chinese and English."""

    zh: Words
    en: Words

    def __str__(self) -> str:
        return f"{self.zh} {self.en}"
