"""The seal of a bucket: nobody can be kept from writing to it, so it is proved that nobody does, as for a folder.

Two listings with a pause between must be equal, by key, size, ETag and time. Who stops the application is a script or
a prompt of the plan, before.
"""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime

from orchestrator.backups.document import SourceProof
from orchestrator.backups.places.bucket import ObjectsAt
from orchestrator.backups.proof import Proof
from orchestrator.backups.seal.common import Sealed
from orchestrator.backups.sources.bucket import list_objects
from orchestrator.errors import CheckFailed
from orchestrator.process import current_leash
from orchestrator.vault.objects import Listed, ObjectStore

QUIET_SECONDS = 3.0
SHOWN = 10


def seal_bucket(
    store: ObjectStore, prefix: str, source: str, place: str, *, quiet_seconds: float = QUIET_SECONDS
) -> Sealed:
    """Prove that nobody writes to a bucket. Raises CheckFailed naming the objects that changed."""
    first = list_objects(store, prefix)
    time.sleep(quiet_seconds)
    if leash := current_leash():
        leash.check()
    second = list_objects(store, prefix)
    if changed := _changed(first, second):
        more = f"; and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        raise CheckFailed(
            f"{place} is still written to: {', '.join(changed[:SHOWN])} changed{more}",
            hint="stop the application, by hand or by a script step of the plan, then try again",
        )
    detail = f"{len(second)} objects, none changed in {quiet_seconds:g} s"
    return Sealed(source, "bucket", place, place, datetime.now(UTC), detail, {"digest": _digest(second)})


def prove_bucket_sealed(store: ObjectStore, prefix: str, sealed: Sealed, proof: SourceProof | None) -> Proof:
    """Look whether anybody wrote since the seal; with the proof of the last copy, whether every object is in that."""
    listed = list_objects(store, prefix)
    faults: list[str] = []
    if _digest(listed) != sealed.facts["digest"]:
        since = [key for key, each in listed.items() if each.modified_at >= sealed.at.replace(microsecond=0)]
        faults += [f"{key} changed" for key in since[:SHOWN]] or ["objects are gone that were there"]
    if proof is not None:
        faults += ObjectsAt(store, prefix).prove(proof).faults[:SHOWN]
    return Proof(
        not faults, f"{len(listed)} objects as they were" if not faults else f"{len(faults)} faults", tuple(faults)
    )


def _changed(first: dict[str, Listed], second: dict[str, Listed]) -> list[str]:
    return sorted(key for key in first.keys() | second.keys() if first.get(key) != second.get(key))


def _digest(listed: dict[str, Listed]) -> str:
    digest = hashlib.sha256()
    for key, each in listed.items():
        digest.update(f"{key}\0{each.size_bytes}\0{each.etag}\0{each.modified_at.isoformat()}\n".encode())
    return digest.hexdigest()
