"""The catalogue is lost, and comes back from what a vault holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.catalogue.records import Point
from tests.integration.conftest import SmallSite

pytestmark = pytest.mark.integration

REGISTRY, NOTICES = "bureau/registry", "bureau/notices"


def points(site: SmallSite) -> dict[str, Point]:
    """Return the points of the catalogue; what a document does not say is left out of the comparison."""
    return {each.id: replace(each, added_bytes=0) for each in site.app.catalogue.points()}


def files_in(folder: Path) -> dict[str, bytes]:
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def without_catalogue(site: SmallSite, folder: Path) -> SmallSite:
    """Return the site as somebody has it who starts with nothing but the site folder."""
    folder.mkdir()
    state = f"state: {site.app.state}"
    return replace(site, overlay=site.edited(folder, lambda text: text.replace(state, f"state: {folder / 'state'}")))


@pytest.fixture(scope="module")
def copied(small_site: SmallSite) -> SmallSite:
    """A site with two points of each system at both centres."""
    for _ in range(2):
        small_site.tricenter("backup", "run")
    small_site.tricenter("replicate")
    return small_site


def test_the_points_of_the_province_come_back_and_can_be_restored(copied: SmallSite, tmp_path: Path) -> None:
    lost = without_catalogue(copied, tmp_path / "lost")
    foreseen = lost.json("catalogue", "rebuild", "--centre", "provincial", "--dry-run")
    assert {each["system"]: len(each["added"]) for each in foreseen if each["added"]} == {REGISTRY: 2, NOTICES: 2}
    assert points(lost) == {}
    found = lost.json("catalogue", "rebuild", "--centre", "provincial")
    assert found == foreseen
    assert points(lost) == points(copied)
    assert {each.centre for each in lost.app.catalogue.points_at()} == {"provincial"}
    lost.tricenter("catalogue", "rebuild", "--centre", "same-city")
    assert points(lost) == points(copied)
    target = tmp_path / "restored"
    lost.tricenter("backup", "restore", REGISTRY, "--centre", "provincial", "--target", str(target))
    source = copied.app.system(REGISTRY).system.sources["scans"]
    assert source.kind == "path"
    assert files_in(target / "scans") == files_in(Path(source.path))


def test_it_may_be_repeated_and_goes_on_where_it_was_killed(copied: SmallSite, tmp_path: Path) -> None:
    lost = without_catalogue(copied, tmp_path / "lost")

    def one_is_there() -> bool:
        return (lost.app.state / "catalogue.sqlite").exists() and bool(lost.app.catalogue.points())

    words = ("catalogue", "rebuild", "--centre", "same-city")
    lost.kill_in_the_middle(*words, when=one_is_there, log=tmp_path / "log")
    before = points(lost)
    again = {each["system"]: each for each in lost.json(*words)}
    assert points(lost) == points(copied)
    assert sum(each["known"] for each in again.values()) == len(before) > 0
    assert all(each["added"] == [] and each["known"] == 2 for each in lost.json(*words))


def test_a_document_whose_data_is_gone_makes_no_point(copied: SmallSite, tmp_path: Path) -> None:
    lost = without_catalogue(copied, tmp_path / "lost")
    newest = copied.app.catalogue.points("bureau", "notices")[0]
    copied.app.expirer("same-city", copied.app.system(NOTICES)).forget([newest.sources[0].snapshot_id])
    found = lost.tricenter("catalogue", "rebuild", NOTICES, "--centre", "same-city", code=4)
    assert "is not complete here: 1 of its snapshots" in " ".join(found.stdout.split())
    assert newest.id not in points(lost)
    assert len(points(lost)) == 1


def test_where_nothing_is_nothing_comes_back(fresh_site: SmallSite) -> None:
    found = fresh_site.json("catalogue", "rebuild", "--centre", "same-city")
    assert [(each["known"], each["added"]) for each in found] == [(0, []), (0, [])]
    refused = fresh_site.tricenter("catalogue", "rebuild", "--centre", "produktion", code=2)
    assert "did you mean" in refused.stderr or "produktion" in refused.stderr
