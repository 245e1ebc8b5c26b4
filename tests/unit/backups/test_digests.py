"""What a machine remembers of points: as it was, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.backups.digests import KEPT, KnownDigests, digests_of
from policies.load import load_site
from policies.site import SystemRef

DIGESTS = {"scans": {"登记/a.pdf": "a" * 64, "changing": None}, "register": {"public.persons": "3 ff"}}


@pytest.fixture(scope="module")
def ref() -> SystemRef:
    return next(load_site(Path(__file__).parents[3] / "examples" / "dalian").systems())


def test_what_is_kept_comes_back_and_nothing_else(ref: SystemRef, tmp_path: Path) -> None:
    known = KnownDigests(tmp_path / "digests")
    assert known.of(ref, "a" * 64) is None
    known.keep(ref, "a" * 64, DIGESTS)
    assert KnownDigests(tmp_path / "digests").of(ref, "a" * 64) == DIGESTS
    assert known.of(ref, "b" * 64) is None


def test_half_of_it_is_not_known(ref: SystemRef, tmp_path: Path) -> None:
    known = KnownDigests(tmp_path)
    known.keep(ref, "a" * 64, DIGESTS)
    (file,) = (each for each in tmp_path.rglob("*") if each.is_file())
    whole = file.read_bytes()
    for left in (0, 30, 65, len(whole) - 1):
        file.write_bytes(whole[:left])
        assert known.of(ref, "a" * 64) is None
    file.write_bytes(whole.replace(b"ff", b"fe"))
    assert known.of(ref, "a" * 64) is None


def test_the_good_point_stays_however_many_suspect_ones_follow(ref: SystemRef, tmp_path: Path) -> None:
    known = KnownDigests(tmp_path)
    known.keep(ref, "good", DIGESTS)
    for number in range(4):
        assert known.of(ref, "good") == DIGESTS
        known.keep(ref, f"suspect-{number}", {})
    assert len([each for each in tmp_path.rglob("*") if each.is_file()]) == KEPT
    assert known.of(ref, "suspect-3") == {}


def test_a_place_that_takes_nothing_is_no_failure(ref: SystemRef, tmp_path: Path) -> None:
    (tmp_path / "digests").write_text("a file stands where the folder should be")
    known = KnownDigests(tmp_path / "digests")
    known.keep(ref, "a" * 64, DIGESTS)
    assert known.of(ref, "a" * 64) is None


def test_files_and_tables_have_digests_and_an_image_has_none() -> None:
    assert digests_of({"manifest": {"a": {"size": 1, "sha256": "aa"}, "b": {"size": 2, "sha256": None}}}) == {
        "a": "aa",
        "b": None,
    }
    assert digests_of({"tables": {"public.x": {"rows": 3, "digest": "ff"}}}) == {"public.x": "3 ff"}
    assert digests_of({"size_bytes": 1, "sha256": "aa"}) == {}
