"""The vaults of the same-city and the provincial centre: one SeaweedFS each, and who may do what in it."""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.lab import daemons
from orchestrator.lab.daemons import Daemon
from orchestrator.lab.layout import Lab, VaultCentre, made_once
from orchestrator.lab.packages import weed_program
from orchestrator.secrets import write_private

ADMIN_ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]
#: What a tenant's only credential may do in its own bucket, of a site that was registered before there were three.
TENANT_ACTIONS = (
    "Read", "Write", "List", "Tagging", "GetObjectRetention", "PutObjectRetention", "GetBucketObjectLockConfiguration",
)  # fmt: skip

Role = Literal["writer", "expirer", "lock"]
ROLES: tuple[Role, ...] = ("writer", "expirer", "lock")

#: What each credential of a tenant may do: with its bucket, with what is in it, and with what passes by itself there.
#: None makes a bucket, changes what a bucket demands, or deletes a version.
_LOOK = (
    "ListBucket", "ListBucketVersions", "GetBucketLocation", "GetBucketVersioning", "GetBucketObjectLockConfiguration",
)  # fmt: skip
_READ = ("GetObject", "GetObjectVersion", "GetObjectRetention")
_WRITE = ("PutObject", "AbortMultipartUpload", "ListMultipartUploadParts")
_GRANTS: dict[Role, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "writer": (("", _LOOK), ("/*", (*_READ, *_WRITE)), ("/*/locks/*", ("DeleteObject",))),
    "expirer": (("", _LOOK), ("/*", (*_READ, *_WRITE, "DeleteObject"))),
    "lock": (("", _LOOK), ("/*", ("GetObjectRetention", "PutObjectRetention"))),
}


def vault(lab: Lab, centre: VaultCentre) -> Daemon:
    """One SeaweedFS: master, volume server, filer and S3 gateway in a process, every port of it named here."""
    ports = [
        f"-{part}.port{suffix}={lab.vault_port(centre, part + name)}"
        for part in ("master", "volume", "filer", "s3")
        for suffix, name in (("", ""), (".grpc", "-grpc"))
    ]
    return Daemon(
        name=f"vault-{centre}",
        place=centre,
        argv=[
            str(weed_program()), "-logtostderr=true", "server", f"-dir={lab.vault_data(centre)}",
            "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *ports, "-filer=true", "-s3=true", "-s3.ip.bind=127.0.0.1",
            "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={lab.vault_config(centre)}",
            "-master.volumeSizeLimitMB=1024", "-master.telemetry=false", "-volume.max=10000",
            "-volume.preStopSeconds=0",
            "-master.electionTimeout=1s",  # alone it still waits for other candidates: 10 to 20 s by default
        ],
        port=lab.vault_port(centre),
        url=f"{lab.vault_url(centre)}/healthz",
        grace_seconds=2,  # it takes 10 s to say goodbye to itself; what it has acknowledged is in its files already
    )  # fmt: skip


def prepare_vault(lab: Lab, centre: VaultCentre) -> None:
    """Make the data folder and the list of identities. May be repeated."""
    lab.vault_data(centre).mkdir(mode=0o700, exist_ok=True)
    admin_credential(lab, centre)
    if not lab.vault_config(centre).exists():
        write_identities(lab, centre, [])


@dataclass(frozen=True, slots=True)
class TenantAccess:
    """A credential of a tenant at one vault: the file that holds it, the one bucket it is good for, and for what.

    Without a role it does everything that a tenant needs, as the only one did of older sites.
    """

    identity: str
    credential: Path
    bucket: str
    role: Role | None = None


def admin_credential(lab: Lab, centre: VaultCentre) -> Path:
    """Return the file with the key of the vault's administrator; the first call makes it."""
    return credential(lab.folder / "secrets" / f"vault-{centre}.admin.json")


def credential(path: Path) -> Path:
    """Make `path` with a random {access_key, secret_key} unless it is there, and return it."""
    made_once(
        path,
        lambda: json.dumps({"access_key": secrets.token_hex(10), "secret_key": secrets.token_urlsafe(30)}),
    )
    return path


def write_identities(lab: Lab, centre: VaultCentre, tenants: Sequence[TenantAccess]) -> bool:
    """Write who may use the vault: its administrator and `tenants`. Return whether that changed anything.

    A running vault takes the new list without a restart, within a second.
    """
    identities = [_identity("admin", admin_credential(lab, centre), ADMIN_ACTIONS)]
    policies: dict[str, dict[str, str]] = {}
    for each in tenants:
        if each.role is None:
            actions = [f"{action}:{each.bucket}" for action in TENANT_ACTIONS]
            identities.append(_identity(each.identity, each.credential, actions))
            continue
        policy = role_policy(each.bucket, each.role)
        policies[policy["name"]] = policy
        identities.append(_identity(each.identity, each.credential, []) | {"policyNames": [policy["name"]]})
    text = json.dumps({"identities": identities, "policies": list(policies.values())}, indent=1)
    path = lab.vault_config(centre)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    write_private(path, text)
    if (running := daemons.recorded(lab, f"vault-{centre}")) and running.alive:
        os.kill(running.pid, signal.SIGHUP)
    return True


def role_policy(bucket: str, role: Role) -> dict[str, str]:
    """Return what a role may do in a bucket, as SeaweedFS wants it: a name, and S3's own form of policy as text."""
    statements = [
        {"Effect": "Allow", "Action": [f"s3:{each}" for each in actions], "Resource": f"arn:aws:s3:::{bucket}{where}"}
        for where, actions in _GRANTS[role]
    ]
    content = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return {"name": f"{bucket}.{role}", "content": content}


def _identity(name: str, path: Path, actions: list[str]) -> dict[str, object]:
    key = json.loads(path.read_text(encoding="utf-8"))
    return {
        "name": name,
        "credentials": [{"accessKey": key["access_key"], "secretKey": key["secret_key"]}],
        "actions": actions,
    }
