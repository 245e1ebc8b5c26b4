"""What a machine remembers of a folder's files: used for a file that is as it was, and for no other."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.backups.known import YOUNG_NS, KnownContent
from orchestrator.backups.sources import path as source
from orchestrator.backups.sources.tree import Seen, walk_tree
from orchestrator.vault.restic import Stored
from policies.tenant import PathSource


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "登记").mkdir(parents=True)
    (folder / "登记" / "a").write_bytes(b"first")
    (folder / "b").write_bytes(b"second")
    return folder


@pytest.fixture
def known(tmp_path: Path) -> KnownContent:
    return KnownContent(tmp_path / "cache" / "content" / "scans")


def files(tree: Path) -> dict[str, Seen]:
    return {each.key: each for each in walk_tree(tree) if each.is_file}


def change_and_put_the_time_back(file: Path) -> None:
    file.write_bytes(b"SECOND")
    os.utime(file, ns=(0, 0))


def later() -> int:
    """A moment at which what was just written is old."""
    return time.time_ns() + 2 * YOUNG_NS


def test_a_file_that_is_as_it_was_is_known(tree: Path, known: KnownContent) -> None:
    assert known.of(files(tree).values()) == {}
    known.keep({each: key for key, each in files(tree).items()}, later())
    assert {each.key: digest for each, digest in known.of(files(tree).values()).items()} == {
        "登记/a": "登记/a",
        "b": "b",
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_bytes(b"longer than before"),
        lambda file: (file.unlink(), file.write_bytes(b"second")),
        change_and_put_the_time_back,
    ],
)
def test_one_that_was_changed_is_not(tree: Path, known: KnownContent, change: Callable[[Path], Any]) -> None:
    file = tree / "b"
    os.utime(file, ns=(0, 0))  # so that its time can be put back
    known.keep({each: key for key, each in files(tree).items()}, later())
    before = file.stat().st_ctime_ns
    while file.stat().st_ctime_ns == before:  # until the clock that changes are dated by has ticked
        change(file)
    assert [each.key for each in known.of(files(tree).values())] == ["登记/a"]


def test_one_that_was_written_just_before_the_look_is_read_again(tree: Path, known: KnownContent) -> None:
    known.keep(dict.fromkeys(files(tree).values(), "x"), time.time_ns())
    assert known.of(files(tree).values()) == {}


def test_half_of_it_is_nothing(tree: Path, known: KnownContent, tmp_path: Path) -> None:
    known.keep(dict.fromkeys(files(tree).values(), "x"), later())
    (file,) = (tmp_path / "cache").rglob("scans")
    whole = file.read_bytes()
    for left in (0, 64, 65, len(whole) - 1):
        file.write_bytes(whole[:left])
        assert known.of(files(tree).values()) == {}


def test_a_backup_reads_what_changed_and_takes_the_rest_as_known(tree: Path, known: KnownContent) -> None:
    known.keep(dict.fromkeys(files(tree).values(), "known"), later())
    (tree / "b").write_bytes(b"changed since")
    stored = Stored("f" * 64, files=2, bytes=20, added_bytes=0, seconds=0.1)
    repository = cast(Any, SimpleNamespace(backup_folder=lambda *_, **__: stored))
    run = cast(Any, SimpleNamespace(step=lambda _, act, *words: act(*words), progress=lambda *_: None))
    tags = ("point=r", "source=scans")
    proof = source.back_up_path(
        run, "scans", PathSource(kind="path", path=str(tree)), repository, "bureau", tags, known
    )
    assert {key: state["sha256"] for key, state in proof.facts["manifest"].items()} == {
        "b": hashlib.sha256(b"changed since").hexdigest(),
        "登记/a": "known",
    }
