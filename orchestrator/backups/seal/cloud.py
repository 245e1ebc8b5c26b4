"""The seal of a cloud's definition: no client writes to it, so it is noted as it is, and looked at again."""

from __future__ import annotations

from datetime import UTC, datetime

from orchestrator.backups.access import Access
from orchestrator.backups.document import SourceProof
from orchestrator.backups.places.cloud import CloudPlace
from orchestrator.backups.proof import Proof
from orchestrator.backups.seal.common import Sealed

SHOWN = 10


def seal_definition(access: Access, place: CloudPlace, source: str) -> Sealed:
    """Note what the tenant has at the cloud now. Raises Unreachable."""
    items = _items(access, place)
    return Sealed(source, "cloud", str(place), place.tenant, datetime.now(UTC), f"{len(items)} items", {"items": items})


def prove_definition_sealed(access: Access, place: CloudPlace, sealed: Sealed, proof: SourceProof | None) -> Proof:
    """Look whether anything was made, changed or deleted since; with a proof, whether the last copy has it all.

    The sealing of volumes does not show: that a server is off is no part of its definition.
    """
    now = _items(access, place)
    before = proof.facts["items"] if proof is not None else sealed.facts["items"]
    changed = sorted(key for key in now.keys() | before.keys() if now.get(key) != before.get(key))
    faults = tuple(f"{key} changed" for key in changed[:SHOWN])
    return Proof(not faults, f"{len(now)} items as they were" if not faults else f"{len(changed)} faults", faults)


def _items(access: Access, place: CloudPlace) -> dict[str, str]:
    from orchestrator.cloud import definition  # here: a backup of files must not pay for openstacksdk

    return definition.digests(definition.read_definition(access.tenant_cloud(place.centre, place.tenant)))
