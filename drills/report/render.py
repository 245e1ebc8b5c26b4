"""Renders a drill's evidence. Made from rows alone and without a date of its own: made twice, it is the same file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from drills import words
from policies.values import format_duration, format_size

TEMPLATE = "report.html.j2"
SMALLEST_PERCENT = 0.4  # a bar that would be too thin to see is drawn this wide


def write_report(folder: Path, document: Mapping[str, Any]) -> Path:
    """Write DRILL.json and DRILL.html into `folder` and return the path of the latter. Each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    evidence = as_json(document)
    _write(folder / f"{document['drill']}.json", evidence)
    html = folder / f"{document['drill']}.html"
    _write(html, render_html(document, hashlib.sha256(evidence).hexdigest()).encode())
    return html


def as_json(document: Mapping[str, Any]) -> bytes:
    """Return the evidence file's content. Pure."""
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def render_html(document: Mapping[str, Any], sha256: str) -> str:
    """Return the report of a drill; `sha256` is that of its evidence file. Pure but for the local time zone."""
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
        "size": format_size,
    }
    return environment.get_template(TEMPLATE).render(
        d=document,
        s=document["scenario"],
        sha256=sha256,
        words=words,
        gauges=[gauge(name, document) for name in ("rpo", "rto")],
        stages=stage_shares(document["measured"]["stages"]),
        zone=f"{datetime.fromisoformat(document['started_at']).astimezone():%Z (%z)}",
    )


def gauge(name: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is drawn of one objective: the lengths of both bars, in percent of the longer one. Pure."""
    limit = document["objective"][f"{name}_seconds"]
    actual = document["measured"][f"{name}_seconds"]
    longest = max(limit, actual or 0.0)
    return {
        "name": name.upper(),
        "limit": limit,
        "actual": actual,
        "limit_percent": limit / longest * 100,
        "actual_percent": max((actual or 0.0) / longest * 100, SMALLEST_PERCENT),
        "kept": actual is not None and actual <= limit,
    }


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


def _clock(moment: str | None) -> str:
    return f"{datetime.fromisoformat(moment).astimezone():%H:%M:%S.%f}"[:-3] if moment else "—"


def _seconds(seconds: float | None) -> str:
    return "—" if seconds is None else f"{seconds:,.2f}"


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
