"""`tricenter status` over a real site and catalogue: what it prints, and the exit code."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from sqlalchemy import update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.board import read_board
from orchestrator.catalogue.database import now
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.locks import Locks, record_locks
from orchestrator.catalogue.records import DrillRow, Point
from orchestrator.catalogue.store import Catalogue
from orchestrator.cli import run
from orchestrator.server.show import NARROWEST, WIDEST, render
from policies.load import load_site
from policies.site import SystemRef

DALIAN = Path(__file__).parents[3] / "examples" / "dalian"
LAND = "natural-resources/land-registry"


def protect(catalogue: Catalogue, ref: SystemRef, *, minutes: int = 5, drill: str | None = "met") -> None:
    """Give a system a recovery point of so many minutes ago and a drill at every centre."""
    data, name = now() - timedelta(minutes=minutes), f"point-of-{ref.name}"
    catalogue.register_systems([(ref.tenant.tenant, ref.name)])
    catalogue.add_point(
        Point(name, "run", ref.tenant.tenant, ref.name, ref.tier.tier, data, data, 1, 1, "document", ())
    )
    for centre, copy in ref.copies.items():
        catalogue.set_landings(centre, ref.tenant.tenant, ref.name, {name: data})
        if drill:
            rto = None if drill == "failed" else copy.rto.total_seconds() / 2
            catalogue.add_drill(
                DrillRow(
                    id=f"drill-{ref.name}-{centre}",
                    plan=ref.name,
                    tenant=ref.tenant.tenant,
                    system=ref.name,
                    centre=centre,
                    kind="restore",
                    point_id=name,
                    started_at=data,
                    ended_at=now() - timedelta(hours=3),
                    verdict=drill,
                    rpo_seconds=1.0,
                    rto_seconds=rto,
                    stages={},
                    restored_bytes=1,
                    report=None,
                )
            )


def protect_all(catalogue: Catalogue, **how: Any) -> None:
    for ref in load_site(DALIAN).systems():
        protect(catalogue, ref, **how)


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = run(["status", *arguments, "--output", "json"])
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, shown


def test_nothing_protected_ends_with_4_and_says_so(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status"]) == 4
    shown = capsys.readouterr().out
    assert "无备份" in shown
    assert "12 个系统 systems，24 份保护 copies" in shown
    assert "○ 无备份 no backup 24" in shown
    assert "\x1b" not in shown, "plain when it is no terminal"


def test_everything_met_ends_with_0(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    protect_all(catalogue)
    assert run(["status"]) == 0
    assert "● 达标 met 24" in capsys.readouterr().out


def test_unproved_is_no_miss(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    protect_all(catalogue, drill="failed")
    assert run(["status"]) == 0
    shown = capsys.readouterr().out
    assert "◐ 未验证 unproved 24" in shown
    assert "失败 3h" in shown


def test_one_objective_missed_ends_with_4(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    protect_all(catalogue)
    with catalogue.engine.begin() as db:
        key = t.points.c.id == "point-of-land-registry"
        db.execute(update(t.points).where(key).values(data_time=now() - timedelta(hours=2)))
    code, shown = as_json(capsys)
    assert code == 4
    assert shown["summary"] == {"systems": 12, "copies": 24, "met": 22, "unproved": 0, "missed": 2, "never": 0}
    missed = [row for row in shown["systems"] if row["verdict"] == "missed"]
    assert {f"{row['tenant']}/{row['system']}" for row in missed} == {LAND}
    assert missed[0]["rpo_actual_seconds"] == pytest.approx(7200, abs=30)
    assert missed[0]["rpo_objective_seconds"] == 3600
    assert missed[0]["last_drill"]["verdict"] == "met"


def test_the_earliest_end_of_a_lock_is_told_and_what_breaks_the_promise(
    catalogue: Catalogue, capsys: pytest.CaptureFixture[str]
) -> None:
    ref = next(each for each in load_site(DALIAN).systems() if str(each) == LAND)
    protect(catalogue, ref)
    ends = now() + timedelta(days=365)
    near, far = (Key(ref.tenant.tenant, ref.name, centre) for centre in ("same-city", "provincial"))
    record_locks(catalogue, Locks(near, now(), ends, 7, 0, 0, 0), {})
    record_locks(catalogue, Locks(far, now(), None, 7, 0, 3, 0), {})
    assert run(["status", LAND]) == 0
    shown = capsys.readouterr().out
    assert f"earliest lock ends:  同城 same-city {ends.astimezone():%F}  异地 provincial 未锁定 not locked: 3" in shown
    _, told = as_json(capsys, LAND)
    rows = {row["centre"]: row for row in told["systems"]}
    assert (rows["same-city"]["lock_floor"], rows["same-city"]["lock_missed"]) == (ends.isoformat(), False)
    assert (rows["provincial"]["lock_floor"], rows["provincial"]["lock_missed"]) == (None, True)
    record_locks(catalogue, Locks(near, now(), now() + timedelta(hours=1), 7, 0, 0, 0), {})
    assert as_json(capsys, LAND)[1]["systems"][0]["lock_missed"]


def test_only_the_system_that_was_asked_for(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    ref = next(each for each in load_site(DALIAN).systems() if str(each) == LAND)
    protect(catalogue, ref)
    code, shown = as_json(capsys, LAND)
    assert code == 0
    assert [(row["system"], row["centre"]) for row in shown["systems"]] == [
        ("land-registry", "same-city"),
        ("land-registry", "provincial"),
    ]
    code, shown = as_json(capsys, "natural-resources")
    assert (code, len(shown["systems"])) == (4, 4)


def test_misspelled_system_is_named(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "natural-resources/land-registri"]) == 2
    assert "did you mean 'land-registry'?" in capsys.readouterr().err


def test_watch_needs_a_terminal(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--watch"]) == 2
    assert "--watch needs a terminal" in capsys.readouterr().err


@pytest.mark.parametrize("width", [NARROWEST, 110, WIDEST])
def test_board_fits_its_width_and_cuts_nothing(catalogue: Catalogue, width: int) -> None:
    protect_all(catalogue, drill=None)
    for index, ref in enumerate(load_site(DALIAN).systems()):
        if index % 2:
            protect(catalogue, ref, drill="missed")
    console = Console(width=width, record=True, file=StringIO(), force_terminal=True)
    console.print(render(read_board(load_site(DALIAN), catalogue, now()), width))
    lines = console.export_text().splitlines()
    assert max(map(cell_len, lines)) <= width
    assert not [line for line in lines if "…" in line]
    (summary,) = [line for line in lines if "● 达标 met 12" in line]
    assert "无备份 no backup 0" in summary, "in one line"
