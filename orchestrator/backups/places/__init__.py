"""Places: where the sources of a system stand at the centre where it is active, one module for each kind."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.backups.places.common import Back, Place, Placed, Swapped
from orchestrator.errors import InvalidInput
from policies.site import SystemRef
from policies.tenant import (
    BucketSource,
    CloudSource,
    MysqlSource,
    PathSource,
    PostgresqlSource,
    ServerSource,
    VolumeSource,
)

__all__ = ["Back", "Place", "Placed", "Swapped", "place_from", "place_of"]


def place_of(ref: SystemRef, centre: str, source: str) -> Place:
    """Return where a source of a system stands when the system is active at a centre. Raises InvalidInput."""
    found = ref.system.sources_at(centre).get(source)
    if isinstance(found or ref.system.sources.get(source), ServerSource):
        raise InvalidInput(
            f"{ref}: the source {source!r} is a whole server, which no run puts in its place",
            hint="prove it by a drill of kind restore; to recover it by a plan, write its volumes as volume sources, "
            f"and under systems.{ref.name}.servers the server that boots from them",
        )
    if found is None:
        raise InvalidInput(
            f"{ref}: the source {source!r} has no place at {centre}",
            hint=f"say where it stands there: systems.{ref.name}.standby.{centre}.{source} in the tenant's file",
        )
    if isinstance(found, PathSource):
        from orchestrator.backups.places.path import PathPlace

        return PathPlace(found.path)
    if isinstance(found, PostgresqlSource):
        from orchestrator.backups.places.postgresql import DatabasePlace

        return DatabasePlace(found.host, found.port, found.database, found.user, found.password)
    if isinstance(found, MysqlSource):
        raise InvalidInput(
            f"{ref}: the source {source!r} is a mysql database, which no run puts in its place: its server cannot "
            "rename databases, so it could not be taken back",
            hint="prove it by a drill of kind restore; to use it: tricenter backup restore, then load the dump by hand",
        )
    if isinstance(found, BucketSource):
        from orchestrator.backups.places.bucket import BucketPlace

        credential = found.restore_credential or found.credential
        return BucketPlace(centre, found.endpoint, found.region, found.bucket, found.prefix, credential)
    if isinstance(found, CloudSource):
        from orchestrator.backups.places.cloud import CloudPlace

        return CloudPlace(centre, ref.tenant.tenant)
    from orchestrator.backups.places.volume import VolumePlace

    assert isinstance(found, VolumeSource)
    return VolumePlace(centre, ref.tenant.tenant, found.volume)


def place_from(argument: str) -> Place:
    """Return the place that `as_argument` wrote: for actions, which know nothing but plain text."""
    value: dict[str, Any] = json.loads(argument)
    kind = value.pop("kind")
    if kind == "path":
        from orchestrator.backups.places.path import PathPlace

        return PathPlace(**value)
    if kind == "postgresql":
        from orchestrator.backups.places.postgresql import DatabasePlace

        return DatabasePlace(**value)
    if kind == "bucket":
        from orchestrator.backups.places.bucket import BucketPlace

        return BucketPlace(**value)
    if kind == "cloud":
        from orchestrator.backups.places.cloud import CloudPlace

        return CloudPlace(**value)
    from orchestrator.backups.places.volume import VolumePlace

    return VolumePlace(**value)
