"""The kinds of source, one module each, and the one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from orchestrator.backups.access import Access
from orchestrator.backups.document import SourceProof
from orchestrator.engine.port import Run
from orchestrator.errors import InvalidInput
from orchestrator.vault.restic import Repository
from policies.site import SystemRef
from policies.tenant import (
    BucketSource,
    CloudSource,
    MysqlSource,
    PathSource,
    PostgresqlSource,
    ServerSource,
    Source,
    VolumeSource,
    source_of,
)

if TYPE_CHECKING:
    from orchestrator.backups.sources.server import ServerSnapshot
    from orchestrator.backups.sources.volume import VolumeSnapshot

#: What there is of a source once its moment is taken: its proof, or snapshots that are still to be read.
Captured: TypeAlias = "SourceProof | VolumeSnapshot | ServerSnapshot"
#: The tags of the snapshot that holds a copy, by the name of the copy.
Tags: TypeAlias = Callable[[str], tuple[str, ...]]


def source_at(ref: SystemRef, name: str, centre: str) -> Source:
    """Return a source, or the one that a copy is of, as it stands where the system is active. Raises InvalidInput."""
    try:
        return ref.system.sources_at(centre)[source_of(name)]
    except KeyError:
        raise InvalidInput(
            f"{ref} is active at {centre}, and its source {name!r} has no place there",
            hint=f"say where it stands there: standby.{centre}.{name} of the system in the tenant's file",
        ) from None


def check_source(access: Access, ref: SystemRef, name: str, centre: str) -> None:
    """Raise, saying what is wrong with a source at `centre`, unless it can be read now. Changes nothing."""
    source = source_at(ref, name, centre)
    if isinstance(source, PathSource):
        from orchestrator.backups.sources.path import check_path

        check_path(source)
    elif isinstance(source, PostgresqlSource):
        from orchestrator.backups.sources.postgresql import check_postgresql

        check_postgresql(source, access.secret(source.password))
    elif isinstance(source, MysqlSource):
        from orchestrator.backups.sources.mysql import check_mysql

        check_mysql(source, access.secret(source.password))
    elif isinstance(source, BucketSource):
        from orchestrator.backups.sources.bucket import check_bucket, store_of

        check_bucket(source, store_of(source, centre, access.secret(source.credential)))
    elif isinstance(source, CloudSource):
        from orchestrator.backups.sources.cloud import check_cloud

        check_cloud(access.tenant_cloud(centre, ref.tenant.tenant))
    elif isinstance(source, ServerSource):
        from orchestrator.backups.sources.server import check_server

        check_server(source, access.tenant_cloud(centre, ref.tenant.tenant))
    else:
        from orchestrator.backups.sources.volume import check_volume

        check_volume(source, access.tenant_cloud(centre, ref.tenant.tenant))


def back_up_source(
    run: Run,
    access: Access,
    ref: SystemRef,
    name: str,
    centre: str,
    repository: Repository,
    tags: Tags,
) -> tuple[SourceProof, ...]:
    """Back up one source of a system as it stands at `centre`, and return the proofs of its copies.

    A source has one copy, but for a server: its definition is one, and each of its volumes.
    """
    taken = capture_source(run, access, ref, name, centre, repository, tags)
    return store_source(run, access, ref, name, centre, repository, tags, taken)


def _back_up(
    run: Run, access: Access, ref: SystemRef, name: str, centre: str, repository: Repository, tags: tuple[str, ...]
) -> SourceProof:
    """Back up a source that is read whole at its moment."""
    source, host = source_at(ref, name, centre), ref.tenant.tenant
    if isinstance(source, PathSource):
        from orchestrator.backups.sources.path import back_up_path

        return back_up_path(run, name, source, repository, host, tags, access.digests.content(ref, name))
    if isinstance(source, PostgresqlSource):
        from orchestrator.backups.sources.postgresql import back_up_postgresql

        password = access.secret(source.password)
        return back_up_postgresql(run, name, source, password, repository, host, tags)
    if isinstance(source, BucketSource):
        from orchestrator.backups.sources.bucket import back_up_bucket, store_of

        store = store_of(source, centre, access.secret(source.credential))
        return back_up_bucket(run, name, source, store, repository, host, tags)
    if isinstance(source, CloudSource):
        from orchestrator.backups.sources.cloud import back_up_cloud

        return back_up_cloud(run, name, access.tenant_cloud(centre, host), repository, host, tags)
    assert isinstance(source, MysqlSource)
    from orchestrator.backups.sources.mysql import back_up_mysql

    return back_up_mysql(run, name, source, access.secret(source.password), repository, host, tags)


def is_quick(source: Source) -> bool:
    """Return whether a source is captured by snapshots, which takes seconds, and read later. Pure."""
    return isinstance(source, VolumeSource | ServerSource)


def is_one_moment(source: Source) -> bool:
    """Return whether a copy of the source is of one moment although nothing holds the source still. Pure."""
    return isinstance(source, VolumeSource | PostgresqlSource | MysqlSource)


def capture_source(
    run: Run, access: Access, ref: SystemRef, name: str, centre: str, repository: Repository, tags: Tags
) -> Captured:
    """Do what must happen to a source at the moment of its recovery point: a snapshot, or else all of its backup."""
    source, tenant = source_at(ref, name, centre), ref.tenant.tenant
    if isinstance(source, ServerSource):
        from orchestrator.backups.sources.server import capture_server

        return capture_server(run, name, source, centre, access.tenant_cloud(centre, tenant), tenant)
    if not isinstance(source, VolumeSource):
        return _back_up(run, access, ref, name, centre, repository, tags(name))
    from orchestrator.backups.sources.volume import capture_volume

    return capture_volume(run, name, source, centre, access.tenant_cloud(centre, tenant), tenant)


def store_source(
    run: Run,
    access: Access,
    ref: SystemRef,
    name: str,
    centre: str,
    repository: Repository,
    tags: Tags,
    captured: Captured,
) -> tuple[SourceProof, ...]:
    """Do what is left to do with a source that was captured, and return the proofs of its copies."""
    if isinstance(captured, SourceProof):
        return (captured,)
    from orchestrator.backups.sources.volume import VolumeSnapshot, store_volume

    tenant = ref.tenant.tenant
    cloud = access.tenant_cloud(centre, tenant)
    if isinstance(captured, VolumeSnapshot):
        return (store_volume(run, name, captured, cloud, repository, tenant, tags(name)),)
    from orchestrator.backups.sources.server import store_server

    return store_server(run, name, captured, cloud, repository, tenant, tags)
