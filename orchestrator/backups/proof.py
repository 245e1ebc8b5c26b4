"""Proof: restored data against the facts that its recovery point carries."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestrator.backups.asking import AnyServer, fingerprint
from orchestrator.backups.document import SourceProof
from orchestrator.backups.objects.folder import hash_unpacked
from orchestrator.backups.objects.manifest import Objects, compare_objects, objects_from_facts, settled_of
from orchestrator.backups.sources.metadata import (
    Metadata,
    compare_metadata,
    metadata_from_facts,
    read_metadata,
)
from orchestrator.backups.sources.path import Manifest, compare_manifests, hash_tree, manifest_from_facts
from orchestrator.backups.sources.tree import walk_tree


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared, and every difference that was found."""

    proved: bool
    detail: str
    faults: tuple[str, ...] = ()


class Provable(Protocol):
    """Where restored data is that is neither a file nor a database, and can be looked at all the same."""

    def prove(self, proof: SourceProof) -> Proof:
        """Compare what is there with the facts. Raises only when it cannot be looked at."""


def prove_source(proof: SourceProof, place: Path) -> Proof:
    """Compare restored data with the facts taken from the source when it was backed up.

    A dump file proves nothing until it is loaded: it is reported as not proved, without a fault.
    """
    if proof.copy.kind == "path":
        return prove_folder(proof, place)
    if proof.copy.kind == "volume":
        return prove_image(proof, place)
    if proof.copy.kind == "bucket":
        return prove_objects(proof, hash_unpacked(place))
    if proof.copy.kind in ("cloud", "server"):
        return prove_definition(proof, place)
    return Proof(False, f"{place.stat().st_size} bytes of SQL; a drill loads it and proves the tables")


def prove_folder(proof: SourceProof, folder: Path) -> Proof:
    """Prove a restored tree: every file's size and SHA-256 and every entry's metadata, nothing missing, nothing more.

    Owners are compared when root restores: nobody else can give files away. Points of before metadata was kept prove
    their content.
    """
    content = prove_files(manifest_from_facts(proof.facts), folder)
    known, as_root = metadata_from_facts(proof.facts), os.geteuid() == 0
    differ = [] if known is None else compare_metadata(known, read_metadata(walk_tree(folder)), as_root=as_root)
    if faults := (*content.faults, *differ):
        return Proof(False, f"{len(faults)} differences", faults)
    return Proof(True, f"{content.detail}; {_metadata_told(known, as_root)}")


def prove_files(want: Manifest, folder: Path) -> Proof:
    """Prove that a folder holds these files of a manifest, by size and SHA-256, and no other."""
    faults = tuple(compare_manifests(want, hash_tree(folder)))
    unsettled = sum(not state.settled for state in want.values())
    detail = f"{len(want) - unsettled} files, SHA-256 equal" if not faults else f"{len(faults)} differences"
    return Proof(not faults, detail + (f"; {unsettled} changed during the backup" if unsettled else ""), faults)


def _metadata_told(known: Metadata | None, as_root: bool) -> str:
    if known is None:
        return "this point keeps no metadata to compare"
    owners = "owner, " if as_root else ""
    told = f"of {sum(map(bool, known.values()))} entries type, mode, {owners}time, links and extended attributes equal"
    return told if as_root else f"{told} (not owner: restored without root's rights)"


def prove_objects(proof: SourceProof, got: Objects) -> Proof:
    """Prove restored objects: size, SHA-256, content type and metadata of each, nothing missing, nothing more."""
    want = objects_from_facts(proof.facts)
    faults = tuple(compare_objects(want, got))
    settled = sum(1 for _ in settled_of(want))
    detail = f"{settled} objects, SHA-256 and metadata equal" if not faults else f"{len(faults)} differences"
    gone = len(want) - settled
    return Proof(not faults, detail + (f"; {gone} were deleted during the backup" if gone else ""), faults)


def prove_definition(proof: SourceProof, file: Path) -> Proof:
    """Prove a restored definition of a cloud or a server: the SHA-256 of its bytes."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest == proof.facts["sha256"]:
        return Proof(True, f"{proof.copy.files} items, SHA-256 equal")
    return Proof(False, "the definition differs", (f"SHA-256 {digest}, want {proof.facts['sha256']}",))


def prove_image(proof: SourceProof, image: Path) -> Proof:
    """Prove a restored volume: size and SHA-256 of its bytes."""
    with image.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = image.stat().st_size
    if (size, digest) == (proof.facts["size_bytes"], proof.facts["sha256"]):
        return Proof(True, f"{size} bytes, SHA-256 equal")
    fault = f"{size} bytes with SHA-256 {digest}, want {proof.facts['size_bytes']} with {proof.facts['sha256']}"
    return Proof(False, "the image differs", (fault,))


def prove_tables(proof: SourceProof, server: AnyServer) -> Proof:
    """Prove a restored database: rows and digest of every table, as the dump's own transaction saw them."""
    got = fingerprint(server)
    faults = tuple(compare_tables(proof.facts["tables"], got))
    rows = sum(each["rows"] for each in got.values())
    detail = f"{len(got)} tables, {rows} rows, digests equal" if not faults else f"{len(faults)} differences"
    return Proof(not faults, detail, faults)


def compare_tables(want: Mapping[str, Mapping[str, Any]], got: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield every difference as a line: missing, surplus, other rows, other content."""
    for table in sorted(want.keys() | got.keys()):
        if table not in got:
            yield f"missing {table}"
        elif table not in want:
            yield f"surplus {table}"
        elif want[table]["rows"] != got[table]["rows"]:
            yield f"rows of {table}: {got[table]['rows']}, want {want[table]['rows']}"
        elif want[table]["digest"] != got[table]["digest"]:
            yield f"content of {table} differs"
