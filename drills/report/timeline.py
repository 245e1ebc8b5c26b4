"""The timeline of a drill as a picture: systems against time, steps coloured by stage, waits, and the objective's line.

SVG with presentation attributes only, so that a browser and the PDF's renderer draw the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any, Literal

from policies.values import format_duration

Language = Literal["zh", "en"]

COLOURS = {
    "detect": "#8fa7bf",
    "decide": "#c58a3d",
    "wait": "#ddd3bd",
    "restore": "#2c5f8d",
    "start": "#6f8f5f",
    "verify": "#5b4a7d",
    "switch": "#b5533c",
}
OTHER, BAD, INK, SOFT, LINE, FAINT = "#b8bfc7", "#a3161a", "#1c2430", "#5d6875", "#c9cfd6", "#f4f6f8"
FONT = "'Noto Sans','Noto Sans CJK SC','Source Han Sans SC','WenQuanYi Zen Hei',sans-serif"

WIDTH, LEFT, RIGHT, TOP, ROW, BAR = 700, 158, 14, 12, 38, 14
THINNEST = 1.2

#: Lengths of time that read well between two marks of the axis.
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
OVERALL = {"zh": "总体", "en": "overall"}


@dataclass(frozen=True, slots=True)
class _Axis:
    begin: datetime
    seconds: float

    def x(self, seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(seconds / self.seconds, 0.0), 1.0)

    def at(self, moment: str) -> float:
        return self.x((datetime.fromisoformat(moment) - self.begin).total_seconds())


def draw(document: Mapping[str, Any], language: Language) -> str:
    """Return the picture as SVG. Pure."""
    attempts = [each for each in document["attempts"] if each["ended_at"]]
    if not attempts:
        return ""
    axis = _axis(document, attempts)
    rows = list(_rows(document, attempts, language))
    height = TOP + ROW * len(rows) + 40
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" width="100%" font-family="{FONT}">',
        *_grid(axis, len(rows)),
    ]
    for number, (title, objective, bars) in enumerate(rows):
        parts += _row(axis, TOP + ROW * number, title, objective, bars)
    return "".join([*parts, "</svg>"])


def _axis(document: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]]) -> _Axis:
    begin = min(datetime.fromisoformat(each["started_at"]) for each in attempts)
    end = max(datetime.fromisoformat(each["ended_at"]) for each in attempts)
    return _Axis(begin, max((end - begin).total_seconds(), 1.0) * 1.04)


def _rows(
    document: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]], language: Language
) -> Iterator[tuple[str, float | None, list[Mapping[str, Any]]]]:
    names = [each["system"] for each in document["systems"]]
    about = [(system_of(each, names), each) for each in attempts if each["step"] != "systems"]
    central = [each for name, each in about if name is None]
    if central:
        yield OVERALL[language], None, central
    for system in document["systems"]:
        own = [each for name, each in about if name == system["system"]]
        yield system["title"][language], system["objective"]["rto_seconds"], own


def system_of(attempt: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Return the system that a step is about: its own, or the one that a step of the whole names."""
    about = attempt["step"].partition(":")[2]
    named = next((each for each in names if about == each or about.startswith(f"{each}:")), None)
    return attempt["system"] or named


def _grid(axis: _Axis, rows: int) -> Iterator[str]:
    step = next((each for each in TICKS if axis.seconds / each <= 7), 86400)
    bottom = TOP + ROW * rows
    for number in range(int(axis.seconds // step) + 1):
        x = axis.x(number * step)
        yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" stroke="{LINE}" stroke-width="0.7"/>'
        told = "0" if number == 0 else f"+{format_duration(number * step)}"
        yield _text(x, bottom + 16, told, SOFT, "middle")
        if number % 2 == 0:
            moment = (axis.begin + timedelta(seconds=number * step)).astimezone()
            yield _text(x, bottom + 31, f"{moment:%H:%M:%S}", SOFT, "middle", 10)


def _row(
    axis: _Axis, top: float, title: str, objective: float | None, bars: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    middle = top + ROW - BAR / 2 - 8  # above the bars is room for the objective
    below = top + ROW
    yield f'<line x1="{LEFT}" y1="{below}" x2="{WIDTH - RIGHT}" y2="{below}" stroke="{LINE}" stroke-width="0.7"/>'
    yield _text(LEFT - 10, middle + 4.5, _short(title), INK, "end", 11.5)
    for each in bars:
        x, end = axis.at(each["started_at"]), axis.at(each["ended_at"])
        bad = each["outcome"] not in ("passed", "started")
        edge = f' stroke="{BAD}" stroke-width="2"' if bad else ""
        colour = COLOURS.get(each["stage"] or "", OTHER)
        yield (
            f'<rect x="{x:.2f}" y="{middle - BAR / 2:.1f}" width="{max(end - x, THINNEST):.2f}" height="{BAR}" '
            f'fill="{colour}"{edge}/>'
        )
    if objective is not None:
        yield from _objective(axis, top, objective)


def _objective(axis: _Axis, top: float, seconds: float) -> Iterator[str]:
    told = f"RTO ≤ {format_duration(seconds)}"
    if seconds <= axis.seconds:
        x = axis.x(seconds)
        yield f'<line x1="{x:.1f}" y1="{top + 2}" x2="{x:.1f}" y2="{top + ROW - 2}" stroke="{BAD}" stroke-width="1.6"/>'
        beside = ("end", x - 4) if x > WIDTH - 90 else ("start", x + 4)
        yield _text(beside[1], top + 12, told, BAD, beside[0], 10)
    else:  # far beyond what the picture shows
        yield _text(WIDTH - RIGHT, top + 12, f"{told} →", SOFT, "end", 10)


def _short(title: str) -> str:
    """Return a title that fits beside its row: a Chinese character is as wide as two others."""
    room, kept = 24, ""
    for sign in title:
        room -= 2 if ord(sign) > 0x2E80 else 1
        if room < 1:
            return f"{kept}…"
        kept += sign
    return title


def _text(x: float, y: float, text: str, colour: str, anchor: str, size: float = 11) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}" font-size="{size:g}">{escape(text)}</text>'


# --- small charts


def trend(values: Sequence[float | None], limit: float | None) -> str:
    """Return a small chart of values over time, the oldest first, the objective as a line; None is a failure. Pure."""
    width, height, pad = 180, 44, 6
    known = [each for each in values if each is not None]
    if not known:
        return ""
    highest = max([*known, limit if limit is not None and limit < 3 * max(known) else 0.0]) or 1.0
    step = (width - 2 * pad) / max(len(values) - 1, 1)

    def place(number: int, value: float) -> tuple[float, float]:
        return pad + step * number, height - pad - (height - 2 * pad) * value / highest

    dots = [place(number, value) for number, value in enumerate(values) if value is not None]
    parts = [f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}">']
    parts.append(f'<rect x="0" y="0" width="{width}" height="{height}" fill="{FAINT}"/>')
    if limit is not None and limit <= highest:
        y = place(0, limit)[1]
        parts.append(f'<line x1="{pad}" y1="{y:.1f}" x2="{width - pad}" y2="{y:.1f}" stroke="{BAD}" stroke-width="1"/>')
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS["restore"]}" stroke-width="1.6"/>')
    parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{COLOURS["restore"]}"/>' for x, y in dots]
    for number, value in enumerate(values):
        if value is None:
            x = pad + step * number
            parts.append(f'<path d="M{x - 3:.1f} {pad}l6 6m0 -6l-6 6" stroke="{BAD}" stroke-width="1.6" fill="none"/>')
    return "".join([*parts, "</svg>"])
