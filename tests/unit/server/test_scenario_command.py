"""`tricenter scenario` over a real site and catalogue: what it prints, and the exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from orchestrator.catalogue.database import now
from orchestrator.catalogue.records import DrillRow, Point
from orchestrator.catalogue.scenario import read_statement
from orchestrator.catalogue.store import Catalogue
from orchestrator.catalogue.verifications import Fault, Key, Kind, record_faults
from orchestrator.cli import run
from orchestrator.server.scenario_show import WIDTH, render
from policies.load import load_site
from policies.site import SystemRef

DALIAN = Path(__file__).parents[3] / "examples" / "dalian"
LAND = "natural-resources/land-registry"


def refs() -> list[SystemRef]:
    return list(load_site(DALIAN).systems())


def protect(
    catalogue: Catalogue,
    ref: SystemRef,
    *,
    minutes: int = 5,
    centres: tuple[str, ...] = ("same-city", "provincial"),
    drill: str | None = "met",
    seconds: float = 60.0,
) -> None:
    """Give a system a point of so many minutes ago at these centres, and a drill at each."""
    data, tenant = now() - timedelta(minutes=minutes), ref.tenant.tenant
    name = f"point-of-{ref.name}-{minutes}"
    catalogue.register_systems([(tenant, ref.name)])
    catalogue.add_point(Point(name, "run", tenant, ref.name, ref.tier.tier, data, data, 1000, 1, "document", ()))
    for centre in centres:
        catalogue.set_landings(centre, tenant, ref.name, {name: data})
        if drill:
            catalogue.add_drill(
                DrillRow(
                    f"drill-{ref.name}-{centre}",
                    ref.name,
                    tenant,
                    ref.name,
                    centre,
                    "restore",
                    name,
                    data,
                    now() - timedelta(hours=3),
                    drill,
                    1.0,
                    seconds,
                    {"restore": seconds},
                    1000,
                    None,
                )
            )


def shown_by(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = run(["scenario", *arguments])
    return code, capsys.readouterr().out


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code, text = shown_by(capsys, *arguments, "--output", "json")
    shown: dict[str, Any] = json.loads(text)
    return code, shown


def test_every_objective_holds(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    for ref in refs():
        protect(catalogue, ref)
    code, shown = shown_by(capsys, "--lose", "production")
    assert code == 0
    assert "● 全部达标 every objective would hold" in shown
    assert "无云可运行服务器" in shown, "of the provincial centre"
    assert "\x1b" not in shown, "plain when it is no terminal"


def test_what_cannot_be_recovered_is_named_first(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    for ref in refs():
        protect(catalogue, ref, centres=("same-city",) if str(ref) == LAND else ("same-city", "provincial"))
    code, shown = shown_by(capsys, "--lose", "production,same-city")
    assert code == 4
    (gone,) = [line for line in shown.splitlines() if LAND in line]
    assert "its only copies were at 同城 same-city" in gone
    assert shown.index(LAND) < shown.index("恢复次序")
    assert "无法恢复 lost 1" in shown
    assert "仅数据 data only" in shown


def test_everything_lost_is_said(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    for ref in refs()[1:]:
        protect(catalogue, ref)
    code, shown = shown_by(capsys, "--lose", "production, same-city, provincial")
    assert code == 4
    assert "everything is lost" in shown
    assert "no recovery point has ever landed" in shown
    code, answer = as_json(capsys, "--lose", "production,same-city,provincial")
    assert (code, answer["everything_lost"], answer["holds"], answer["totals"]["lost"]) == (4, True, False, 12)
    assert {each["fate"] for each in answer["systems"]} == {"lost"}


def test_while_production_stands(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    for ref in refs():
        protect(catalogue, ref)
    code, shown = shown_by(capsys, "--lose", "provincial")
    assert code == 0
    assert "照常运行 go on running" in shown
    assert "恢复次序" not in shown
    code, shown = shown_by(capsys, "--lose", "same-city,provincial")
    assert code == 4
    assert "没有副本了" in shown


def test_json_of_one_system(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    for ref in refs():
        protect(catalogue, ref, minutes=90 if str(ref) == LAND else 5)
    code, shown = as_json(capsys, "--lose", "production", LAND)
    assert code == 4
    (found,) = shown["systems"]
    assert (found["tenant"], found["system"], found["fate"], found["holds"]) == (*LAND.split("/"), "recovered", False)
    assert found["loss_seconds"] == pytest.approx(5400, abs=30)
    assert (found["copy"]["centre"], found["copy"]["rpo"], found["copy"]["rpo_objective_seconds"]) == (
        "same-city", "missed", 3600,
    )  # fmt: skip
    assert [each["centre"] for each in found["alternatives"]] == ["provincial"]
    turn = found["recovery"]
    assert (turn["basis"], turn["basis_drills"], turn["takes_seconds"], turn["rto"]) == ("own", 1, 60.0, "met")
    assert turn["order"] > 1, "its turn is that among all of the city"
    assert datetime.fromisoformat(turn["back_at"]) == datetime.fromisoformat(shown["at"]) + timedelta(minutes=1)
    assert shown["totals"]["rpo_missed"] == 1
    assert [each["tenant"] for each in shown["tenants"]] == ["natural-resources"]
    assert [(each["centre"], each["runs_servers"]) for each in shown["left_centres"]] == [
        ("same-city", True),
        ("provincial", False),
    ]


def test_never_drilled_is_unknown(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    for ref in refs():
        protect(catalogue, ref, drill=None)
    code, shown = shown_by(capsys, "--lose", "production")
    assert code == 4
    assert "未演练 never drilled" in shown
    assert "RTO 未知 unknown 12" in shown


def test_time_is_the_sites(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    _, shown = as_json(capsys, "--lose", "production", "--at", "2026-11-23 03:00")
    assert shown["at"] == "2026-11-22T19:00:00+00:00"
    _, shown = as_json(capsys, "--lose", "production", "--at", "2026-11-23T03:00:00+00:00")
    assert shown["at"] == "2026-11-23T03:00:00+00:00"
    _, text = shown_by(capsys, "--lose", "production", "--at", "2126-11-23 03:00")
    assert "2126-11-23 03:00:00 +0800" in text
    assert "TIME lies ahead" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lose", "provincal"], "did you mean 'provincial'?"),
        (["--lose", "production,mars"], "no centre named 'mars'"),
        (["--lose", ","], "--lose names no centre"),
        (["--lose", "production", "--at", "yesterday"], "'yesterday' is no time"),
        (["--lose", "production", "natural-resources/land-registri"], "did you mean 'land-registry'?"),
        ([], "--lose"),
    ],
)
def test_what_is_wrong_is_named(
    catalogue: Catalogue, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(["scenario", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "lost", [("production",), ("production", "same-city"), ("same-city",), ("production", "same-city", "provincial")]
)
def test_statement_fits_116_columns_and_cuts_nothing(catalogue: Catalogue, lost: tuple[str, ...]) -> None:
    site, moment = load_site(DALIAN), now()
    for index, ref in enumerate(refs()):
        if index % 4:
            minutes = (3, 700, 90_000, 5)[index % 4]
            centres = ("same-city", "provincial") if index % 3 else ("same-city",)
            drill = ("met", "failed", None)[index % 3]
            protect(catalogue, ref, minutes=minutes, centres=centres, drill=drill, seconds=123_456)
    ref = refs()[1]
    record_faults(catalogue, Key(ref.tenant.tenant, ref.name, "same-city"), [Fault("a", Kind.CORRUPT, "bad")], moment)
    console = Console(width=116, record=True, file=StringIO(), force_terminal=True)
    statement = read_statement(site, catalogue, lost, moment, moment)
    console.print(render(replace(statement, read_at=moment - timedelta(hours=1)), site))
    lines = console.export_text().splitlines()
    assert WIDTH <= 116
    assert max(map(cell_len, lines)) <= 116
    assert not [line for line in lines if "…" in line]
    assert "\n".join(lines).count("个系统 systems") == 1
