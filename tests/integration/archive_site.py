"""A site whose only source is a database of its own that is archived to two vaults of its own, over TLS."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from psycopg import sql

from orchestrator.app import App
from orchestrator.archive.place import Archive, find_archive
from orchestrator.backups.sources.postgresql import Server, connect, fingerprint_tables
from orchestrator.scratch.folder import remove_tree
from orchestrator.secrets import Secret, write_private
from tests.bench.servers import BY_ROLE, TENANT_BUCKETS, Weed, make_certificate
from tests.integration.postgresql import Postgresql
from tests.integration.vault_site import BUREAU, CENTRES, VaultSite, make_vault_site

DATABASE, SOURCE = "land", "db"

SOURCES = """
    sources:
      db:
        kind: postgresql
        host: 127.0.0.1
        port: {port}
        database: land
        user: postgres
        password: file:database.password
        archive:
          data_folder: {data}
          socket_folder: {home}
          folder: {home}/pgbackrest
          passphrase: file:archive.passphrase
"""


SPLIT = "credential: file:writer.json, expirer_credential: file:expirer.json"


@dataclass(frozen=True)
class ArchiveSite(VaultSite):
    """A registry whose database is archived. Everything lies in a folder that the database's user may pass through."""

    @property
    def archive(self) -> Archive:
        return find_archive(self.ref, None)


@dataclass(frozen=True)
class ArchiveTown:
    """The site, its database and its two vaults, all running."""

    site: ArchiveSite
    postgresql: Postgresql
    weeds: dict[str, Weed]

    def add(self, note: str) -> None:
        """Commit one row."""
        with self.postgresql.connect(DATABASE) as db:
            db.execute("insert into parcels (note) values (%s)", (note,))

    def tables(self) -> dict[str, dict[str, object]]:
        server = Server("127.0.0.1", self.postgresql.port, "postgres", DATABASE, Secret("any"))
        with connect(server) as db:
            return fingerprint_tables(db)

    def moment(self) -> datetime:
        with self.postgresql.connect() as db:
            row = db.execute("select clock_timestamp()").fetchone()
        assert row is not None
        return row[0].astimezone(UTC)  # type: ignore[no-any-return]

    def app(self) -> App:
        return self.site.app


@contextmanager
def archive_town() -> Iterator[ArchiveTown]:
    """Run a database that archives to two vaults, as the site says; nothing has been backed up yet."""
    folder = Path(tempfile.mkdtemp(prefix="tri-archive-", dir="/var/tmp"))
    folder.chmod(0o755)
    certificate, trusted = make_certificate(folder), os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(certificate.cert)
    weeds = {centre: Weed(folder / centre, centre=centre, certificate=certificate) for centre in CENTRES}
    postgresql = None
    try:
        for weed in weeds.values():
            weed.start()
            weed.admin().ensure_bucket(TENANT_BUCKETS[0], lock_days=1)
        postgresql = Postgresql(folder)
        site = _make_site(weeds, postgresql, folder)
        settings = {
            "unix_socket_directories": str(postgresql.home), "wal_level": "replica", "archive_mode": "on",
            "archive_timeout": "60",
        }  # fmt: skip
        postgresql.start(**settings)
        with postgresql.connect() as db:
            db.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
        with postgresql.connect(DATABASE) as db:
            db.execute("create table parcels (id int generated always as identity primary key, note text not null)")
            db.execute("insert into parcels (note) select md5(g::text) from generate_series(1, 20000) g")
        yield ArchiveTown(site, postgresql, weeds)
    finally:
        if postgresql:
            postgresql.stop()
        for weed in weeds.values():
            weed.stop()
        os.environ.pop("SSL_CERT_FILE")
        if trusted:
            os.environ["SSL_CERT_FILE"] = trusted
        remove_tree(folder)


def _make_site(weeds: dict[str, Weed], postgresql: Postgresql, folder: Path) -> ArchiveSite:
    made = make_vault_site(weeds, folder / "town")
    site = ArchiveSite(made.name, made.folder, made.overlay, made.lab)
    text = (site.folder / "site.yaml").read_text(encoding="utf-8")
    for weed in weeds.values():
        text = text.replace(weed.endpoint, weed.secure_endpoint)
    # One credential writes and hides nothing, the other makes and expires base backups.
    text = text.replace("credential: file:tenant.json", SPLIT)
    for role in ("writer", "expirer"):
        keys = {"access_key": BY_ROLE[role].access_key, "secret_key": BY_ROLE[role].secret_key}
        write_private(site.folder / f"{role}.json", json.dumps(keys))
    (site.folder / "site.yaml").write_text(text, encoding="utf-8")
    tier = site.folder / "tiers" / "both.yaml"
    tier.write_text(tier.read_text(encoding="utf-8").replace("lock: 0s", "lock: 2d", 1), encoding="utf-8")
    tenant = site.folder / "tenants" / f"{BUREAU}.yaml"
    head, _, _ = tenant.read_text(encoding="utf-8").partition("    sources:")
    sources = SOURCES.format(port=postgresql.port, data=postgresql.data, home=postgresql.home)
    tenant.write_text(head + sources.lstrip("\n"), encoding="utf-8")
    write_private(site.folder / "database.password", "any")
    write_private(site.folder / "archive.passphrase", secrets.token_urlsafe(32))
    return site
