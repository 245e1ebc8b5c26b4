"""Probes: what proves that a system was recovered. Each looks at the restored data and says what it found, as a value.

A probe that finds something else than it expects does not raise: a failed probe is a finding of the drill, like a
passed one. What it expects was written down when the data was backed up, or stands in the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from orchestrator.backups.asking import AnyServer, ask, fingerprint
from orchestrator.backups.document import PointDocument, SourceProof
from orchestrator.backups.proof import (
    Proof,
    Provable,
    compare_tables,
    prove_definition,
    prove_folder,
    prove_image,
)
from orchestrator.backups.sources.path import manifest_from_facts
from policies.probe import (
    DataProbe,
    DefinitionProbe,
    Figure,
    FingerprintProbe,
    ImageProbe,
    ManifestProbe,
    ObjectsProbe,
    Reconciliation,
    SqlProbe,
)

SHOWN_DIFFERENCES = 20


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one probe expected and found. `detail` holds the first differences, a line each, at most twenty."""

    name: str
    passed: bool
    expected: str
    got: str
    detail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """Where the sources of a system stand after a restore: trees and images as paths, databases as servers.

    What can be looked at in no other way proves itself: the objects of a bucket.
    """

    places: Mapping[str, Path | AnyServer | Provable]

    def path(self, source: str) -> Path:
        place = self.places[source]
        assert isinstance(place, Path)
        return place

    def database(self, source: str) -> AnyServer:
        place = self.places[source]
        assert isinstance(place, AnyServer)
        return place

    def provable(self, source: str) -> Provable:
        place = self.places[source]
        assert not isinstance(place, Path | AnyServer)
        return place


def probe_data(each: DataProbe, document: PointDocument, restored: Restored) -> ProbeResult:
    """Run one probe on restored data. Raises only when the data cannot be looked at."""
    match each:
        case ManifestProbe():
            return probe_manifest(document.proof(each.source), restored.path(each.source))
        case FingerprintProbe():
            return probe_fingerprint(document.proof(each.source), restored.database(each.source))
        case SqlProbe():
            return probe_sql(each, restored.database(each.source))
        case ImageProbe():
            return probe_image(document.proof(each.source), restored.path(each.source))
        case ObjectsProbe():
            return probe_objects(document.proof(each.source), restored.provable(each.source))
        case DefinitionProbe():
            return probe_definition(document.proof(each.source), restored.path(each.source))
        case _:
            assert_never(each)


def probe_manifest(proof: SourceProof, folder: Path) -> ProbeResult:
    """Compare every file below `folder`, by size and SHA-256, with the manifest that was taken before the backup."""
    settled = [each for each in manifest_from_facts(proof.facts).values() if each.settled]
    want = f"{len(settled):,} files, {sum(each.size for each in settled):,} bytes"
    return _from_proof(f"manifest:{proof.copy.source}", want, prove_folder(proof, folder))


def probe_image(proof: SourceProof, image: Path) -> ProbeResult:
    """Compare size and SHA-256 of a restored disk image with the bytes that were read at backup time."""
    want = f"{proof.facts['size_bytes']:,} bytes, SHA-256 {proof.facts['sha256']}"
    return _from_proof(f"image:{proof.copy.source}", want, prove_image(proof, image))


def probe_objects(proof: SourceProof, place: Provable) -> ProbeResult:
    """Compare every restored object, by size, SHA-256, content type and metadata, with what was read at backup time."""
    want = f"{proof.copy.files:,} objects, {proof.copy.bytes:,} bytes"
    return _from_proof(f"objects:{proof.copy.source}", want, place.prove(proof))


def probe_definition(proof: SourceProof, file: Path) -> ProbeResult:
    """Compare the SHA-256 of a restored cloud definition with that of what was read at backup time."""
    want = f"{proof.copy.files:,} items, SHA-256 {proof.facts['sha256']}"
    return _from_proof(f"definition:{proof.copy.source}", want, prove_definition(proof, file))


def probe_fingerprint(proof: SourceProof, server: AnyServer) -> ProbeResult:
    """Compare rows and digest of every table with what the dump's own transaction saw."""
    want: Mapping[str, Mapping[str, Any]] = proof.facts["tables"]
    got = fingerprint(server)
    differences = list(compare_tables(want, got))
    return ProbeResult(
        f"fingerprint:{proof.copy.source}",
        not differences,
        _tables(want),
        f"{_tables(got)}, {len(differences):,} differences",
        _first(differences),
    )


def probe_sql(each: SqlProbe, server: AnyServer) -> ProbeResult:
    """Ask the restored database the plan's question, reading only, and compare the answer as text."""
    answer = ask(server, each.query)
    return ProbeResult(f"sql:{each.source}", answer.value == each.expect, each.expect, answer.said, (each.query,))


def read_figure(figure: Figure, restored: Restored) -> str | None:
    """Return one value of a recovered system, None when its database has no answer to the question."""
    return ask(restored.database(figure.source), figure.query).value


def reconcile(each: Reconciliation, left: str | None, right: str | None) -> ProbeResult:
    """Compare the figures of two systems, as text. Pure."""
    agreed = left is not None and left == right
    name = f"{each.left.system} = {each.right.system}"
    return ProbeResult(name, agreed, left or "no answer", right or "no answer", (each.left.query, each.right.query))


def _from_proof(name: str, want: str, proof: Proof) -> ProbeResult:
    return ProbeResult(name, proof.proved, want, proof.detail, _first(proof.faults))


def _tables(tables: Mapping[str, Mapping[str, Any]]) -> str:
    return f"{len(tables)} tables, {sum(each['rows'] for each in tables.values()):,} rows"


def _first(differences: Sequence[str]) -> tuple[str, ...]:
    more = len(differences) - SHOWN_DIFFERENCES
    return (*differences[:SHOWN_DIFFERENCES], *([f"… and {more} more"] if more > 0 else []))
