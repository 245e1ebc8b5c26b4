"""The text of a view as scrapes are answered with it: written once, packed once, sent as often as it is asked for.

A large city has a million series. To write them takes seconds, many times what it takes to send them. What changes
from one view to the next is no small part of them, for exposures grow with the clock; so a view is always written
whole, and never for a scrape. It is kept packed, a twentieth of the text. A scrape adds to it what is of its own
moment, and whoever wants the text unpacked, or some metrics of it, gets it from there.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from exporters import metrics as m
from exporters.metric import SYSTEM, Metric
from exporters.view import Sample, empty_family

#: Level 1 takes half the time of level 5, and what is sent is an eighth larger.
LEVEL = 1
#: How a gzip stream begins that says nothing of a file, and the block that ends it.
GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
END = b"\x03\x00"
EOF = b"# EOF\n"
FAMILY = b"# HELP "

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@dataclass(slots=True)
class Stream:
    """A text in deflated parts, each up to a byte's border, so that they may stand after each other."""

    parts: list[bytes] = field(default_factory=list)
    crc: int = 0
    size: int = 0

    def add(self, text: bytes, deflated: bytes) -> None:
        self.parts.append(deflated)
        self.crc, self.size = zlib.crc32(text, self.crc), self.size + len(text)

    def followed_by(self, text: bytes) -> Stream:
        """Return another stream, which has this text at its end."""
        made = Stream([*self.parts], self.crc, self.size)
        made.add(text, deflate(text))
        return made

    def gzip(self) -> bytes:
        return b"".join((GZIP_HEAD, *self.parts, END, struct.pack("<II", self.crc, self.size & 0xFFFFFFFF)))

    def text(self) -> bytes:
        return zlib.decompress(b"".join((*self.parts, END)), -zlib.MAX_WBITS)


@dataclass(frozen=True, slots=True)
class Exposition:
    """The samples of one view in both formats. Nothing of it changes any more."""

    plain: Stream = field(default_factory=Stream)
    openmetrics: Stream = field(default_factory=Stream)

    def answer(self, live: Sequence[Family], *, openmetrics: bool) -> Stream:
        """Return the text in a format, with the families that are of the moment of the scrape at its end."""
        written = self.openmetrics if openmetrics else self.plain
        return written.followed_by(_by_the_client(live, openmetrics=openmetrics))


def write(samples: Iterable[Sample]) -> Exposition:
    """Return the exposition of samples, the metrics in the order of their list, the samples as they come."""
    made = Exposition()
    for metric, text in _texts(samples):
        deflated = deflate(text)
        for written, openmetrics in ((made.plain, False), (made.openmetrics, True)):
            head = _head(metric, openmetrics=openmetrics)
            written.add(head, deflate(head))
            written.add(text, deflated)
    return made


def only(text: bytes, names: Collection[str]) -> bytes:
    """Return of a text the families of these names, which are those of metrics or of their samples."""
    families = text.removesuffix(EOF).removeprefix(FAMILY).split(b"\n" + FAMILY)
    wanted = {each.encode() for each in names} | {each.removesuffix("_total").encode() for each in names}
    kept = [FAMILY + each.rstrip(b"\n") + b"\n" for each in families if each.partition(b" ")[0] in wanted]
    return b"".join((*kept, EOF if text.endswith(EOF) else b""))


def deflate(text: bytes) -> bytes:
    made = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return made.compress(text) + made.flush(zlib.Z_SYNC_FLUSH)


def _texts(samples: Iterable[Sample]) -> Iterator[tuple[Metric, bytes]]:
    """Yield the lines of every metric that has samples."""
    lines: dict[str, list[str]] = {each.name: [] for each in m.METRICS}
    named = _Labels()
    for metric, values, value in samples:
        lines[metric.name].append(f"{metric.name}{named.text(metric.labels, values)} {float(value)!r}\n")
    for metric in m.METRICS:
        if of_metric := lines.pop(metric.name):  # the lines go as they are joined: all together are large
            yield metric, "".join(of_metric).encode()


class _Labels:
    """Labels as text. Nearly every metric is of a system at a centre: what names these is written once."""

    def __init__(self) -> None:
        self._systems: dict[tuple[str, ...], str] = {}

    def text(self, names: tuple[str, ...], values: tuple[str, ...]) -> str:
        if names[: len(SYSTEM)] != SYSTEM:
            return f"{{{_pairs(names, values)}}}" if names else ""
        system = values[: len(SYSTEM)]
        if (text := self._systems.get(system)) is None:
            text = self._systems[system] = _pairs(SYSTEM, system)
        if len(names) == len(SYSTEM):
            return f"{{{text}}}"
        return f"{{{text},{_pairs(names[len(SYSTEM) :], values[len(SYSTEM) :])}}}"


def _pairs(names: Sequence[str], values: Sequence[str]) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in zip(names, values, strict=True))


class _Families(Collector):
    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Sequence[Family]:
        return self._families


def _by_the_client(families: Sequence[Family], *, openmetrics: bool) -> bytes:
    """Return families as prometheus_client writes them: it knows histograms and exemplars, and OpenMetrics' end."""
    encode = generate_openmetrics if openmetrics else generate_latest
    text: bytes = encode(_Families(families))
    return text


@cache
def _head(metric: Metric, *, openmetrics: bool) -> bytes:
    return _by_the_client([empty_family(metric)], openmetrics=openmetrics).removesuffix(EOF)
