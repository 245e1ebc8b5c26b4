"""A data set like a bureau's: many small files, some large ones, and database dumps; the same for the same seed."""

from __future__ import annotations

import random
from pathlib import Path

MIB = 1 << 20
SMALL_SHARE, LARGE_SHARE = 0.23, 0.45
TEXT = "地块 宗地 权利人 登记 证书 面积 用途 坐落 parcel owner permit issued expires street 0411 2026-03-17"
WORDS = TEXT.split()


def make(folder: Path, mib: int, seed: int = 1) -> None:
    """Fill `folder` with about `mib` MiB."""
    rng = random.Random(seed)
    _small(folder / "small", int(mib * SMALL_SHARE) * MIB, rng)
    _large(folder / "large", int(mib * LARGE_SHARE) * MIB, rng)
    _dumps(folder / "dumps", int(mib * (1 - SMALL_SHARE - LARGE_SHARE)) * MIB, rng)


def change(folder: Path, seed: int) -> None:
    """Change what a day changes: 2 % of the small files, pieces of four large ones, 8 MiB more in two dumps."""
    rng = random.Random(seed)
    small = sorted((folder / "small").rglob("*.dat"))
    for path in rng.sample(small, max(1, len(small) // 50)):
        path.write_bytes(rng.randbytes(path.stat().st_size))
    for path in sorted((folder / "large").iterdir())[:4]:
        with path.open("r+b") as file:
            file.seek(rng.randrange(max(1, path.stat().st_size - 3 * MIB)))
            file.write(rng.randbytes(3 * MIB))
    for path in sorted((folder / "dumps").iterdir())[:2]:
        with path.open("ab") as file:
            file.write(_rows(8 * MIB, rng))


def _small(folder: Path, size: int, rng: random.Random) -> None:
    number = 0
    while size > 0:
        length = rng.randint(1 << 10, 28 << 10)
        path = folder / f"{number // 400:03d}" / f"{number:06d}.dat"
        path.parent.mkdir(parents=True, exist_ok=True)
        half = rng.randbytes(length // 2)
        path.write_bytes(half + b"." * (length - len(half)))
        size, number = size - length, number + 1


def _large(folder: Path, size: int, rng: random.Random) -> None:
    folder.mkdir(parents=True)
    number = 0
    while size > 0:
        length = min(size, rng.randint(10, 100) * MIB)
        with (folder / f"{number:02d}.bin").open("wb") as file:
            for start in range(0, length, MIB):
                file.write(rng.randbytes(min(MIB, length - start)))
        size, number = size - length, number + 1


def _dumps(folder: Path, size: int, rng: random.Random) -> None:
    folder.mkdir(parents=True)
    number = 0
    while size > 0:
        length = min(size, 48 * MIB)
        (folder / f"{number:02d}.sql").write_bytes(_rows(length, rng))
        size, number = size - length, number + 1


def _rows(length: int, rng: random.Random) -> bytes:
    """Return text rows of a table: compressible, and no two alike."""
    rows, size = [], 0
    while size < length:
        row = f"{rng.getrandbits(64)}\t{' '.join(rng.choices(WORDS, k=12))}\t{rng.getrandbits(32):08x}\n".encode()
        rows.append(row)
        size += len(row)
    return b"".join(rows)
