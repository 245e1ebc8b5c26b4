"""What is kept of a tree beside its content, and what a restore is found to lack of it, on real trees."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.backups.document import SourceProof
from orchestrator.backups.proof import prove_folder
from orchestrator.backups.sources.metadata import compare_metadata, read_metadata, settled_metadata
from orchestrator.backups.sources.path import hash_tree
from orchestrator.backups.sources.tree import walk_tree
from orchestrator.catalogue.records import SourceCopy
from orchestrator.process import run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / "空目录").mkdir(parents=True)
    (made / "a").write_text("one")
    (made / "b").hardlink_to(made / "a")
    (made / "own").write_text("x")
    (made / "own").chmod(0o4750)
    (made / "link").symlink_to("nowhere")
    os.mkfifo(made / "pipe")
    return made


@pytest.fixture
def copied(tree: Path, tmp_path: Path) -> Path:
    run(["cp", "-a", str(tree), str(tmp_path / "copy")], deadline_seconds=10)
    return tmp_path / "copy"


def proof_of(tree: Path, *, metadata: bool = True) -> SourceProof:
    seen = walk_tree(tree)
    facts = {"manifest": {name: asdict(state) for name, state in hash_tree(tree).items()}}
    if metadata:
        facts["metadata"] = settled_metadata(read_metadata(seen), seen, walk_tree(tree))
    copy = SourceCopy("files", "path", "a" * 64, datetime.now(UTC), 1, 1)
    return SourceProof(copy, json.loads(json.dumps(facts)))


def test_a_faithful_copy_is_proved_and_says_what_was_compared(tree: Path, copied: Path) -> None:
    found = prove_folder(proof_of(tree), copied)
    assert (found.proved, found.faults) == (True, ())
    owner = "owner, " if os.geteuid() == 0 else ""
    assert found.detail.startswith(
        f"3 files, SHA-256 equal; of 6 entries type, mode, {owner}time, links and extended attributes equal"
    )


def replace_link(tree: Path) -> None:
    (tree / "link").unlink()
    (tree / "link").symlink_to("elsewhere")


def split_names(tree: Path) -> None:
    (tree / "b").unlink()
    shutil.copy2(tree / "a", tree / "b")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda tree: (tree / "own").chmod(0o750), "mode of own: -rwxr-x---, want -rwsr-x---"),
        (lambda tree: (tree / "空目录").rmdir(), "missing 空目录"),
        (lambda tree: (tree / "more").mkdir(), "surplus more"),
        (replace_link, "target of link: elsewhere, want nowhere"),
        (split_names, "first name of b: None, want a"),
        (lambda tree: (tree / "pipe").unlink(), "missing pipe"),
        (lambda tree: os.utime(tree / "a", ns=(1, 2)), "time of a: 2, want"),
        (
            lambda tree: os.setxattr(tree / "a", "user.dr", b"1"),
            "extended attributes of a: user.dr (6b86b273), want no",
        ),
    ],
)
def test_what_did_not_come_back_is_named(tree: Path, copied: Path, damage: Callable[[Path], object], told: str) -> None:
    damage(copied)
    found = prove_folder(proof_of(tree), copied)
    assert not found.proved
    assert [each for each in found.faults if each.startswith(told)], found.faults


def test_a_point_of_before_metadata_was_kept_proves_its_content(tree: Path, copied: Path) -> None:
    (copied / "own").chmod(0o600)
    found = prove_folder(proof_of(tree, metadata=False), copied)
    assert (found.proved, found.detail) == (True, "3 files, SHA-256 equal; this point keeps no metadata to compare")


def test_of_what_changed_meanwhile_nothing_is_asked(tree: Path) -> None:
    seen = walk_tree(tree)
    before = read_metadata(seen)
    (tree / "own").chmod(0o700)
    (tree / "came").mkdir()
    (tree / "pipe").unlink()
    settled = settled_metadata(before, seen, walk_tree(tree))
    assert {name for name, state in settled.items() if state is None} == {"own", "came", "pipe"}


def test_owners_are_asked_for_of_root_only(tree: Path) -> None:
    want = read_metadata(walk_tree(tree))
    (first, *_), got = sorted(want), dict(want)
    state = asdict(want[first]) | {"uid": 4711, "attributes": {"trusted.x": "0" * 32}}
    got[first] = type(want[first])(**state)
    assert compare_metadata(dict(want), got, as_root=False) == []
    assert len(compare_metadata(dict(want), got, as_root=True)) == 2


def test_a_socket_is_left_out_and_a_link_to_a_folder_is_not_followed(tree: Path) -> None:
    os.mknod(tree / "socket", stat.S_IFSOCK | 0o600)
    (tree / "to-folder").symlink_to("空目录")
    (tree / "空目录" / "inside").write_text("")
    names = {str(each.path.relative_to(tree)) for each in walk_tree(tree)}
    assert names == {"空目录", "空目录/inside", "a", "b", "own", "link", "pipe", "to-folder"}
