"""Builds an evidence pack: one zip about one drill, that an auditor can check without this program.

Files are stored and not compressed, with fixed dates, in the order of their names, so that the verifier can write the
same zip again and compare every byte. Of the audit chain the pack holds what tells of the
drill: its own entries in full, and of what others did meanwhile only the digests. No secret is in any of it.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from drills.report.render import as_json, render_html, signed_digest
from orchestrator.catalogue.audit import Entry, attempt_body, canonical, digest_of
from orchestrator.catalogue.audit_check import before, entries
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import CheckFailed
from orchestrator.paper import as_pdf

FORMAT = 1
MANIFEST, SEAL, VERIFIER = "manifest.json", "manifest.digest", "verify.py"
DATE = (1980, 1, 1, 0, 0, 0)

#: So many entries of others may stand between two of the drill's own.
LONGEST_GAP = 500

#: What is found in a pack, and why, in both languages.
TOLD = {
    "document.json": ("演练记录", "what is known of the drill"),
    "report.html": ("报告", "the report"),
    "report.pdf": ("报告", "the report"),
    "attempts.jsonl": ("步骤记录", "the rows that the steps left"),
    "messages.jsonl": ("审批与答复", "approvals and answers"),
    "chain.jsonl": ("审计链片段", "the segment of the audit chain"),
    "configuration.json": ("配置摘要", "the digest of the configuration"),
    VERIFIER: ("校验程序", "the verifier"),
}


def build_pack(catalogue: Catalogue, document: Mapping[str, Any]) -> bytes:
    """Return the pack of a drill, whose document is complete. The same rows make the same bytes.

    Raises CheckFailed when the audit chain does not tell of the drill, or not any more.
    """
    runs = {document["drill"], *(each["run"] for each in document["attempts"])}
    chain = _chain(catalogue, document["drill"], runs)
    ends = [each.body for each in chain.own if each.kind == "run" and each.run == document["drill"]]
    html = render_html(document)
    content = {
        "document.json": as_json(document),
        "report.html": html.encode(),
        "report.pdf": as_pdf(html),
        "attempts.jsonl": _lines(_attempts(catalogue, runs)),
        "messages.jsonl": _lines(each.content for each in chain.own if each.kind == "message"),
        "chain.jsonl": _lines(chain.lines()),
        "configuration.json": as_json({"digest": ends[-1]["configuration"] if ends else None}),
        VERIFIER: (files("drills.pack") / VERIFIER).read_bytes(),
    }
    manifest = {
        "format": FORMAT,
        "drill": document["drill"],
        "signed": signed_digest(document),
        "chain": chain.segments,
        "files": {name: _facts(name, each) for name, each in sorted(content.items())},
    }
    content[MANIFEST] = as_json(manifest)
    content[SEAL] = f"{pack_digest(content[MANIFEST])}\n{digest_of('sm3', content[MANIFEST])}\n".encode()
    return _zipped(content)


def pack_digest(manifest: bytes) -> str:
    """Return the digest of a pack: that of its manifest, which holds those of everything else. Pure."""
    return digest_of("sha256", manifest)


def digest_in(pack: bytes) -> str:
    """Return the digest of a pack that was built. Pure."""
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        return pack_digest(archive.read(MANIFEST))


def write_pack(path: Path, pack: bytes) -> None:
    """Write the pack, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(pack)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


class _Chain:
    """The segments of the chain that tell of a drill: from its first entry to its last, without long stretches between.

    What is signed weeks later would draw all that others did meanwhile into the pack: that is a segment of its own.
    """

    def __init__(self, catalogue: Catalogue, runs: set[str], numbers: list[int]) -> None:
        self._engine, self._runs = catalogue.engine, runs
        self.segments: list[dict[str, Any]] = []
        self._told: list[Entry] = []
        for first, last in _stretches(numbers):
            self._add(first, last)

    def _add(self, first: int, last: int) -> None:
        previous = before(self._engine, first)
        if previous is None:
            raise CheckFailed("the audit chain tells only of the end of this drill", hint="its beginning was let go")
        told = entries(self._engine, first=first, last=last + 1)
        after = told.pop() if told[-1].number > last else None
        beside = {"number": after.number, "entry": _entry_digest(after), "digest": after.digest} if after else None
        self.segments.append({"first": first, "last": last, "before": previous, "after": beside})
        self._told += told

    @property
    def own(self) -> list[Entry]:
        return [each for each in self._told if each.run in self._runs]

    def lines(self) -> Iterator[dict[str, Any]]:
        for each in self._told:
            if each.run in self._runs:
                yield {"number": each.number, "digest": each.digest, "entry": each.content}
            else:
                yield {"number": each.number, "digest": each.digest, "withheld": _entry_digest(each)}


def _stretches(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last of the stretches without a long gap. Pure."""
    first = numbers[0]
    for one, other in pairwise(numbers):
        if other - one > LONGEST_GAP:
            yield first, one
            first = other
    yield first, numbers[-1]


def _chain(catalogue: Catalogue, drill: str, runs: set[str]) -> _Chain:
    own = [each for run in sorted(runs) for each in entries(catalogue.engine, run=run)]
    if not any(each.kind == "drill" for each in own):
        raise CheckFailed(
            f"the audit chain does not tell of drill {drill}: it ended before the chain began, or was let go",
            hint="make the pack of a drill within the time that audit entries are kept",
        )
    # What becomes of its findings is told for months: they go on without the pack.
    return _Chain(catalogue, runs, sorted(each.number for each in own if each.kind != "finding"))


def _attempts(catalogue: Catalogue, runs: set[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of all attempts that ended, as the chain tells of them, with their details in full."""
    rows = [each for run in runs for each in catalogue.attempts(run) if each.ended_at]
    for each in sorted(rows, key=lambda each: (each.started_at, each.id)):
        row = {name: getattr(each, name) for name in each.__dataclass_fields__}
        yield {**attempt_body({**row, "detail": None}, "sha256"), "detail": each.detail}


def _entry_digest(entry: Entry) -> str:
    return digest_of(entry.digest.partition(":")[0], canonical(entry.content))


def _facts(name: str, content: bytes) -> dict[str, Any]:
    zh, en = TOLD[name]
    digests = {each: digest_of(each, content).partition(":")[2] for each in ("sha256", "sm3")}
    return {"bytes": len(content), **digests, "zh": zh, "en": en}


def _lines(values: Any) -> bytes:
    return "".join(json.dumps(each, ensure_ascii=False, sort_keys=True) + "\n" for each in values).encode(
        "utf-8", "surrogatepass"
    )


def _zipped(content: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, each in sorted(content.items()):
            info = zipfile.ZipInfo(name, DATE)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, each)
    return made.getvalue()
