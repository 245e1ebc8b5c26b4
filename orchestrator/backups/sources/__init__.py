"""The kinds of source, one module each, and the one place that knows them all."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.backups.access import Access
from orchestrator.backups.document import SourceProof
from orchestrator.engine.port import Run
from orchestrator.vault.restic import Repository
from policies.site import SystemRef
from policies.tenant import PathSource, PostgresqlSource


def check_source(access: Access, ref: SystemRef, name: str) -> None:
    """Raise, saying what is wrong with a source, unless it can be read now. Changes nothing."""
    source = ref.system.sources[name]
    if isinstance(source, PathSource):
        from orchestrator.backups.sources.path import check_path

        check_path(source)
    elif isinstance(source, PostgresqlSource):
        from orchestrator.backups.sources.postgresql import check_postgresql

        check_postgresql(source, access.secret(source.password))
    else:
        from orchestrator.backups.sources.volume import CENTRE, check_volume

        check_volume(source, access.tenant_cloud(CENTRE, ref.tenant.tenant))


def back_up_source(
    run: Run,
    access: Access,
    ref: SystemRef,
    name: str,
    repository: Repository,
    tags: Sequence[str],
) -> SourceProof:
    """Back up one source of a system and return the proof of it."""
    source, host = ref.system.sources[name], ref.tenant.tenant
    if isinstance(source, PathSource):
        from orchestrator.backups.sources.path import back_up_path

        return back_up_path(run, name, source, repository, host, tags)
    if isinstance(source, PostgresqlSource):
        from orchestrator.backups.sources.postgresql import back_up_postgresql

        password = access.secret(source.password)
        return back_up_postgresql(run, name, source, password, repository, host, tags)
    from orchestrator.backups.sources.volume import CENTRE, back_up_volume

    return back_up_volume(run, name, source, access.tenant_cloud(CENTRE, host), repository, host, tags)
