"""A restored tree moved into a folder that holds something: what is overwritten, what stops it, and interruptions."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from orchestrator.backups.merging import Moved, Overwrite, clashes, move

COMING = {"a": "new", "deep/b": "newer", "deep/deeper/c": "newest"}


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def read(folder: Path) -> dict[str, str]:
    return {str(each.relative_to(folder)): each.read_text() for each in folder.rglob("*") if each.is_file()}


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    return write(tmp_path / "staged", COMING)


@pytest.mark.parametrize("rule", Overwrite)
def test_an_empty_place_takes_all(staged: Path, tmp_path: Path, rule: Overwrite) -> None:
    (staged / "deep").chmod(0o500)
    (staged / "link").symlink_to("a")
    target = tmp_path / "target"
    assert list(clashes(staged, target, rule)) == []
    assert move(staged, target, rule) == Moved(new=4)
    assert read(target) == COMING | {"link": "new"}
    assert (target / "deep").stat().st_mode & 0o777 == 0o500
    assert not staged.exists()


@pytest.mark.parametrize(
    ("rule", "said", "mine", "moved"),
    [
        (Overwrite.REFUSE, ["deep/b"], "mine", None),
        (Overwrite.NEVER, [], "mine", Moved(new=1, kept=1, same=1)),
        (Overwrite.ALWAYS, [], "newer", Moved(new=1, overwritten=1, same=1)),
        (Overwrite.IF_OLDER, [], "newer", Moved(new=1, overwritten=1, same=1)),
    ],
)
def test_what_becomes_of_a_file_that_is_there(
    staged: Path, tmp_path: Path, rule: Overwrite, said: list[str], mine: str, moved: Moved | None
) -> None:
    target = write(tmp_path / "target", {"a": "new", "deep/b": "mine", "other": "stays"})
    os.utime(target / "deep" / "b", (1, 1))
    assert list(clashes(staged, target, rule)) == [f"{target}/{each} exists" for each in said]
    if moved is None:
        with pytest.raises(FileExistsError):
            move(staged, target, rule)
    else:
        assert move(staged, target, rule) == moved
        assert read(target)["deep/deeper/c"] == "newest"
    assert (target / "deep" / "b").read_text() == mine
    assert (target / "other").read_text() == "stays"


def test_a_younger_file_stays_where_older_ones_go(staged: Path, tmp_path: Path) -> None:
    target = write(tmp_path / "target", {"deep/b": "mine"})
    os.utime(staged / "deep" / "b", (1, 1))
    assert move(staged, target, Overwrite.IF_OLDER).kept == 1
    assert (target / "deep" / "b").read_text() == "mine"


def test_nothing_of_another_kind_gives_way_whatever_the_rule(staged: Path, tmp_path: Path) -> None:
    target = write(tmp_path / "target", {"deep": "a file", "elsewhere/b": "x"})
    (target / "a").mkdir()
    said = list(clashes(staged, target, Overwrite.ALWAYS))
    assert [each.rpartition(f"{target}/")[2] for each in said] == [
        "a is a folder here, and not in the point",
        "deep is no folder here, and not in the point",
    ]
    (target / "deep").unlink()
    (target / "deep").symlink_to(target / "elsewhere")  # never through a link to somewhere else
    assert f"{target}/deep is no folder here, and not in the point" in clashes(staged, target, Overwrite.ALWAYS)


@contextmanager
def dying_at(change: int) -> Iterator[None]:
    """End the block by KeyboardInterrupt before its so-manieth change of the file system."""
    left = itertools.count(change, -1)

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def call(*words: object) -> object:
            if next(left) == 1:
                raise KeyboardInterrupt
            return real(*words)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "replace", "unlink", "rmdir"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        yield


@pytest.mark.parametrize("rule", [Overwrite.REFUSE, Overwrite.ALWAYS, Overwrite.NEVER])
def test_a_move_that_is_killed_anywhere_is_completed_by_another(tmp_path: Path, rule: Overwrite) -> None:
    there = {"deep/kept": "x"} if rule is Overwrite.REFUSE else {"deep/kept": "x", "a": "mine"}
    for change in itertools.count(1):
        staged, target = write(tmp_path / f"s{change}", COMING), write(tmp_path / f"t{change}", there)
        whole = False
        with suppress(KeyboardInterrupt), dying_at(change):
            move(staged, target, rule)
            whole = True
        if not whole:
            assert list(clashes(staged, target, rule)) == []
            move(staged, target, rule)
        assert read(target) == COMING | {"deep/kept": "x"} | ({"a": "mine"} if rule is Overwrite.NEVER else {})
        assert not staged.exists()
        if whole:
            assert change > 3
            return
