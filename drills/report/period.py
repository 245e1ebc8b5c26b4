"""The report of a period: its drills by bureau, what is overdue, how restore times go, what became of findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from drills.report.render import as_json, render_period, write_whole
from orchestrator.catalogue.board import Board, BoardRow
from orchestrator.catalogue.corrections import Correction, findings
from orchestrator.catalogue.records import DrillRow
from orchestrator.catalogue.store import Catalogue
from orchestrator.paper import as_pdf

#: So many of a system's last drills are drawn.
DRAWN = 24


def write_period(folder: Path, report: Mapping[str, Any], *, pdf: bool) -> Path:
    """Write the report of a period as JSON, HTML and, when asked, PDF; return the path of the second."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"period-{report['from'][:10]}-{report['to'][:10]}.html"
    html = render_period(report)
    write_whole(path.with_suffix(".json"), as_json(report))
    write_whole(path, html.encode())
    if pdf:
        write_whole(path.with_suffix(".pdf"), as_pdf(html))
    return path


def period_report(board: Board, catalogue: Catalogue, begin: datetime, end: datetime) -> dict[str, Any]:
    """Return what happened from `begin` to before `end` as plain JSON. What is overdue is as of the board."""
    every = catalogue.drills()
    drills = [each for each in every if begin <= each.ended_at < end]
    of_bureau: defaultdict[str, list[DrillRow]] = defaultdict(list)
    for each in drills:
        of_bureau[each.tenant].append(each)
    followed = findings(catalogue)
    titles = {row.tenant: row.tenant_title.model_dump() for row in board.rows}
    return {
        "site": board.site,
        "site_title": board.title.model_dump(),
        "from": begin.isoformat(),
        "to": end.isoformat(),
        "made_at": board.read_at.isoformat(),
        "drills": [_drill(each) for each in sorted(drills, key=lambda each: each.ended_at)],
        "bureaus": [
            {
                "tenant": tenant,
                "title": title,
                "drills": len({each.id for each in of_bureau[tenant]}),
                "verdicts": {word: _count(of_bureau[tenant], word) for word in ("met", "missed", "failed")},
                "systems": len({row.system for row in board.rows if row.tenant == tenant}),
                "drilled": len({each.system for each in of_bureau[tenant]}),
                "overdue": sum(row.drill_overdue for row in board.rows if row.tenant == tenant),
                "open": sum(each.state == "open" for each in followed if each.tenant == tenant),
            }
            for tenant, title in sorted(titles.items())
        ],
        "overdue": [_overdue(row) for row in board.rows if row.drill_overdue],
        "trends": list(_trends(board, [each for each in every if each.ended_at < end])),
        "findings": [each.as_json() for each in followed if _of_period(each, begin, end)],
    }


def _count(drills: Iterable[DrillRow], verdict: str) -> int:
    return sum(each.verdict == verdict for each in drills)


def _drill(row: DrillRow) -> dict[str, Any]:
    return {
        "drill": row.id,
        "plan": row.plan,
        "system": f"{row.tenant}/{row.system}",
        "centre": row.centre,
        "kind": row.kind,
        "started_at": row.started_at.isoformat(),
        "verdict": str(row.verdict),
        "rpo_seconds": row.rpo_seconds,
        "rto_seconds": row.rto_seconds,
    }


def _overdue(row: BoardRow) -> dict[str, Any]:
    return {
        "system": f"{row.tenant}/{row.system}",
        "title": row.system_title.model_dump(),
        "centre": row.centre,
        "due_at": row.drill_due_at.isoformat(),
        "last_at": row.last_drill.ended_at.isoformat() if row.last_drill else None,
    }


def _trends(board: Board, drills: list[DrillRow]) -> Iterable[dict[str, Any]]:
    """Yield the last drills of each system at each centre, the oldest first, where there are two at least."""
    by_place: defaultdict[tuple[str, str, str], list[DrillRow]] = defaultdict(list)
    for each in sorted(drills, key=lambda each: each.ended_at):
        if each.kind != "tabletop":
            by_place[each.tenant, each.system, each.centre].append(each)
    for row in board.rows:
        last = by_place[row.tenant, row.system, row.centre][-DRAWN:]
        if len(last) >= 2:
            yield {
                "system": f"{row.tenant}/{row.system}",
                "title": row.system_title.model_dump(),
                "centre": row.centre,
                "rto_objective": row.rto_objective.total_seconds(),
                "rto": [each.rto_seconds for each in last],
                "restore": [each.stages.get("restore") for each in last],
            }


def _of_period(each: Correction, begin: datetime, end: datetime) -> bool:
    """Whether a finding was open in the period, or changed in it."""
    done = each.verified_at or each.closed_at
    return each.found_at < end and (done is None or done >= begin)
