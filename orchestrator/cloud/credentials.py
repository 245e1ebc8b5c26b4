"""The file by which the program enters a tenant's project: a clouds.yaml of one entry, mode 0600.

It holds an application credential and nothing else, so it reaches one project with one role, can be revoked alone,
and also serves the `openstack` command: `OS_CLIENT_CONFIG_FILE=… openstack --os-cloud TENANT server list`.
"""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.cloud.connection import Connection, connect
from orchestrator.cloud.identity import IssuedCredential
from orchestrator.errors import InvalidInput

#: Settings of the cloud's entry that also hold for a tenant's.
KEPT = ("region_name", "interface", "cacert", "verify", "insecure")


def credential_file(folder: Path, tenant: str, centre: str) -> Path:
    """Return where the credential of a tenant at a centre is kept."""
    return folder / f"{tenant}.{centre}.clouds.yaml"


def entry(connection: Connection, tenant: str, issued: IssuedCredential) -> str:
    """Return the content of the file. It holds the secret."""
    region = connection.config
    cloud = {name: region.config[name] for name in KEPT if region.config.get(name) not in (None, "")}
    cloud["auth_type"] = "v3applicationcredential"
    cloud["auth"] = {
        "auth_url": region.auth["auth_url"],
        "application_credential_id": issued.id,
        "application_credential_secret": issued.secret,
    }
    return json.dumps({"clouds": {tenant: cloud}}, indent=2, ensure_ascii=False) + "\n"  # JSON is YAML


def stored_id(path: Path) -> str | None:
    """Return the id of the credential in a file, None when there is no whole one."""
    try:
        (cloud,) = json.loads(path.read_text(encoding="utf-8"))["clouds"].values()
        found = cloud["auth"]["application_credential_id"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def connect_tenant(folder: Path, tenant: str, centre: str) -> Connection:
    """Return a connection that acts inside the tenant's project. Raises InvalidInput when it was never applied."""
    path = credential_file(folder, tenant, centre)
    if not path.is_file():
        raise InvalidInput(
            f"there is no credential of tenant {tenant} at {centre}",
            hint=f"tricenter tenant apply {tenant} --centre {centre}",
        )
    return connect(tenant, config_file=path)
