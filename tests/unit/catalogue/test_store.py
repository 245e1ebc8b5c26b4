"""The catalogue on a real SQLite file."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from orchestrator.catalogue import tables
from orchestrator.catalogue.records import Point, SourceCopy
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import InvalidInput, Unreachable

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")


def point(number: int) -> Point:
    when = NOON + timedelta(minutes=number)
    copy = SourceCopy("files", "path", f"{number:064x}", when, 100, 3)
    return Point(f"p{number}", f"p{number}", "bureau", "system", "tier", when, when, 100, 10, "d" * 64, (copy,))


def test_a_point_comes_back_as_it_was(catalogue: Catalogue) -> None:
    catalogue.add_point(point(1))
    catalogue.add_point(point(1))
    assert catalogue.points("bureau", "system") == [point(1)]


def test_a_point_says_which_centres_it_was_written_past(catalogue: Catalogue) -> None:
    past = replace(point(1), bypassed=("same-city",))
    catalogue.add_point(past)
    catalogue.add_point(point(2))
    catalogue.set_landings("provincial", "bureau", "system", {"p1": NOON, "p2": NOON})
    assert catalogue.points("bureau", "system") == [point(2), past]
    assert [each.point.bypassed for each in catalogue.points_at("provincial")] == [(), ("same-city",)]


def test_a_system_has_a_past_from_its_first_point_or_its_first_try_on(catalogue: Catalogue) -> None:
    assert not catalogue.has_points("bureau", "system")
    catalogue.add_point(point(1))
    assert catalogue.has_points("bureau", "system")
    assert not catalogue.has_points("bureau", "other")


def test_landings_follow_the_listing(catalogue: Catalogue) -> None:
    for number in (1, 2):
        catalogue.add_point(point(number))
    catalogue.set_landings("provincial", "bureau", "system", {"p1": NOON, "p2": NOON})
    catalogue.mark_proved("p1", "provincial")
    assert [each.point.id for each in catalogue.points_at("provincial")] == ["p2", "p1"]
    catalogue.set_landings("provincial", "bureau", "system", {"p1": NOON + timedelta(hours=1)})
    (left,) = catalogue.points_at("provincial")
    assert (left.point.id, left.landed_at) == ("p1", NOON), "a point that stays keeps its landing and proof"
    assert left.proved_at is not None
    assert catalogue.points_at("same-city") == []


def test_a_system_keeps_its_first_day(catalogue: Catalogue) -> None:
    catalogue.register_systems([("bureau", "system")])
    first = catalogue.system_created()
    catalogue.register_systems([("bureau", "system"), ("bureau", "other")])
    assert catalogue.system_created()[("bureau", "system")] == first[("bureau", "system")]
    assert len(catalogue.system_created()) == 2


def test_naive_times_are_refused(catalogue: Catalogue) -> None:
    with pytest.raises(Exception, match="without a zone"):
        catalogue.set_landings("provincial", "b", "s", {"p": datetime(2026, 1, 1)})  # noqa: DTZ001


def test_a_newer_schema_is_refused(catalogue: Catalogue) -> None:
    with catalogue.engine.begin() as db:
        db.execute(update(tables.schema).values(version=tables.SCHEMA_VERSION + 1))
    with pytest.raises(InvalidInput, match="this program knows"):
        Catalogue(catalogue.url)


def test_a_broken_file_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "catalogue.sqlite").write_text("this is no database, whatever its name says" * 50)
    with pytest.raises(Unreachable, match="cannot be opened"):
        Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
