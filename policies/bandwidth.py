"""How fast the way to a vault may be used: rates by the time of day, and the arithmetic that keeps to them.

No clock: every moment is handed in. Outside all windows, and where a window gives no rate, nothing is held back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from itertools import combinations
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from policies.values import Misfit, MisfitError, Model, format_size
from policies.windows import DAY, NEVER

RATE_PATTERN = r"^\s*[0-9]+(\.[0-9]+)?\s*(KiB|MiB|GiB)/s\s*$"
RATE_WANTED = "a rate such as 800KiB/s, 20MiB/s or 1.5GiB/s"
BEGIN_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
END_PATTERN = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
KIB = 1024
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(KiB|MiB|GiB)")
_UNITS = {"KiB": KIB, "MiB": KIB**2, "GiB": KIB**3}

#: Below this restic, which sends several packs of 16 MiB at a time, would seem to stand still and be stopped.
LEAST_RATE = 512 * KIB
#: So much may go at once after a rest. Small against any rate, so that no line notices it.
BURST_BYTES = 256 * KIB


def parse_rate(text: Any) -> int:
    """Return the bytes per second that `text` names: 20MiB/s. Raises ValueError."""
    if not isinstance(text, str) or not re.fullmatch(RATE_PATTERN, text):
        raise ValueError(f"want {RATE_WANTED}")
    ((count, unit),) = _RATE.findall(text)
    rate = int(float(count) * _UNITS[unit])
    if rate < LEAST_RATE:
        raise ValueError("want 512KiB/s at least")
    return rate


#: Bytes per second.
Rate = Annotated[
    int,
    BeforeValidator(parse_rate),
    WithJsonSchema({"type": "string", "pattern": RATE_PATTERN, "description": RATE_WANTED, "examples": ["20MiB/s"]}),
]


class BandwidthWindow(Model):
    """A time of the day, and how fast a vault may be written to and read from in it."""

    begin: Annotated[str, Field(pattern=BEGIN_PATTERN)] = Field(alias="from", description="08:00, in the site's time")
    end: Annotated[str, Field(pattern=END_PATTERN)] = Field(alias="to", description="20:00; before from: over midnight")
    upload: Rate | None = Field(None, description="to the vault, 20MiB/s; not limited when not given")
    download: Rate | None = Field(None, description="from the vault; not limited when not given")

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        misfits = []
        if self.begin == self.end:
            hint = "00:00 to 24:00 is the whole day"
            misfits.append(Misfit(("to",), self.end, f"another time than {self.begin}, the from beside it", hint))
        if self.upload is None and self.download is None:
            misfits.append(Misfit(("upload",), "nothing", "upload, download or both: a window limits something"))
        if misfits:
            raise MisfitError(misfits)
        return self

    def spans(self) -> Iterator[tuple[timedelta, timedelta]]:
        """Yield the stretches of one day that the window covers, as time since midnight: two when it goes over it."""
        begin, end = _since_midnight(self.begin), _since_midnight(self.end)
        if begin < end:
            yield begin, end
        else:
            yield begin, DAY
            if end > NEVER:
                yield NEVER, end

    def __str__(self) -> str:
        return f"{self.begin}-{self.end}"


@dataclass(frozen=True, slots=True)
class Rates:
    """Bytes per second to and from a vault. None: as fast as it goes."""

    upload: int | None = None
    download: int | None = None

    def __str__(self) -> str:
        told = {"upload": self.upload, "download": self.download}
        return ", ".join(f"{name} {format_size(rate)}/s" for name, rate in told.items() if rate) or "unlimited"


UNLIMITED = Rates()


def rates_at(windows: Sequence[BandwidthWindow], at: datetime, local: tzinfo) -> Rates:
    """Return the rates that hold at a moment. Pure."""
    clock = at.astimezone(local)
    since = timedelta(hours=clock.hour, minutes=clock.minute, seconds=clock.second, microseconds=clock.microsecond)
    for each in windows:
        if any(begin <= since < end for begin, end in each.spans()):
            return Rates(each.upload, each.download)
    return UNLIMITED


def overlap_misfits(windows: Sequence[BandwidthWindow]) -> Iterator[Misfit]:
    """Yield every window that covers a time which an earlier one covers as well. Pure."""
    for (_, first), (number, second) in combinations(enumerate(windows), 2):
        if any(a < d and c < b for a, b in first.spans() for c, d in second.spans()):
            yield Misfit(("bandwidth", number, "from"), str(second), f"windows apart: {first} covers part of it")


@dataclass(frozen=True, slots=True)
class Meter:
    """How many bytes may have gone by a moment, and how many have asked to: a token bucket as a value.

    Who wants to send reserves first, and sends when what was reserved up to and with its own part is through. So
    those that wait keep their order, and a rate that changes meanwhile counts from when it does. What is not used is
    not saved up: after a rest no more than `BURST_BYTES` go at once.
    """

    at: float
    reserved: float = 0.0
    through: float = 0.0

    def moved(self, now: float, rate: int | None) -> Meter:
        """Return the meter as it is at `now`, seconds of a clock that never goes back, at a rate since it was read."""
        if rate is None:
            return replace(self, at=now, through=self.reserved)
        return replace(self, at=now, through=min(self.reserved, self.through + rate * (now - self.at)))

    def reserve(self, size_bytes: int) -> Meter:
        """Return the meter after somebody asked for so many bytes more; its `reserved` is their ticket."""
        return replace(self, reserved=self.reserved + size_bytes)

    def wait(self, ticket: float, rate: int | None) -> float:
        """Return how many seconds the holder of a ticket has to wait at this rate, 0 when it may go."""
        left = ticket - BURST_BYTES - self.through
        return max(0.0, left / rate) if rate is not None else 0.0


def _since_midnight(text: str) -> timedelta:
    return timedelta(hours=int(text[:2]), minutes=int(text[3:]))
