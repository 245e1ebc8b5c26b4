"""Proof: restored data against the facts that its recovery point carries."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from orchestrator.backups.document import SourceProof
from orchestrator.backups.sources.path import compare_manifests, hash_tree, manifest_from_facts


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared, and every difference that was found."""

    proved: bool
    detail: str
    faults: tuple[str, ...] = ()


def prove_source(proof: SourceProof, place: Path) -> Proof:
    """Compare restored data with the facts taken from the source when it was backed up.

    A dump file proves nothing until it is loaded: it is reported as not proved, without a fault.
    """
    if proof.copy.kind == "path":
        return prove_folder(proof, place)
    if proof.copy.kind == "volume":
        return prove_image(proof, place)
    return Proof(False, f"{place.stat().st_size} bytes of SQL; a drill loads it and proves the tables")


def prove_folder(proof: SourceProof, folder: Path) -> Proof:
    """Prove a restored tree: every file's size and SHA-256, nothing missing, nothing more."""
    want = manifest_from_facts(proof.facts)
    faults = tuple(compare_manifests(want, hash_tree(folder)))
    unsettled = sum(not state.settled for state in want.values())
    detail = f"{len(want) - unsettled} files, SHA-256 equal" if not faults else f"{len(faults)} differences"
    return Proof(not faults, detail + (f"; {unsettled} changed during the backup" if unsettled else ""), faults)


def prove_image(proof: SourceProof, image: Path) -> Proof:
    """Prove a restored volume: size and SHA-256 of its bytes."""
    with image.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = image.stat().st_size
    if (size, digest) == (proof.facts["size_bytes"], proof.facts["sha256"]):
        return Proof(True, f"{size} bytes, SHA-256 equal")
    fault = f"{size} bytes with SHA-256 {digest}, want {proof.facts['size_bytes']} with {proof.facts['sha256']}"
    return Proof(False, "the image differs", (fault,))
