"""The source kind `cloud`: what a tenant has at a cloud, as one document that says how to build it again elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from orchestrator.backups.document import DEFINITION, SourceProof
from orchestrator.catalogue.records import SourceCopy
from orchestrator.cloud import definition
from orchestrator.engine.port import Run
from orchestrator.vault.restic import Repository


def check_cloud(cloud: Any) -> None:
    """Raise unless the tenant's project can be read whole."""
    definition.read_definition(cloud)


def back_up_cloud(
    run: Run, name: str, cloud: Any, repository: Repository, host: str, tags: Sequence[str]
) -> SourceProof:
    """Store the definition of a tenant at a cloud and return the proof of it. May be repeated."""
    return run.step(f"back-up:{name}", _back_up, name, cloud, repository, host, tags)


def _back_up(name: str, cloud: Any, repository: Repository, host: str, tags: Sequence[str]) -> SourceProof:
    data_time = datetime.now(UTC)  # before it is read: what was made by now is in it
    found = definition.read_definition(cloud)
    data = definition.as_bytes(found)
    with repository.backup_stream(DEFINITION, host=host, tags=tags) as stream:
        stream.write(data)
        stored = stream.commit()
    items = definition.digests(found)
    copy = SourceCopy(name, "cloud", stored.snapshot_id, data_time, len(data), len(items))
    facts = {"sha256": hashlib.sha256(data).hexdigest(), "counts": definition.counts(found), "items": items}
    return SourceProof(copy, facts, stored.added_bytes)
