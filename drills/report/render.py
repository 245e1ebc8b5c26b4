"""Renders what is known of a drill. Made from rows alone and without a date of its own: made twice, it is the same."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from drills import words as drill_words
from drills.report import words as report_words
from drills.report.timeline import COLOURS, OTHER, Language, draw, system_of, trend
from orchestrator.catalogue.audit import canonical, digest_of
from orchestrator.paper import as_pdf
from policies.values import format_duration, format_size

LANGUAGES: tuple[Language, ...] = ("zh", "en")
SMALLEST_PERCENT = 0.6  # a bar that would be too thin to see is drawn this wide

#: What is added to a document after it was signed.
LATER = ("findings", "signatures", "people", "manual")


def write_report(folder: Path, document: Mapping[str, Any], *, pdf: bool = False) -> Path:
    """Write DRILL.json and DRILL.html, with `pdf` also DRILL.pdf, each whole or not; return the path of the second."""
    folder.mkdir(parents=True, exist_ok=True)
    evidence = as_json(document)
    write_whole(folder / f"{document['drill']}.json", evidence)
    html = render_html(document)
    path = folder / f"{document['drill']}.html"
    write_whole(path, html.encode())
    if pdf:
        write_whole(path.with_suffix(".pdf"), as_pdf(html))
    return path


def as_json(document: Mapping[str, Any]) -> bytes:
    """Return the evidence file's content. Pure."""
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def signed_digest(document: Mapping[str, Any], algorithm: str = "sha256") -> str:
    """Return the digest of what is signed: the document without its findings, which go on, and its signatures. Pure."""
    return digest_of(algorithm, canonical({key: value for key, value in document.items() if key not in LATER}))


def render_html(document: Mapping[str, Any]) -> str:
    """Return the report of a drill, Chinese first and then English. Pure but for the local time zone."""
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            d=document,
            sha256=hashlib.sha256(as_json(document)).hexdigest(),
            signed=signed_digest(document),
            zone=f"{datetime.fromisoformat(document['started_at']).astimezone():%Z (%z)}",
            pictures={each: Markup(draw(document, each)) for each in LANGUAGES},  # noqa: S704 - made and escaped there
        )
    )


def render_period(report: Mapping[str, Any]) -> str:
    """Return the report of a period, Chinese first and then English. Pure but for the local time zone."""
    return _environment().get_template("period.html.j2").render(p=report)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": duration,
        "seconds": _seconds,
        "local": local,
        "clock": _clock,
        "day": _day,
        "day_before": lambda moment: _day((datetime.fromisoformat(moment) - timedelta(seconds=1)).isoformat()),
        "size": format_size,
        "shares": stage_shares,
        "worst_of": worst_of,
        "epoch_words": _epoch_words,
        "title_of": _title_of,
        "trend": lambda values, limit: Markup(trend(values, limit)),  # noqa: S704 - numbers only
    }
    words = {**vars(drill_words), **vars(report_words)}
    environment.globals |= {"words": words, "colours": COLOURS, "other": OTHER, "gauge": gauge, "languages": LANGUAGES}
    return environment


def gauge(name: str, system: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is drawn of one objective: the lengths of both bars, in percent of the longer one. Pure."""
    limit = system["objective"][f"{name}_seconds"]
    actual = system["measured"][f"{name}_seconds"]
    longest = max(limit, actual or 0.0) or 1.0
    return {
        "name": name.upper(),
        "limit": limit,
        "actual": actual,
        "limit_percent": limit / longest * 100,
        "actual_percent": max((actual or 0.0) / longest * 100, SMALLEST_PERCENT),
        "kept": actual is not None and actual <= limit,
    }


def worst_of(systems: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Return the gauge of the system that is worst off: not recovered, or longest against its objective. Pure."""
    gauges = [gauge(name, each) for each in systems]
    return max(
        gauges, key=lambda each: float("inf") if each["actual"] is None else each["actual"] / (each["limit"] or 1.0)
    )


def _title_of(attempt: Mapping[str, Any], systems: Sequence[Mapping[str, Any]], language: str) -> str:
    """Return the title of the system that a step is about, "" for one of the whole. Pure."""
    name = system_of(attempt, [each["system"] for each in systems])
    return next((each["title"][language] for each in systems if each["system"] == name), "")


def _epoch_words(epoch: Mapping[str, Any] | None) -> str:
    """Return the number of an epoch that was raised."""
    record = (epoch or {}).get("record", epoch) or {}
    return str(record.get("epoch", "—"))


def stage_shares(stages: Mapping[str, float | None]) -> list[dict[str, Any]]:
    """Return each stage with its share of the whole, in percent. Pure."""
    whole = sum(seconds or 0.0 for seconds in stages.values())
    return [
        {"stage": stage, "seconds": seconds, "percent": (seconds or 0.0) / whole * 100 if whole else 0.0}
        for stage, seconds in stages.items()
    ]


def duration(seconds: float | None) -> str:
    return "—" if seconds is None else format_duration(seconds)


def local(moment: str | None) -> str:
    """Return an ISO time in the local zone, to the second."""
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M:%S}" if moment else "—"


def _day(moment: str | None) -> str:
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d}" if moment else "—"


def _clock(moment: str | None) -> str:
    return f"{datetime.fromisoformat(moment).astimezone():%H:%M:%S.%f}"[:-3] if moment else "—"


def _seconds(seconds: float | None) -> str:
    return "—" if seconds is None else f"{seconds:,.2f}"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
