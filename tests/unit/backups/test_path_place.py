"""A folder put beside its place, swapped, undone, committed: cut off between any two changes of the file system."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator.backups.access import Access
from orchestrator.backups.document import SourceProof
from orchestrator.backups.places import Back, place_from
from orchestrator.backups.places.path import PathPlace
from orchestrator.catalogue.records import SourceCopy
from orchestrator.errors import CheckFailed, NoSpace, Refused
from orchestrator.vault.restic import Repository

RUN = "20261123T101500Z-3f9a1c07"
ACCESS = cast(Access, None)  # a folder needs nothing of the object graph
NOWHERE = Path("/nonexistent")
NEW = {"a": "new", "deep/b": "newer"}
OLD = {"a": "old", "only-old": "x"}


class Snapshots:
    def restore(self, snapshot_id: str, target: Path, *, total_bytes: int, on_progress: Any = None) -> None:
        del snapshot_id, total_bytes, on_progress
        for name, text in NEW.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_text(text)
        (target / "deep").chmod(0o500)  # as it was at the source


REPOSITORY = cast(Repository, Snapshots())
PROOF = SourceProof(SourceCopy("scans", "path", "a" * 64, datetime.now(UTC), 1000, 2), {})


@pytest.fixture
def place(tmp_path: Path) -> PathPlace:
    folder = tmp_path / "srv" / "scans"
    folder.mkdir(parents=True, mode=0o750)
    for name, text in OLD.items():
        (folder / name).write_text(text)
    return PathPlace(str(folder))


def tree(folder: str | Path) -> dict[str, str]:
    return {str(each.relative_to(folder)): each.read_text() for each in Path(folder).rglob("*") if each.is_file()}


def names(place: PathPlace) -> set[str]:
    return {each.name for each in Path(place.path).parent.iterdir()}


def put(place: PathPlace) -> None:
    place.put(ACCESS, RUN, REPOSITORY, PROOF, NOWHERE)


def test_put_swap_undo(place: PathPlace) -> None:
    put(place)
    assert tree(place.path) == OLD
    assert tree(place.data(ACCESS, RUN, NOWHERE)) == NEW
    assert place.data(ACCESS, RUN, NOWHERE).parent.stat().st_mode & 0o077 == 0
    assert place.swap(ACCESS, RUN).before == f"{place.path}.before-{RUN}"
    assert tree(place.path) == NEW
    assert Path(place.path).stat().st_mode & 0o777 == 0o750
    assert place.data(ACCESS, RUN, NOWHERE) == Path(place.path)
    (Path(place.path) / "since").write_text("written after the swap")
    assert place.undo(ACCESS, RUN) is Back.BACK
    assert tree(place.path) == OLD
    assert names(place) == {"scans"}
    assert place.undo(ACCESS, RUN) is Back.NOTHING


def test_commit(place: PathPlace) -> None:
    put(place)
    with pytest.raises(CheckFailed, match="nothing was swapped"):
        place.commit(ACCESS, RUN)
    place.swap(ACCESS, RUN)
    place.commit(ACCESS, RUN)
    place.commit(ACCESS, RUN)
    assert names(place) == {"scans"}
    assert tree(place.path) == NEW
    assert place.undo(ACCESS, RUN) is Back.NOTHING
    assert tree(place.path) == NEW


def test_where_nothing_stood(tmp_path: Path) -> None:
    place = PathPlace(str(tmp_path / "scans"))
    put(place)
    assert place.swap(ACCESS, RUN).before is None
    assert tree(place.path) == NEW
    assert place.undo(ACCESS, RUN) is Back.BACK
    assert names(place) == set()


def test_drop_takes_only_what_was_not_swapped(place: PathPlace) -> None:
    put(place)
    place.drop(ACCESS, RUN)
    assert names(place) == {"scans"}
    put(place)
    place.swap(ACCESS, RUN)
    place.drop(ACCESS, RUN)
    assert tree(place.path) == NEW
    assert place.swap(ACCESS, RUN).before  # said again
    put(place)  # a worker that took the run over starts from its pin
    assert tree(place.path) == NEW


class Cut(BaseException):
    pass


CHANGES = ("rename", "replace", "mkdir", "unlink", "rmdir", "chmod", "open", "link")


@contextmanager
def cut_after(monkeypatch: pytest.MonkeyPatch, changes: int) -> Iterator[None]:
    """End the work before the next change of the file system, as kill -9 does: nothing is tidied up."""
    done = [0]

    def counted(real: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            writes = name != "open" or (len(args) > 1 and isinstance(args[1], int) and args[1] & os.O_CREAT)
            if writes:
                if done[0] == changes:
                    raise Cut
                done[0] += 1
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, counted(getattr(os, name), name))
        yield


@pytest.mark.parametrize("existed", [True, False])
@pytest.mark.parametrize("way", ["undo", "commit"])
def test_cut_off_between_any_two_changes_it_goes_on_to_the_same_end(
    place: PathPlace, monkeypatch: pytest.MonkeyPatch, way: str, existed: bool
) -> None:
    if not existed:
        place = PathPlace(place.path + "-new")
    cuts = 0
    acts: list[Callable[[], object]] = [
        lambda: put(place),
        lambda: place.swap(ACCESS, RUN),
        lambda: getattr(place, way)(ACCESS, RUN),
    ]
    for act in acts:
        for after in itertools.count():
            try:
                with cut_after(monkeypatch, after):
                    act()
                break
            except Cut:
                cuts += 1
    assert cuts > 12
    left = names(place) - {"scans"}
    if way == "commit":
        assert tree(place.path) == NEW
        assert left == (set() if existed else {"scans-new"})
    else:
        assert left == set()
        assert not existed or tree(place.path) == OLD


def test_cut_off_anywhere_in_the_swap_the_undo_brings_everything_back(
    place: PathPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts = 0
    for after in itertools.count():
        put(place)
        try:
            with cut_after(monkeypatch, after):
                place.swap(ACCESS, RUN)
            break
        except Cut:
            cuts += 1
        place.undo(ACCESS, RUN)
        assert tree(place.path) == OLD
        assert names(place) == {"scans"}
    assert cuts >= 4


def test_what_cannot_be_renamed_is_refused_before_anything_is_restored(place: PathPlace, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(place.path)
    for path, words in (
        (str(link), "symbolic link"),
        ("/proc", "mount point"),
        (str(tmp_path / "none" / "x"), "is not there"),
    ):
        with pytest.raises(Refused, match=words):
            put(PathPlace(path))
    with pytest.raises(NoSpace):
        place.check(ACCESS, 1 << 60)
    assert names(place) == {"scans"}


def test_an_application_that_made_the_folder_anew_is_not_overwritten(
    place: PathPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(place)
    place.swap(ACCESS, RUN)
    data = Path(place.path).with_name(f".scans.tricenter-{RUN}") / "data"
    Path(place.path).rename(data)  # as an undo that was cut off leaves it
    Path(place.path).mkdir()
    (Path(place.path) / "fresh").write_text("written meanwhile")
    with pytest.raises(CheckFailed, match="made it anew"):
        place.undo(ACCESS, RUN)
    with pytest.raises(CheckFailed, match="made it anew"):
        place.swap(ACCESS, RUN)
    assert tree(place.path) == {"fresh": "written meanwhile"}


def test_a_place_travels_as_text(place: PathPlace) -> None:
    assert place_from(place.as_argument()) == place
    assert place.here
