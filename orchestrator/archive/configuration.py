"""The configuration of pgBackRest for one archive: a repository for each centre, in a file that only its user reads.

What stands in the file is what archives segments day and night: the credential that writes a tenant's bucket and hides
nothing. What makes and expires base backups gets its own credential for the time that it runs, and no file has it.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.archive.place import Access, Archive
from orchestrator.errors import InvalidInput
from orchestrator.scratch.account import system_account
from orchestrator.secrets import Secret, write_private
from orchestrator.vault.s3 import Credential, parse_credential

PACKAGE = "postgresql"
DAY = timedelta(days=1)
#: Seconds that a vault is waited for. A silent one holds up a segment several times this, the others included.
IO_SECONDS = 5
#: Seconds that a segment may take to reach every vault before PostgreSQL is told that it failed, and asks again.
ARCHIVE_SECONDS = 60
MASKED = "***"


@dataclass(frozen=True, slots=True)
class Repository:
    """One centre as a repository of pgBackRest."""

    host: str
    region: str
    bucket: str
    credential: Credential
    keep_days: int


def repository_at(access: Access, archive: Archive, centre: str) -> Repository:
    """Return what pgBackRest needs to know of a centre. Raises InvalidInput for a vault without TLS."""
    vault, tenant = access.vault(centre), archive.ref.tenant.tenant
    parts = urlsplit(vault.endpoint)
    if parts.scheme != "https":
        raise InvalidInput(
            f"pgBackRest speaks https only, and the vault at {centre} is {vault.endpoint}",
            hint=f"give centres.{centre}.vault.endpoint as https://HOST[:PORT]",
        )
    reference = vault.credential
    copies = {str(name): copy for name, copy in archive.ref.copies.items()}
    return Repository(
        parts.netloc, vault.region, vault.bucket(tenant),
        parse_credential(access.secret(reference, tenant=tenant), reference),
        max(1, ceil(copies[centre].retention.keep_within / DAY)),
    )  # fmt: skip


def expirer_environment(access: Access, archive: Archive, centre: str, number: int) -> dict[str, str]:
    """Return what makes pgBackRest use the credential that may hide objects at a centre, in no file."""
    vault = access.vault(centre)
    reference = vault.expirer_credential or vault.credential
    credential = parse_credential(access.secret(reference, tenant=archive.ref.tenant.tenant), reference)
    prefix = f"PGBACKREST_REPO{number}_S3_KEY"
    return {prefix: credential.access_key, f"{prefix}_SECRET": credential.secret_key}


def passphrase(access: Access, archive: Archive) -> Secret:
    return access.secret(archive.rule.passphrase, tenant=archive.ref.tenant.tenant)


def render(
    archive: Archive, repositories: Mapping[int, Repository], secret: Secret, *, folder: Path, data: Path | None = None
) -> str:
    """Return the text of the configuration. Pure, but for the certificates that this host trusts.

    `data` is another data folder than the database's own: one to restore into, with no server to be asked.
    Raises InvalidInput for a secret that cannot stand in such a file.
    """
    rule, lines = archive.rule, ["[global]"]
    for number, each in repositories.items():
        lines += [f"repo{number}-{key}={value}" for key, value in _repository(archive, each, secret)]
    lines += [
        "archive-async=y" if data is None else "archive-async=n",
        f"io-timeout={IO_SECONDS}",
        f"archive-timeout={ARCHIVE_SECONDS}",
        f"spool-path={folder / 'spool'}",
        f"lock-path={folder / 'lock'}",
        f"log-path={folder}",
        "log-level-file=off",
        "log-level-console=off",
        "log-level-stderr=warn",
        "compress-type=zst",
        "process-max=2",
        "start-fast=y",
        "expire-auto=n",
        "",
        f"[{archive.stanza}]",
        f"pg1-path={data or rule.data_folder}",
    ]
    if data is None:
        lines += [f"pg1-port={archive.database.port}", f"pg1-socket-path={rule.socket_folder}"]
        lines += [f"pg1-user={rule.os_user}"]
    return "\n".join(lines) + "\n"


def _repository(archive: Archive, each: Repository, secret: Secret) -> Iterator[tuple[str, str]]:
    yield "type", "s3"
    yield "path", f"/{archive.prefix}"
    yield "s3-endpoint", each.host
    yield "s3-region", each.region
    yield "s3-bucket", each.bucket
    yield "s3-uri-style", "path"
    yield "s3-key", _line("the access key of a vault", each.credential.access_key)
    yield "s3-key-secret", _line("the secret key of a vault", each.credential.secret_key)
    if trusted := ssl.get_default_verify_paths().cafile:
        yield "storage-ca-file", trusted
    yield "bundle", "y"  # small files travel together: an empty database has a thousand of them
    yield "cipher-type", "aes-256-cbc"
    yield "cipher-pass", _line("the passphrase of the archive", secret.reveal())
    # The newest full backup that is older than this stays, for every moment within it must come back.
    yield "retention-full-type", "time"
    yield "retention-full", str(each.keep_days)


def _line(what: str, value: str) -> str:
    if value != value.strip() or not value.isprintable():
        raise InvalidInput(f"{what} cannot stand in a line of pgBackRest's configuration", hint="choose a plain one")
    return value


def masked(text: str) -> str:
    """Return a configuration with no secret in it, to be shown."""
    secret = ("-s3-key", "-s3-key-secret", "-cipher-pass")
    return "\n".join(
        f"{key}={MASKED}" if key.endswith(secret) else line
        for line in text.splitlines()
        for key in [line.partition("=")[0]]
    )


def write(archive: Archive, text: str) -> None:
    """Write the configuration, and make its folders. May be repeated. Raises InvalidInput where the user is missing."""
    account = system_account(archive.rule.os_user, PACKAGE)
    folders = (archive.folder, archive.folder / "spool", archive.folder / "lock")
    for folder in folders:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(archive.configuration, text)
    if account:
        for path in (*folders, archive.configuration):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def postgresql_settings(archive: Archive) -> dict[str, str]:
    """Return what the database must be told. archive_mode takes a restart, the others a reload."""
    command = f"pgbackrest --config={archive.configuration} --stanza={archive.stanza} archive-push %p"
    return {"wal_level": "replica", "archive_mode": "on", "archive_command": command, "archive_timeout": "60"}
