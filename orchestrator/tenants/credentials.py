"""Entering a tenant's project, by the application credential that an apply has left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cloud.connection import Connection
from orchestrator.cloud.credentials import connect_tenant

if TYPE_CHECKING:
    from orchestrator.app import App


def connect_as_tenant(app: App, centre: str, tenant: str) -> Connection:
    """Return a new connection that acts inside the tenant's project.

    Raises InvalidInput when the tenant was never applied there, CredentialRefused when the credential was revoked.
    """
    return connect_tenant(app.secrets_folder, tenant, centre)
