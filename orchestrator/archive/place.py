"""Where an archive is: its folder on the database's host, and its prefix in the bucket of each centre."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import InvalidInput, UnknownName
from orchestrator.secrets import Secret
from orchestrator.vault.s3 import Bucket
from policies.archive import ArchiveRule, archive_prefix
from policies.site import Site, SystemRef, Vault
from policies.tenant import PostgresqlSource, archives_of
from policies.work import copy_centres


class Access(Protocol):
    """What archiving needs of the object graph."""

    @property
    def site(self) -> Site: ...

    @property
    def state(self) -> Path: ...

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def registers(self) -> Any:
        """The registers of the site's epochs, by centre."""

    def system(self, name: str) -> SystemRef: ...

    def vault(self, centre: str) -> Vault: ...

    def bucket(self, centre: str, tenant: str) -> Bucket: ...

    def secret(self, reference: str, **names: str) -> Secret: ...


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive of one source of a system."""

    ref: SystemRef
    source: str

    def __str__(self) -> str:
        return f"{self.ref} {self.source}"

    @property
    def database(self) -> PostgresqlSource:
        source = self.ref.system.sources[self.source]
        assert isinstance(source, PostgresqlSource)
        return source

    @property
    def rule(self) -> ArchiveRule:
        rule = self.database.archive
        assert rule is not None
        return rule

    @property
    def key(self) -> tuple[str, str, str]:
        return self.ref.tenant.tenant, self.ref.name, self.source

    @property
    def stanza(self) -> str:
        """What pgBackRest calls it."""
        return self.source

    @property
    def centres(self) -> list[str]:
        """The centres that keep it, the nearest first: pgBackRest's repositories 1, 2."""
        return [str(each) for each in copy_centres(self.ref)]

    @property
    def folder(self) -> Path:
        return Path(self.rule.folder) / ".".join(self.key)

    @property
    def configuration(self) -> Path:
        return self.folder / "pgbackrest.conf"

    @property
    def prefix(self) -> str:
        """Where it lies in the tenant's bucket at every centre: no repository of a system is there."""
        return archive_prefix(self.ref.name, self.source)

    def repository(self, centre: str) -> int:
        """Return pgBackRest's number of a centre. Raises UnknownName."""
        if centre not in self.centres:
            raise UnknownName(f"centre that keeps the archive of {self.ref}", centre, self.centres)
        return self.centres.index(centre) + 1


def archives(ref: SystemRef) -> Iterator[Archive]:
    """Yield the archives of a system."""
    return (Archive(ref, name) for name, _ in archives_of(ref.system))


def find_archive(ref: SystemRef, source: str | None) -> Archive:
    """Return the archive of a source, of the only one when none is named. Raises UnknownName, InvalidInput."""
    known = {each.source: each for each in archives(ref)}
    if not known:
        raise InvalidInput(f"no source of {ref} is archived", hint="give a postgresql source of it an `archive`")
    if source is None and len(known) > 1:
        raise InvalidInput(f"{ref} has archives of {', '.join(known)}", hint="name one with --source")
    name = source or next(iter(known))
    if name not in known:
        raise UnknownName(f"archived source of {ref}", name, known)
    return known[name]
