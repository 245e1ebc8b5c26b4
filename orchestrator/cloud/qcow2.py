"""A raw disk image as a stream in the format qcow2, which leaves out what is zero. Nothing is written to a disk.

Most of a server's disk was never written to. Only what was goes over the network and through the image service, so
that a restored volume is there in a fraction of the time; every cloud makes a raw volume of it again.

The layout is the specification's (docs/interop/qcow2.txt of QEMU), version 2, in this order: header, refcount table,
refcount blocks, L1 table, L2 tables, data. All of it is known after the image was looked through once.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

CLUSTER_BITS = 16
CLUSTER = 1 << CLUSTER_BITS
ENTRIES = CLUSTER // 8
REFCOUNTS = CLUSTER // 2
#: "There is one reference to it": what entries of both tables say of clusters that may be written in place.
COPIED = 1 << 63
ZEROS = bytes(CLUSTER)
PIECE_BYTES = 1 << 20


class Qcow2:
    """The qcow2 form of a raw image file: its length is known, and it may be read several times.

    The file must not change meanwhile. Its size is rounded up to whole sectors of 512 bytes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = -(-path.stat().st_size // 512) * 512
        self._used = _used_clusters(path)
        groups = -(-len(self._used) // ENTRIES)
        self._l2_of = {group: place for place, group in enumerate(filter(self._has_data, range(groups)))}
        self._l1_entries, self._l1_clusters = groups, -(-groups // ENTRIES)
        self._data_clusters = self._used.count(1)
        self._blocks = self._tables = 1
        while (need := self._refcounts()) != (self._blocks, self._tables):
            self._blocks, self._tables = need

    def __len__(self) -> int:
        return self._clusters * CLUSTER

    def __iter__(self) -> Iterator[bytes]:
        yield from self._head()
        with self._path.open("rb") as file:
            for first, count in _runs(self._used, PIECE_BYTES // CLUSTER):
                file.seek(first * CLUSTER)
                yield _read(file, count * CLUSTER)

    @property
    def _clusters(self) -> int:
        return self._first_data + self._data_clusters

    @property
    def _first_data(self) -> int:
        return 1 + self._tables + self._blocks + self._l1_clusters + len(self._l2_of)

    def _has_data(self, group: int) -> bool:
        return 1 in self._used[group * ENTRIES : (group + 1) * ENTRIES]

    def _refcounts(self) -> tuple[int, int]:
        """Return how many clusters of refcounts there must be, themselves counted, and of the table of those."""
        blocks = -(-self._clusters // REFCOUNTS)
        return blocks, -(-blocks // ENTRIES)

    def _head(self) -> Iterator[bytes]:
        first_block = 1 + self._tables
        first_l1 = first_block + self._blocks
        first_l2 = first_l1 + self._l1_clusters
        header = struct.pack(
            ">4sIQIIQIIQQIIQ",
            b"QFI\xfb", 2, 0, 0, CLUSTER_BITS, self._size, 0, self._l1_entries, first_l1 * CLUSTER,
            CLUSTER, self._tables, 0, 0,
        )  # fmt: skip
        table = [(first_block + number) * CLUSTER for number in range(self._blocks)]
        l1 = [0] * self._l1_entries
        for group, place in self._l2_of.items():
            l1[group] = (first_l2 + place) * CLUSTER | COPIED
        yield _padded(header, 1)
        yield _padded(_numbers(table), self._tables)
        yield _padded(struct.pack(">H", 1) * self._clusters, self._blocks)
        yield _padded(_numbers(l1), self._l1_clusters)
        yield from self._l2_tables()

    def _l2_tables(self) -> Iterator[bytes]:
        place = self._first_data
        for group in self._l2_of:
            entries = []
            for used in self._used[group * ENTRIES : (group + 1) * ENTRIES]:
                entries.append(place * CLUSTER | COPIED if used else 0)
                place += used
            yield _padded(_numbers(entries), 1)


def _used_clusters(path: Path) -> bytearray:
    """Return one byte for each cluster of a file: 1 where something is not zero. Holes are not read."""
    used = bytearray(-(-path.stat().st_size // CLUSTER))
    with path.open("rb") as file:
        at = _next_data(file, 0)
        while at is not None:
            file.seek(at)
            piece = _read(file, PIECE_BYTES)
            for offset in range(0, PIECE_BYTES, CLUSTER):
                if piece[offset : offset + CLUSTER] != ZEROS:
                    used[(at + offset) // CLUSTER] = 1
            at = _next_data(file, at + PIECE_BYTES)
    return used


def _next_data(file: BinaryIO, at: int) -> int | None:
    """Return the first cluster's place, at `at` or behind it, that is no hole; None when there is no more."""
    try:
        return os.lseek(file.fileno(), at, os.SEEK_DATA) // CLUSTER * CLUSTER
    except OSError:
        return None


def _runs(used: bytearray, longest: int) -> Iterator[tuple[int, int]]:
    """Yield the used clusters as runs: the first, and how many, `longest` at most."""
    at = used.find(1)
    while at != -1:
        end = used.find(0, at, at + longest)
        end = min(at + longest, len(used)) if end == -1 else end
        yield at, end - at
        at = used.find(1, end)


def _read(file: BinaryIO, size: int) -> bytes:
    """Read `size` bytes, what is behind the end of the file as zeros."""
    content = file.read(size)
    return content if len(content) == size else content.ljust(size, b"\0")


def _numbers(values: list[int]) -> bytes:
    return struct.pack(f">{len(values)}Q", *values)


def _padded(content: bytes, clusters: int) -> bytes:
    return content.ljust(clusters * CLUSTER, b"\0")
