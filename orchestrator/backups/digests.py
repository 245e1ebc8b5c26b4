"""What the files and tables of a point were, one digest each; and what this machine still knows of them.

The next backup is held against the newest good point. The document of that point tells its digests, and to read it
costs a restic: half a CPU-second to derive the key, and a dozen round trips. The machine that made the point knows
them already. So they are kept beside restic's own cache, by the document's snapshot, which is named by its content:
what is known of it can be lost, but never be of another state.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.backups.document import PointDocument, read_document
from orchestrator.backups.known import KnownContent
from orchestrator.backups.remembered import recall, remember
from orchestrator.catalogue.records import Point
from orchestrator.errors import CheckFailed
from orchestrator.vault.restic import Repository
from policies.site import SystemRef

#: What is compared one by one between two points: a digest for each file, or table.
Digests = Mapping[str, str | None]
#: Of each source of a point.
BySource = Mapping[str, Digests]

#: Points of a system that are remembered: the one that was just made, and the newest good one.
KEPT = 2


def digests_of(facts: Mapping[str, Any]) -> Digests:
    """Return a digest for each file or table that a proof tells of; None for one that was changing. Pure."""
    if "manifest" in facts:
        return {path: state["sha256"] for path, state in facts["manifest"].items()}
    return {name: f"{each['rows']} {each['digest']}" for name, each in facts.get("tables", {}).items()}


def digests_by_source(document: PointDocument) -> BySource:
    """Return the digests of every source of a point. Pure."""
    return {each.copy.source: digests_of(each.facts) for each in document.sources}


class KnownDigests:
    """The digests of points that were made, or compared with, on this machine. Whatever is lost is read again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, ref: SystemRef, document: str, digests: BySource) -> None:
        """Remember the digests of the point with this document. May be repeated, and killed."""
        folder = self._of(ref)
        # The point is made, and is none the worse on a full disk: the next backup asks the vault.
        if remember(folder / document, digests):
            with suppress(OSError):
                for old in sorted(folder.iterdir(), key=lambda each: each.stat().st_mtime_ns)[:-KEPT]:
                    old.unlink(missing_ok=True)

    def of(self, ref: SystemRef, document: str) -> BySource | None:
        """Return the digests of the point with this document, or None when they are not known here."""
        file = self._of(ref) / document
        with suppress(OSError):
            os.utime(file)  # used last: it stays
        known: BySource | None = recall(file)
        return known

    def content(self, ref: SystemRef, source: str) -> KnownContent:
        """Return what this machine knows of the files of a source, whichever points they are in."""
        return KnownContent(self._folder.with_name("content") / ref.tenant.tenant / ref.name / source)

    def _of(self, ref: SystemRef) -> Path:
        return self._folder / ref.tenant.tenant / ref.name


def known_or_read(known: KnownDigests, ref: SystemRef, repository: Repository, point: Point) -> BySource:
    """Return the digests of every source of a point that a centre holds; from its vault when they are not known here.

    Raises CheckFailed when the centre does not hold its document, or it cannot be read.
    """
    if repository.bucket.head(f"{ref.name}/snapshots/{point.document}") is None:
        raise CheckFailed(f"{repository} does not hold its document, snapshot {point.document}")
    found = known.of(ref, point.document)
    if found is None:
        found = digests_by_source(read_document(repository, point))
        known.keep(ref, point.document, found)
    return found
