"""The manifest of a folder tree, on real trees."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from orchestrator.backups.sources import path as source
from orchestrator.backups.sources.path import FileState, compare_manifests, hash_tree
from orchestrator.backups.sources.tree import walk_tree
from orchestrator.errors import InvalidInput
from policies.tenant import PathSource


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "子目录").mkdir()
    (tmp_path / "子目录" / "公告.txt").write_text("内容")
    (tmp_path / "plain").write_bytes(b"x" * 100_000)
    (tmp_path / "draft.tmp").write_text("not me")
    (tmp_path / "link").symlink_to("plain")
    (tmp_path / os.fsdecode(b"broken-\xff")).write_text("odd name")
    return tmp_path


def test_every_regular_file_with_size_and_hash(tree: Path) -> None:
    manifest = hash_tree(tree, ["*.tmp"])
    assert sorted(manifest) == ["broken-\\xff", "plain", "子目录/公告.txt"]
    digest = hashlib.sha256("内容".encode()).hexdigest()
    assert manifest["子目录/公告.txt"] == FileState(6, digest)


def test_equal_trees_have_no_difference(tree: Path) -> None:
    assert compare_manifests(hash_tree(tree), hash_tree(tree)) == []


def test_every_difference_is_told(tree: Path) -> None:
    want = hash_tree(tree)
    (tree / "plain").write_bytes(b"y" * 100_000)
    (tree / "子目录" / "公告.txt").write_text("longer")
    (tree / "draft.tmp").unlink()
    (tree / "new").write_text("")
    lines = compare_manifests(want, {**hash_tree(tree), "子目录/公告.txt": FileState(7, "0" * 64)})
    assert lines == [
        "missing draft.tmp",
        "surplus new",
        "content of plain differs",
        "size of 子目录/公告.txt: 7, want 6",
    ]


def test_what_was_not_settled_is_not_asked_for() -> None:
    assert (
        compare_manifests({"log": FileState(10, None), "gone": FileState(1, None)}, {"log": FileState(20, "a")}) == []
    )


def test_a_file_that_changes_comes_or_goes_is_not_settled(tree: Path) -> None:
    before = source._hash_all(walk_tree(tree))
    (tree / "plain").write_bytes(b"changed")
    (tree / "new").write_text("came")
    (tree / "draft.tmp").unlink()
    manifest = source._settle(before, walk_tree(tree))
    assert {name for name, state in manifest.items() if not state.settled} == {"plain", "new", "draft.tmp"}


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        source.check_path(PathSource(kind="path", path=str(tmp_path / "none")))


def test_a_pattern_that_leaves_out_the_folder_behind_a_link_is_refused(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "link-to").symlink_to(tree / "子目录")
    with pytest.raises(InvalidInput, match="leaves out"):
        source.check_path(PathSource(kind="path", path=str(tmp_path / "link-to"), exclude=("子目录",)))
