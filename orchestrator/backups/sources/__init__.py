"""The kinds of source, one module each, and the one place that knows them all."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.backups.access import Access
from orchestrator.backups.document import SourceProof
from orchestrator.engine.port import Run
from orchestrator.errors import InvalidInput
from orchestrator.vault.restic import Repository
from policies.site import SystemRef
from policies.tenant import PathSource, PostgresqlSource, Source


def source_at(ref: SystemRef, name: str, centre: str) -> Source:
    """Return a source as it stands at the centre that the system is active at. Raises InvalidInput."""
    try:
        return ref.system.sources_at(centre)[name]
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
    tags: Sequence[str],
) -> SourceProof:
    """Back up one source of a system as it stands at `centre`, and return the proof of it."""
    source, host = source_at(ref, name, centre), ref.tenant.tenant
    if isinstance(source, PathSource):
        from orchestrator.backups.sources.path import back_up_path

        return back_up_path(run, name, source, repository, host, tags)
    if isinstance(source, PostgresqlSource):
        from orchestrator.backups.sources.postgresql import back_up_postgresql

        password = access.secret(source.password)
        return back_up_postgresql(run, name, source, password, repository, host, tags)
    from orchestrator.backups.sources.volume import back_up_volume

    return back_up_volume(run, name, source, centre, access.tenant_cloud(centre, host), repository, host, tags)
