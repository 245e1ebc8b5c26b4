"""What backups need of the object graph, as a protocol: this room does not know how the graph is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from orchestrator.backups.digests import KnownDigests
from orchestrator.catalogue.store import Catalogue
from orchestrator.secrets import Secret
from orchestrator.vault.locks import LockKeeper
from orchestrator.vault.register import Register
from orchestrator.vault.restic import Repository
from orchestrator.vault.s3 import Bucket
from policies.site import Site, SystemRef


class Access(Protocol):
    """Ways to the catalogue, the vaults and the clouds."""

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def site(self) -> Site: ...

    @property
    def registers(self) -> Mapping[str, Register]:
        """The registers of the site's epochs, by centre."""

    @property
    def digests(self) -> KnownDigests:
        """What this machine still knows of the points that it made."""

    def bucket(self, centre: str, tenant: str) -> Bucket:
        """The bucket of a tenant at a centre."""

    def repository(self, centre: str, ref: SystemRef) -> Repository:
        """The repository of a system at a centre, for what reads and adds."""

    def expirer(self, centre: str, ref: SystemRef) -> Repository:
        """The same for what forgets and prunes, with a credential that may delete."""

    def lock_keeper(self, centre: str, tenant: str) -> LockKeeper:
        """What looks at the locks of a tenant's bucket at a centre and lengthens them."""

    def secret(self, reference: str, **names: str) -> Secret:
        """The secret that a site file names."""

    def tenant_cloud(self, centre: str, tenant: str) -> Any:
        """A connection that acts inside a tenant's project."""


def repository_lease(centre: str, ref: SystemRef) -> str:
    """Return the name of the lease of one repository: shared to read and add, exclusive to rewrite."""
    return f"repository {centre}:{ref}"


def target_lease(centre: str, ref: SystemRef) -> str:
    """Return the name of the lease of a repository as a target of replication: one writer of copies at a time."""
    return f"replication to {centre}:{ref}"
