"""Documents for a `path` source: a bureau's folder tree, the same on every machine for the same names."""

from __future__ import annotations

import csv
import html
import io
import json
import random
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from orchestrator.lab import seed_text as text

FILES = 320
#: Files that one step of growth touches: new ones, changed ones, and one removed.
GROWN_NEW, GROWN_CHANGED = 12, 8

Maker = Callable[[random.Random, float], bytes]


def fill(target: Path, key: str, *, scale: float = 1.0) -> bool:
    """Make the tree `target` from the seed `key` unless it is there; about 40 MiB at scale 1. Return whether made.

    Made under another name and moved into place, so a tree that is there is whole.
    """
    if target.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    for number in range(max(round(FILES * scale), 8)):
        _write(draft, key, number, edition=0)
    draft.rename(target)
    return True


def grow(target: Path, key: str, generation: int) -> None:
    """Change the tree as a working day does: some new documents, some edited, one removed.

    The same `generation` gives the same result, so one that was interrupted may be repeated.
    """
    for torn in target.rglob(".*.draft"):  # left by a growth that was killed
        torn.unlink()
    rng = text.generator(f"{key}/grow/{generation}")
    count = 1 + max(int(each.stem[-6:]) for folder, _, _ in _KINDS for each in (target / folder).rglob("*-??????.*"))
    standing = range(generation + 1, count)  # each generation removes the document of its own number
    for number in rng.sample(standing, min(GROWN_CHANGED, len(standing))):
        _write(target, key, number, edition=generation)
    first = 1_000_000 + generation * 1000
    for number in range(first, first + GROWN_NEW):
        _write(target / "增补 supplements", key, number, edition=generation)
    (target / _path(key, generation)).unlink(missing_ok=True)


def _path(key: str, number: int) -> str:
    """Return where document `number` stands; the number in its name tells which it is."""
    rng = text.generator(f"{key}/{number}/name")
    folder, suffix, _ = _KINDS[number % len(_KINDS)]
    return f"{folder}/{rng.randint(2021, 2026)}/{rng.choice(text.DISTRICTS)}/{text.title(rng)}-{number:06d}{suffix}"


def _write(root: Path, key: str, number: int, *, edition: int) -> None:
    path = root / _path(key, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = text.generator(f"{key}/{number}/{edition}")
    size = rng.lognormvariate(0, 0.9)  # a few large among many small
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(_KINDS[number % len(_KINDS)][2](rng, size))
    draft.replace(path)


def _document(rng: random.Random, size: float) -> bytes:
    patterns = text.CHINESE if rng.random() < 0.7 else text.ENGLISH
    return f"{text.title(rng)}\n\n{text.prose(rng, int(30_000 * size), patterns)}".encode()


def _register(rng: random.Random, size: float) -> bytes:
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["编号", "姓名", "地址", "事项", "受理日期", "金额"])
    for number in range(int(700 * size) + 5):
        rows.writerow(
            [
                f"{rng.randint(210200, 210299)}{number:08d}",
                text.name(rng),
                text.address(rng),
                rng.choice(text.TOPICS),
                text.day(rng),
                f"{rng.uniform(10, 90000):.2f}",
            ]
        )
    return ("\ufeff" + out.getvalue()).encode()  # with the mark that spreadsheets want


def _page(rng: random.Random, size: float) -> bytes:
    heading = html.escape(text.title(rng))
    body = "".join(f"<p>{html.escape(line)}</p>\n" for line in text.prose(rng, int(20_000 * size)).split("\n\n"))
    head = f'<!doctype html>\n<html lang="zh"><head><meta charset="utf-8"><title>{heading}</title></head>\n'
    return f"{head}<body><h1>{heading}</h1>\n{body}</body></html>\n".encode()


def _record(rng: random.Random, size: float) -> bytes:
    entries = [
        {
            "id": number,
            "申请人": text.name(rng),
            "地址": text.address(rng),
            "日期": text.day(rng),
            "open": rng.random() < 0.3,
        }
        for number in range(int(150 * size) + 3)
    ]
    return json.dumps({"title": text.title(rng), "entries": entries}, ensure_ascii=False, indent=1).encode()


def _scan(rng: random.Random, size: float) -> bytes:
    """A greyscale PNG of paper noise: what a scanner delivers, and what neither compresses nor deduplicates."""
    width = 600
    height = max(int(900 * size), 40)
    noise = rng.randbytes(width * height)
    rows = b"".join(b"\0" + noise[at : at + width] for at in range(0, len(noise), width))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


_KINDS: tuple[tuple[str, str, Maker], ...] = (
    ("收文", ".txt", _document),
    ("登记簿 registers", ".csv", _register),
    ("网页 pages", ".html", _page),
    ("reports", ".txt", _document),
    ("业务记录 records", ".json", _record),
    ("扫描件 scans", ".png", _scan),
)
