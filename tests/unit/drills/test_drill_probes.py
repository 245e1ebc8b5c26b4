"""Probes against real trees and images. Those of databases are tried with a real server among the integration tests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drills.probes import SHOWN_DIFFERENCES, probe_image, probe_manifest
from orchestrator.backups.document import SourceProof
from orchestrator.backups.proof import compare_tables
from orchestrator.backups.sources.path import hash_tree
from orchestrator.catalogue.records import SourceCopy


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    for number in range(40):
        path = folder / f"科室{number % 4}" / f"文件 {number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"内容 {number}\n" * number, encoding="utf-8")
    return folder


@pytest.fixture
def proof(tree: Path) -> SourceProof:
    return of("path", {"manifest": {path: asdict(state) for path, state in hash_tree(tree).items()}})


def of(kind: str, facts: Mapping[str, Any]) -> SourceProof:
    return SourceProof(SourceCopy("source", kind, "a" * 64, datetime.now(UTC), 0, 0), facts)


def test_an_untouched_tree_is_proved(tree: Path, proof: SourceProof) -> None:
    found = probe_manifest(proof, tree)
    assert found.passed
    assert found.got == "40 files, SHA-256 equal; this point keeps no metadata to compare"
    assert found.detail == ()


@pytest.mark.parametrize("harm", ["flip", "shorten", "delete", "add", "rename"])
def test_any_harm_is_found_and_named(tree: Path, proof: SourceProof, harm: str) -> None:
    victim = tree / "科室3" / "文件 39.txt"
    content = victim.read_bytes()
    match harm:
        case "flip":
            victim.write_bytes(content[:-1] + b"!")
        case "shorten":
            victim.write_bytes(content[:-1])
        case "delete":
            victim.unlink()
        case "add":
            victim.with_name("文件 39.txt~").touch()
        case "rename":
            victim.rename(victim.with_name("别名.txt"))
    found = probe_manifest(proof, tree)
    assert not found.passed
    assert any("科室3/" in line for line in found.detail)


def test_of_many_differences_the_first_are_named_and_the_rest_counted(tree: Path, proof: SourceProof) -> None:
    for path in tree.rglob("*.txt"):
        path.unlink()
    found = probe_manifest(proof, tree)
    assert found.got == "40 differences"
    assert len(found.detail) == SHOWN_DIFFERENCES + 1
    assert found.detail[-1] == f"… and {40 - SHOWN_DIFFERENCES} more"


def test_a_file_that_changed_during_the_backup_proves_nothing_and_the_report_says_so(
    tree: Path, proof: SourceProof
) -> None:
    moving = next(iter(proof.facts["manifest"]))
    proof.facts["manifest"][moving]["sha256"] = None
    (tree / moving).write_text("something else")
    found = probe_manifest(proof, tree)
    assert found.passed
    assert found.expected.startswith("39 files")
    assert "1 changed during the backup" in found.got


def test_an_image_is_compared_by_size_and_content(tmp_path: Path) -> None:
    image = tmp_path / "volume.raw"
    content = b"boot" + bytes(3_000_000)
    image.write_bytes(content)
    proof = of("volume", {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    assert probe_image(proof, image).passed
    image.write_bytes(content + b"\0")
    assert not probe_image(proof, image).passed
    image.write_bytes(b"Boot" + bytes(3_000_000))
    assert not probe_image(proof, image).passed


def test_tables_are_compared_by_name_rows_and_digest() -> None:
    want = {name: {"rows": 3, "digest": "7"} for name in ("public.a", "public.b", "public.c", "public.d")}
    got = {
        "public.a": {"rows": 3, "digest": "7"},
        "public.b": {"rows": 2, "digest": "7"},
        "public.c": {"rows": 3, "digest": "8"},
        "public.e": {"rows": 3, "digest": "7"},
    }
    assert list(compare_tables(want, got)) == [
        "rows of public.b: 2, want 3",
        "content of public.c differs",
        "missing public.d",
        "surplus public.e",
    ]
    assert list(compare_tables(want, want)) == []
