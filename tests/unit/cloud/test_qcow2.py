"""Raw images as qcow2: QEMU's own tool finds no fault, and reads the same bytes again."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.cloud.qcow2 import CLUSTER, Qcow2
from orchestrator.process import run

GIB = 1 << 30


def raw(path: Path, size: int, pieces: dict[int, bytes]) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        for at, content in pieces.items():
            file.seek(at)
            file.write(content)
    return path


def check(path: Path, image: Path) -> None:
    content = Qcow2(path)
    with image.open("wb") as file:
        for piece in content:
            file.write(piece)
    assert image.stat().st_size == len(content)
    run(["qemu-img", "check", "-q", str(image)], deadline_seconds=60)  # leaks and corruptions are exit codes
    run(["qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", str(path), str(image)], deadline_seconds=60)


@pytest.mark.parametrize(
    ("size", "pieces"),
    [
        (512, {}),
        (512, {0: b"x"}),
        (CLUSTER, {CLUSTER - 1: b"x"}),
        (3 * CLUSTER + 512, {3 * CLUSTER: b"tail"}),
        (3 << 20, {0: os.urandom(3 << 20)}),
        (GIB, {0: b"first", GIB // 2 - 1: b"xy", GIB - 5: b"last!"}),
        (2100 * GIB, {0: b"x", 2099 * GIB: b"far"}),
    ],
)
def test_what_is_read_again_is_what_was_there(tmp_path: Path, size: int, pieces: dict[int, bytes]) -> None:
    check(raw(tmp_path / "disk.raw", size, pieces), tmp_path / "disk.qcow2")


def test_zeros_that_were_written_and_holes_take_no_room(tmp_path: Path) -> None:
    path = raw(tmp_path / "disk.raw", GIB, {0: bytes(8 << 20), 512 << 20: b"x" * CLUSTER})
    assert len(Qcow2(path)) < 10 * CLUSTER


def test_more_clusters_than_one_block_of_refcounts_holds(tmp_path: Path) -> None:
    path, marks = tmp_path / "disk.raw", random.Random(7)
    raw(path, 3 * GIB, {at * CLUSTER + marks.randrange(CLUSTER): b"!" for at in range(40_000)})
    content = Qcow2(path)
    head = b"".join(piece for piece, _ in zip(content, range(6), strict=False))
    assert len(content) > 40_000 * CLUSTER
    assert int.from_bytes(head[48:56], "big") == CLUSTER  # the refcount table; two blocks behind it
    assert [int.from_bytes(head[CLUSTER + at : CLUSTER + at + 8], "big") for at in (0, 8, 16)] == [
        2 * CLUSTER, 3 * CLUSTER, 0,
    ]  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), st.binary(min_size=1, max_size=300)), max_size=12))
def test_any_pattern_of_writes(tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[int, bytes]]) -> None:
    folder = tmp_path_factory.mktemp("disk")
    size = 220 * CLUSTER
    check(raw(folder / "disk.raw", size, {at * CLUSTER: each for at, each in writes}), folder / "disk.qcow2")
