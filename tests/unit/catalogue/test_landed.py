"""A board whose landings are kept from look to look is the board that is read anew, whatever happened between."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, update

from orchestrator.catalogue import landed as module
from orchestrator.catalogue import store
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.board import Board, read_board
from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.landed import Landed
from orchestrator.catalogue.records import Point
from orchestrator.catalogue.store import Catalogue
from orchestrator.catalogue.suspicions import settle
from policies.saw import Saw
from policies.site import Site
from policies.suspicion import Standing
from tests.unit.catalogue.small_town import SYSTEM, TENANT

MINUTE = timedelta(minutes=1)
CENTRES = ("same-city", "provincial")
BEGAN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Change(NamedTuple):
    """What happens `after` so many minutes: a landing some minutes ago, or something about one of the points."""

    what: Literal["land", "go", "settle", "look"]
    after: int
    ago: int
    age: int
    centre: str
    number: int
    verdict: Standing


CHANGES = st.builds(
    Change,
    st.sampled_from(("land", "land", "land", "go", "settle", "look")),
    st.sampled_from((0, 0, 1, 10, 20, 600, 4000)),
    st.sampled_from((-3, 0, 1, 4, 6, 90, 9000, 30000)),
    st.integers(-30, 200),
    st.sampled_from(CENTRES),
    st.integers(0, 9),
    st.sampled_from((Standing.GOOD, Standing.BAD)),
)


@dataclass
class Life:
    """A catalogue whose clock is ours, and a reader that keeps what it has read."""

    catalogue: Catalogue
    site: Site
    now: datetime = BEGAN
    landed: dict[str, dict[str, datetime]] = field(default_factory=lambda: {each: {} for each in CENTRES})
    made: list[str] = field(default_factory=list)
    kept: Landed = field(default_factory=Landed)

    def goes_on(self, change: Change) -> None:
        self.now += change.after * MINUTE
        some = self.made[change.number % len(self.made)] if self.made else None
        here = self.landed[change.centre]
        if change.what == "land":
            self.land(change.ago * MINUTE, change.age * MINUTE, change.centre)
        elif change.what == "go" and some in here:
            del here[some]
            self.catalogue.set_landings(change.centre, TENANT, SYSTEM, here)
        elif change.what == "settle" and some:
            settle(self.catalogue, [some], change.verdict, reason="r", by="me")
        elif change.what == "look":
            self.look()

    def land(self, ago: timedelta, age: timedelta, centre: str) -> None:
        name, landed = f"p{len(self.made)}", self.now - ago
        data = landed - age
        self.made.append(name)
        self.catalogue.add_point(Point(name, "run", TENANT, SYSTEM, "small", data, data, 10, 1, "document", ()))
        self.landed[centre][name] = landed
        self.catalogue.set_landings(centre, TENANT, SYSTEM, self.landed[centre])

    def look(self) -> Board:
        seen = read_board(self.site, self.catalogue, self.now, landed=self.kept)
        assert seen == read_board(self.site, self.catalogue, self.now)
        return seen


@pytest.fixture(scope="module")
def empty() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "empty.sqlite"
        catalogue = Catalogue(f"sqlite:///{file}")
        catalogue.register_systems([(TENANT, SYSTEM), (TENANT, "another")])
        with catalogue.engine.begin() as db:
            db.execute(update(t.systems).values(created_at=BEGAN - timedelta(days=60)))
        catalogue.engine.dispose()
        yield file


@pytest.fixture
def life(empty: Path, tmp_path: Path, sites: dict[str, Site], monkeypatch: pytest.MonkeyPatch) -> Iterator[Life]:
    made = begin(empty, tmp_path / "catalogue.sqlite", sites["usual"], monkeypatch)
    yield made
    made.catalogue.engine.dispose()


def begin(empty: Path, file: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> Life:
    shutil.copy(empty, file)
    life = Life(Catalogue(f"sqlite:///{file}"), site)
    for each in (module, store):
        monkeypatch.setattr(each, "clock", lambda _: life.now)
    return life


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(("usual", "short")), st.lists(CHANGES, min_size=4, max_size=16))
def test_as_if_it_were_read_anew(empty: Path, sites: dict[str, Site], rules: str, changes: list[Change]) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        life = begin(empty, Path(folder) / "catalogue.sqlite", sites[rules], patch)
        life.look()
        for change in changes:
            life.goes_on(change)
        life.look()
        life.catalogue.engine.dispose()


LANDS = Change("land", 0, 0, 1, "same-city", 0, Standing.GOOD)
LOOKS = LANDS._replace(what="look", after=20)


@pytest.mark.parametrize(
    "change",
    [
        LANDS._replace(what="go"),
        LANDS._replace(what="settle", verdict=Standing.BAD),
        LANDS._replace(ago=90),
        LANDS._replace(ago=-3),
        LANDS._replace(centre="provincial"),
        LANDS._replace(after=9000),
    ],
    ids=["goes", "settled", "late", "ahead", "elsewhere", "afterwards"],
)
def test_what_happened_is_seen(life: Life, change: Change) -> None:
    for each in (LANDS, LOOKS, change, LOOKS, LOOKS):
        life.goes_on(each)


def test_what_only_comes_is_not_read_whole(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    life.land(600 * MINUTE, MINUTE, "same-city")
    life.look()
    whole: list[Any] = []
    read = module._read

    def note(db: Connection, since: datetime, systems: Any) -> dict[Key, Saw]:
        whole.append(systems)
        return read(db, since, systems)

    monkeypatch.setattr(module, "_read", note)
    life.now += 20 * MINUTE
    life.land(2 * MINUTE, MINUTE, "same-city")
    row = read_board(life.site, life.catalogue, life.now, landed=life.kept).rows[0]
    assert (row.rpo_actual, whole) == (3 * MINUTE, [])
    life.catalogue.set_landings("same-city", TENANT, SYSTEM, {})
    row = read_board(life.site, life.catalogue, life.now, landed=life.kept).rows[0]
    assert (row.last_data_time, whole) == (None, [[(TENANT, SYSTEM)]])


def test_a_window_that_begins_earlier_is_read_whole(life: Life) -> None:
    life.land(60 * MINUTE, MINUTE, "same-city")
    life.now += timedelta(days=20)
    life.look()
    life.now -= timedelta(days=15)
    life.look()


def test_another_catalogue_in_the_place_of_the_first_is_read_whole(life: Life, tmp_path: Path) -> None:
    life.catalogue.engine.dispose()
    file = tmp_path / "catalogue.sqlite"
    early = file.read_bytes()
    life.land(0 * MINUTE, MINUTE, "same-city")
    life.land(60 * MINUTE, MINUTE, "same-city")  # late: it is stamped
    life.look()
    life.catalogue.engine.dispose()
    for each in tmp_path.glob("catalogue.sqlite*"):
        each.unlink()
    file.write_bytes(early)
    assert life.look().rows[0].last_data_time is None
