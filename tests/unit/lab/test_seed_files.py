import hashlib
from pathlib import Path

from orchestrator.lab import seed_files, seed_volume

SMALL = 0.05


def digests(root: Path) -> dict[str, str]:
    return {
        str(each.relative_to(root)): hashlib.sha256(each.read_bytes()).hexdigest()
        for each in root.rglob("*")
        if each.is_file()
    }


def test_the_same_key_gives_the_same_tree_and_another_key_another(tmp_path: Path) -> None:
    for name, key in (("a", "city/x"), ("b", "city/x"), ("c", "city/y")):
        assert seed_files.fill(tmp_path / name, key, scale=SMALL)
    one, same, other = (digests(tmp_path / name) for name in "abc")
    assert one == same
    assert set(one.values()).isdisjoint(other.values())
    assert {Path(name).suffix for name in one} == {".txt", ".csv", ".html", ".json", ".png"}


def test_a_second_fill_changes_nothing(tmp_path: Path) -> None:
    seed_files.fill(tmp_path / "a", "k", scale=SMALL)
    (tmp_path / "a" / "mine.txt").write_text("kept")
    before = digests(tmp_path / "a")
    assert not seed_files.fill(tmp_path / "a", "k", scale=SMALL)
    assert digests(tmp_path / "a") == before


def test_a_fill_that_was_killed_half_way_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / ".a.draft").mkdir()
    (tmp_path / ".a.draft" / "torn").write_text("half")
    assert seed_files.fill(tmp_path / "a", "k", scale=SMALL)
    assert "torn" not in digests(tmp_path / "a")
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_growth_is_small_and_may_be_repeated(tmp_path: Path) -> None:
    seed_files.fill(tmp_path / "a", "k", scale=SMALL)
    start = digests(tmp_path / "a")
    seed_files.grow(tmp_path / "a", "k", 1)
    grown = digests(tmp_path / "a")
    changed = {name for name in start.keys() & grown.keys() if start[name] != grown[name]}
    assert 0 < len(changed) <= seed_files.GROWN_CHANGED
    assert len(grown.keys() - start.keys()) == seed_files.GROWN_NEW
    assert len(start.keys() - grown.keys()) == 1
    (next((tmp_path / "a").rglob("*.csv")).parent / ".x-000003.csv.draft").write_text("torn by kill -9")
    seed_files.grow(tmp_path / "a", "k", 1)
    assert digests(tmp_path / "a") == grown
    seed_files.grow(tmp_path / "a", "k", 2)
    assert digests(tmp_path / "a") != grown


def test_volume_content_is_whole_sectors_and_repeatable() -> None:
    first = seed_volume.content("k")
    assert len(first) == seed_volume.CONTENT_BYTES
    assert len(first) % 512 == 0
    assert first == seed_volume.content("k") != seed_volume.content("l")
