"""`backup run --due` and `replicate --due`: which systems, and an exit code that says how it went."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from orchestrator.app import App
from orchestrator.backups.due import DueWork
from orchestrator.batch import Ended
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import now
from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.records import Order, Point
from orchestrator.catalogue.suspicions import settle
from orchestrator.cli import run
from orchestrator.errors import Busy, CheckFailed, ProcessFailed, TricenterError, Unreachable
from policies.site import SystemRef
from policies.suspicion import Sign, Signal, Standing

DALIAN = Path(__file__).parents[3] / "examples" / "dalian"
LAND, MAPS = "natural-resources/land-registry", "natural-resources/planning-maps"
ROUTE = ("same-city", "provincial")
BOTH = (ROUTE, ROUTE[::-1])


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.setenv("TRICENTER_SITE", str(DALIAN))
    monkeypatch.setenv("TRICENTER_DATABASE_URL", f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    made = App(DALIAN, None)
    with made.catalogue.engine.begin() as db:
        db.execute(update(t.systems).values(created_at=datetime.now(UTC) - timedelta(days=9)))
    yield made
    made.catalogue.engine.dispose()


@pytest.fixture
def point(app: App) -> Callable[..., None]:
    """Give a system a point, so many minutes old, at its nearest centre or at both, or at those given."""

    def add(system: str, minutes: float, *, copied: bool = True, at: tuple[str, ...] = ()) -> None:
        tenant, _, name = system.partition("/")
        data = datetime.now(UTC) - timedelta(minutes=minutes)
        point_id = f"{name}-{minutes}"
        app.catalogue.add_point(Point(point_id, "run", tenant, name, "t", data, data, 1, 1, "d", ()))
        with app.catalogue.engine.begin() as db:
            for centre in at or (ROUTE if copied else ROUTE[:1]):
                db.execute(insert(t.landings).values(point_id=point_id, centre=centre, landed_at=data))

    return add


def ended(refs: list[SystemRef], *errors: TricenterError | None) -> list[Ended[SystemRef, Any]]:
    return [Ended(ref, None if error else "point", error) for ref, error in zip(refs, errors, strict=True)]


def test_only_what_is_due_is_done_the_most_urgent_first(app: App, point: Callable[..., None]) -> None:
    refs = app.systems("natural-resources")
    assert [str(ref) for ref in DueWork(app, "backup", refs).refs] == [LAND, MAPS]
    point(LAND, 0)
    assert [str(ref) for ref in DueWork(app, "backup", refs).refs] == [MAPS]


def test_copies_are_due_where_one_is_lacking(app: App, point: Callable[..., None]) -> None:
    refs = app.systems("natural-resources")
    point(LAND, 30, copied=False)
    assert [str(way) for way in DueWork(app, "replicate", refs, BOTH).ways] == [f"{LAND} same-city>provincial"]
    point(LAND, 10)
    assert DueWork(app, "replicate", refs, BOTH).ways == []


def test_copies_are_due_on_the_way_back_where_backups_went_past_a_centre(app: App, point: Callable[..., None]) -> None:
    refs = app.systems("natural-resources")
    point(LAND, 60)
    point(MAPS, 60)
    point(LAND, 0, at=("provincial",))
    assert DueWork(app, "backup", [refs[0]]).refs == [], "it was backed up"
    assert DueWork(app, "replicate", refs, [ROUTE]).ways == []
    assert [str(way) for way in DueWork(app, "replicate", refs, BOTH).ways] == [f"{LAND} provincial>same-city"]


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ((None, None), 0),
        ((None, Unreachable("x")), 3),
        ((ProcessFailed("restic", 1, ""), Unreachable("x")), 3),
        ((Unreachable("x"), Unreachable("y")), 6),
        ((None, CheckFailed("x")), 4),
        ((ProcessFailed("restic", 1, ""), CheckFailed("x")), 3),
    ],
)
def test_the_exit_code_says_how_it_went(app: App, point: Callable[..., None], errors: Any, code: int) -> None:
    refs = app.systems("natural-resources")
    work = DueWork(app, "backup", refs)
    for ref in refs:
        point(str(ref), 0)
    assert work.conclude(ended(work.refs, *errors)) == code


def test_an_objective_that_is_missed_all_the_same_is_told(
    app: App, point: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    point(LAND, 90)
    point(MAPS, 0)
    work = DueWork(app, "backup", app.systems("natural-resources"))
    assert work.conclude(ended(work.refs, None)) == 4
    assert f"objectives missed 1: {LAND}@same-city" in capsys.readouterr().err


def test_a_suspect_point_meets_no_objective(
    app: App, point: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    point(LAND, 90)
    point(MAPS, 0)
    good = next(each for each in app.catalogue.points() if each.system == "land-registry")
    sign = Signal(Sign.CANARY, "canary.docx was changed", "scans")
    odd = replace(good, id="odd", data_time=now(), finished_at=now(), suspicion=(sign,))
    app.catalogue.add_point(odd)
    app.catalogue.set_landings("same-city", good.tenant, good.system, {good.id: good.data_time, "odd": now()})
    work = DueWork(app, "backup", app.systems("natural-resources"))
    assert work.refs == [], "it was backed up"
    assert work.conclude([]) == 4
    assert f"objectives missed 1: {LAND}@same-city" in capsys.readouterr().err
    settle(app.catalogue, ["odd"], Standing.GOOD, reason="looked at it", by="zhang")
    assert work.conclude([]) == 0


def test_what_another_process_does_already_is_no_failure(
    app: App, point: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    refs = app.systems("natural-resources")
    Ledger(app.catalogue).submit(Order("backup", LAND, {}, ()))
    work = DueWork(app, "backup", refs)
    assert [str(ref) for ref in work.refs] == [MAPS]
    for ref in refs:
        point(str(ref), 0)
    results = ended(work.refs, Busy("a run is open"))
    assert work.without_running(results) == []
    assert work.conclude(results) == 0
    assert "already running 2" in capsys.readouterr().err
    work.began(refs[1])  # a lease that was taken during the run
    assert work.conclude(results) == 3


def test_a_command_with_nothing_due_ends_with_0_and_says_so(
    app: App, point: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    point(LAND, 0)
    for words in (["backup", "run", LAND, "--due"], ["replicate", LAND, "--due"]):
        assert run(words) == 0
        shown = capsys.readouterr()
        assert "到期 due 0" in shown.err
        assert shown.out == ""
