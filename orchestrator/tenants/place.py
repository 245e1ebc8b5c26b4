"""Where the items of one target are built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.cloud.connection import Connection, writes
from orchestrator.errors import TricenterError
from orchestrator.tenants.desired import Target
from orchestrator.tenants.items import Key, Observed
from orchestrator.tenants.nesting import Shared
from orchestrator.vault.admin import VaultAdmin
from policies.tenancy import Nested, OwnDomain


@dataclass(slots=True)
class Place:
    """Where the items of one target are built: its cloud and vault, and the ids of what is there already."""

    target: Target
    cloud: Connection | None
    vault: VaultAdmin | None
    secrets_folder: Path
    ids: dict[Key, str]
    roles: Mapping[str, str] = field(default_factory=dict)
    external_networks: Mapping[str, str] = field(default_factory=dict)
    tenancy: OwnDomain | Nested = field(default_factory=OwnDomain)
    shared: Shared | None = None
    passwords: dict[str, str] = field(default_factory=dict, repr=False)
    other_writes: int = 0

    @property
    def connection(self) -> Connection:
        if self.cloud is None:
            raise TricenterError(f"{self.target.centre} has no cloud, and something for one was planned")
        return self.cloud

    @property
    def project_id(self) -> str:
        return self.id_of("project", self.target.tenant)

    @property
    def domain_id(self) -> str:
        return self.shared.domain_id if self.shared else self.id_of("domain", self.target.tenant)

    @property
    def parent_id(self) -> str | None:
        return self.shared.parent_id if self.shared else None

    def account(self, login: str) -> str:
        """Return what the account of a person of the tenant is called there."""
        return self.tenancy.account(self.target.tenant, login)

    def id_of(self, noun: str, name: str) -> str:
        try:
            return self.ids[noun, name]
        except KeyError:
            raise TricenterError(f"{self.target}: there is no {noun} {name} to build on", hint="plan again") from None

    def writes(self) -> int:
        """Return how many write requests were sent from here, by whatever login."""
        return self.other_writes + (writes(self.cloud) if self.cloud else 0)


def ids_of(observed: Observed) -> dict[Key, str]:
    """Return the ids of what may be built on: what is ours, or has no owner."""
    return {key: each.id for key, found in observed.items() for each in found if each.ours or not each.item.owned}
