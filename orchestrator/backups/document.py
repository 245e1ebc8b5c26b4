"""The document of a recovery point: the last thing written, and what makes the point one.

It is a small JSON file in a snapshot of its own, in the same repository as the data. It names the snapshots of all
sources and carries the facts that a restore is proved by, so that a centre holding nothing but its vault can both
restore and prove. A point without its document does not exist.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from orchestrator.catalogue.records import Point, SourceCopy
from orchestrator.errors import CheckFailed
from orchestrator.vault.restic import Repository
from policies.site import SystemRef
from policies.suspicion import Signal

FORMAT = 1
FILENAME = "point.json"
TAG = "document"

#: The kinds of source whose copy is a dump.
DATABASES = ("postgresql", "mysql")

#: What a database and a volume are called inside their snapshots.
DUMP = "database.sql"
IMAGE = "volume.raw"

#: Where a restore writes the roles and tablespaces of the server that a dump comes from.
GLOBALS = "globals.sql"
#: And the objects of a bucket, the definition of a tenant's cloud, and that of a server.
ARCHIVE = "bucket.tar"
DEFINITION = "cloud.json"
SERVER = "server.json"


@dataclass(frozen=True, slots=True)
class SourceProof:
    """One source's copy, with the facts by which a restore of it is proved.

    `path`: the manifest of files, and the metadata of all entries. `postgresql`, `mysql`: rows and digest of each
    table. `volume`: size and SHA-256. `bucket`: the manifest of objects. `cloud`: SHA-256, and the digest of each item
    of the definition. `server`: SHA-256, and its volumes; those are proofs of kind `volume`, named after it.
    """

    copy: SourceCopy
    facts: Mapping[str, Any]
    added_bytes: int = 0

    def as_evidence(self) -> dict[str, Any]:
        return self.copy.as_json() | {"added_bytes": self.added_bytes}


@dataclass(frozen=True, slots=True)
class PointDocument:
    """What a recovery point consists of. `suspicion` is what made it suspect when it was made.

    `consistent` says whether all sources are of one moment; None in documents of before that was noted.
    """

    point: str
    run: str
    tenant: str
    system: str
    tier: str
    data_time: datetime
    finished_at: datetime
    program: str
    sources: tuple[SourceProof, ...]
    consistent: bool | None = None
    suspicion: tuple[Signal, ...] = ()
    #: Nearer centres that did not answer: the point was written past them.
    bypassed: tuple[str, ...] = ()

    def proof(self, source: str) -> SourceProof:
        for each in self.sources:
            if each.copy.source == source:
                return each
        raise CheckFailed(f"recovery point {self.point} holds no source named {source!r}")

    def as_bytes(self) -> bytes:
        value = {
            "format": FORMAT,
            "point": self.point,
            "run": self.run,
            "tenant": self.tenant,
            "system": self.system,
            "tier": self.tier,
            "data_time": self.data_time.isoformat(),
            "finished_at": self.finished_at.isoformat(),
            "program": self.program,
            **({"consistent": self.consistent} if self.consistent is not None else {}),
            "suspicion": [each.as_json() for each in self.suspicion],
            "sources": [{**each.copy.as_json(), "facts": dict(each.facts)} for each in self.sources],
            **({"bypassed": list(self.bypassed)} if self.bypassed else {}),
        }
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> PointDocument:
        """Return the document that `data` holds. Raises CheckFailed for one that this program cannot read."""
        try:
            value = json.loads(data)
            if value["format"] != FORMAT:
                raise CheckFailed(f"a recovery point of format {value['format']}; this program reads {FORMAT}")
            return cls(
                point=value["point"],
                run=value["run"],
                tenant=value["tenant"],
                system=value["system"],
                tier=value["tier"],
                data_time=datetime.fromisoformat(value["data_time"]),
                finished_at=datetime.fromisoformat(value["finished_at"]),
                program=value["program"],
                sources=tuple(SourceProof(SourceCopy.from_json(each), each["facts"]) for each in value["sources"]),
                consistent=value.get("consistent"),
                suspicion=tuple(Signal.from_json(each) for each in value.get("suspicion", ())),
                bypassed=tuple(value.get("bypassed", ())),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CheckFailed(f"the document of a recovery point cannot be read: {error!r}") from error


def as_point(document: PointDocument, snapshot: str) -> Point:
    """Return the recovery point that a document describes. `snapshot` is the one that holds the document. Pure."""
    return Point(
        id=document.point,
        run_id=document.run,
        tenant=document.tenant,
        system=document.system,
        tier=document.tier,
        data_time=document.data_time,
        finished_at=document.finished_at,
        bytes=sum(each.copy.bytes for each in document.sources),
        added_bytes=sum(each.added_bytes for each in document.sources),
        document=snapshot,
        sources=tuple(each.copy for each in document.sources),
        consistent=document.consistent,
        suspicion=document.suspicion,
        bypassed=document.bypassed,
    )


def compose_document(
    ref: SystemRef,
    run_id: str,
    proofs: tuple[SourceProof, ...],
    *,
    consistent: bool | None = None,
    suspicion: tuple[Signal, ...] = (),
    bypassed: tuple[str, ...] = (),
) -> PointDocument:
    """Return the document of what a run has read of a system, finished now."""
    return PointDocument(
        point=run_id,
        run=run_id,
        tenant=ref.tenant.tenant,
        system=ref.name,
        tier=ref.tier.tier,
        data_time=min(each.copy.data_time for each in proofs),  # all sources are complete up to the oldest of them
        finished_at=datetime.now(UTC),
        program=f"tricenter {version('tricenter')}",
        sources=proofs,
        consistent=consistent,
        suspicion=suspicion,
        bypassed=bypassed,
    )


def write_document(repository: Repository, document: PointDocument, tags: tuple[str, ...]) -> str:
    """Store a document in a snapshot of its own, and return the id of that."""
    with repository.backup_stream(FILENAME, host=document.tenant, tags=tags) as stream:
        stream.write(document.as_bytes())
        return stream.commit().snapshot_id


def read_document(repository: Repository, point: Point) -> PointDocument:
    """Return the document of `point` as the repository of a centre holds it."""
    document = PointDocument.from_bytes(repository.read_file(point.document, FILENAME))
    if document.point != point.id:
        raise CheckFailed(f"snapshot {point.document} holds the document of {document.point}, not of {point.id}")
    return document
