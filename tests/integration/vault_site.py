"""A site of one bureau with files to back up and two vaults of its own: no cloud and no lab is needed for it."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from sqlalchemy import update

from orchestrator.app import App
from orchestrator.catalogue import tables as t
from orchestrator.catalogue import verifications as memory
from orchestrator.catalogue.facts import Key
from orchestrator.secrets import write_private
from orchestrator.vault.restic import Repository
from orchestrator.vault.s3 import Bucket, Credential, Entry
from policies.site import SystemRef
from tests.bench.servers import ADMIN, REGION, TENANT, TENANT_BUCKETS, Weed
from tests.integration.conftest import SmallSite

CENTRES = ("same-city", "provincial")
BUREAU = TENANT_BUCKETS[0].removeprefix("dr-")

#: A site whose only copies are at one vault, where a tenant has a credential for each thing that it does.
SPLIT_SITE = """
site: {name}
title: {{zh: 测试站点, en: Test site}}
state: {state}
centres:
  production: {{title: {{zh: 生产, en: Production}}, location: {{latitude: 38.9, longitude: 121.6}}}}
  same-city:
    title: {{zh: 同城, en: Same city}}
    location: {{latitude: 39.05, longitude: 121.78}}
    vault:
      endpoint: '{near}'
      bucket_prefix: dr-
      credential: file:writer.json
      expirer_credential: file:expirer.json
      lock_credential: file:lock.json
      admin_credential: file:admin.json
  provincial: {{title: {{zh: 省级, en: Provincial}}, location: {{latitude: 41.8, longitude: 123.4}}}}
repository_password: file:password
"""

SPLIT_TIER = """
tier: both
title: {zh: 同城, en: Near}
backup_every: 20m
copies:
  same-city: {rpo: 1h, rto: 4h, retention: {keep_within: 14d, lock: 2d}}
drill: {every: 365d}
gbt20988_level: 3
"""

SITE = """
site: {name}
title: {{zh: 测试站点, en: Test site}}
state: {state}
centres:
  production: {{title: {{zh: 生产, en: Production}}, location: {{latitude: 38.9, longitude: 121.6}}}}
  same-city:
    title: {{zh: 同城, en: Same city}}
    location: {{latitude: 39.05, longitude: 121.78}}
    vault: {{endpoint: '{near}', bucket_prefix: dr-, credential: file:tenant.json, admin_credential: file:admin.json}}
  provincial:
    title: {{zh: 省级, en: Provincial}}
    location: {{latitude: 41.8, longitude: 123.4}}
    vault: {{endpoint: '{far}', bucket_prefix: dr-, credential: file:tenant.json, admin_credential: file:admin.json}}
repository_password: file:password
"""

TIER = """
tier: both
title: {zh: 两地, en: Both}
backup_every: 20m
copies:
  same-city: {rpo: 1h, rto: 4h, retention: {keep_within: 14d, lock: 0s}}
  provincial: {rpo: 1h, rto: 4h, retention: {keep_within: 35d, lock: 0s}}
drill: {every: 365d}
schedule: {read_all_within: 32d}
gbt20988_level: 4
"""

BUREAU_FILE = """
tenant: {bureau}
title: {{zh: 测试局, en: Test bureau}}
unit_code: T-0001
mlps_level: 2
contact: nobody
systems:
  {system}:
    title: {{zh: 登记, en: Registry}}
    tier: both
    sources:
      scans: {{kind: path, path: {path}}}
"""


@dataclass(frozen=True)
class VaultSite(SmallSite):
    """A site whose only system is backed up from `tree`. Its name and its system's are unique."""

    @property
    def app(self) -> App:
        return App(self.folder, None)

    def variables(self) -> dict[str, str]:
        return {"TRICENTER_SITE": str(self.folder), "COLUMNS": "140"}

    @property
    def tree(self) -> Path:
        return self.folder.parent / "tree"

    @property
    def ref(self) -> SystemRef:
        (ref,) = self.app.site.systems()
        return ref

    def place(self, centre: str) -> Key:
        return Key(BUREAU, self.ref.name, centre)

    def bucket(self, centre: str = "same-city") -> Bucket:
        return self.app.bucket(centre, BUREAU)

    def repository(self, centre: str = "same-city") -> Repository:
        return self.app.repository(centre, self.ref)

    def objects(self, part: str, centre: str = "same-city") -> list[Entry]:
        """Return the objects of a part, the largest first."""
        return sorted(self.bucket(centre).list(f"{self.ref.name}/{part}/"), key=lambda each: -each.size_bytes)

    def back_up(self, *, mebibytes: int = 1) -> str:
        """Add data to the tree, back it up, and return the recovery point's id."""
        (self.tree / secrets.token_hex(4)).write_bytes(os.urandom(mebibytes << 20))
        app = self.app  # in this process: most of a command's time is its start
        try:
            return str(app.runner.run("backup", {"system": str(self.ref)}).point.id)
        finally:
            app.runner.close()

    def date(self, point: str, at: datetime) -> None:
        """Let the catalogue believe that a point was made at another time."""
        with self.app.catalogue.engine.begin() as db:
            db.execute(update(t.points).where(t.points.c.id == point).values(data_time=at, finished_at=at))

    def points(self, centre: str = "same-city") -> set[str]:
        return {each["point"] for each in self.json("backup", "list", "--centre", centre)}

    def open_faults(self, centre: str = "same-city") -> list[memory.Fault]:
        return memory.open_faults(self.app.catalogue, self.place(centre))

    def verify(self, *words: str, code: int = 0, centre: str = "same-city") -> Any:
        (verified,) = self.json("backup", "verify", "--centre", centre, *words, code=code)
        return verified

    def client(self, centre: str = "same-city") -> Any:
        return boto3.client(
            "s3", endpoint_url=self.app.vault(centre).endpoint, region_name=REGION,
            aws_access_key_id=ADMIN.access_key, aws_secret_access_key=ADMIN.secret_key,
        )  # fmt: skip


def make_vault_site(weeds: dict[str, Weed], folder: Path) -> VaultSite:
    """Write a site whose vaults are these servers, with a tree to back up beside it."""
    near, far = (weeds[centre].endpoint for centre in CENTRES)
    return _make_site(folder, SITE, TIER, {"tenant": TENANT, "admin": ADMIN}, near=near, far=far)


def make_split_site(endpoint: str, credentials: Mapping[str, Credential], folder: Path) -> VaultSite:
    """Write a site whose only vault is there; `credentials` are the writer's, expirer's, lock's and admin's."""
    return _make_site(folder, SPLIT_SITE, SPLIT_TIER, credentials, near=endpoint)


def _make_site(
    folder: Path, site_text: str, tier_text: str, credentials: Mapping[str, Credential], **endpoints: str
) -> VaultSite:
    name = f"t{secrets.token_hex(4)}"
    site = VaultSite(name, folder / "site", folder / "none", None)  # type: ignore[arg-type]
    for part in ("tiers", "tenants"):
        (site.folder / part).mkdir(parents=True)
    site.tree.mkdir()
    text = site_text.format(name=name, state=folder / "state", **endpoints)
    (site.folder / "site.yaml").write_text(text, encoding="utf-8")
    (site.folder / "tiers" / "both.yaml").write_text(tier_text, encoding="utf-8")
    bureau = BUREAU_FILE.format(bureau=BUREAU, system=f"s{name}", path=site.tree)
    (site.folder / "tenants" / f"{BUREAU}.yaml").write_text(bureau, encoding="utf-8")
    for role, credential in credentials.items():
        keys = {"access_key": credential.access_key, "secret_key": credential.secret_key}
        write_private(site.folder / f"{role}.json", json.dumps(keys))
    write_private(site.folder / "password", secrets.token_hex(8))
    return site


def running_weeds(folder: Path) -> Iterator[dict[str, Weed]]:
    """Run a vault for each centre, with versions and object lock, for as long as the caller iterates."""
    weeds = {centre: Weed(folder / centre, centre=centre) for centre in CENTRES}
    try:
        for weed in weeds.values():
            weed.start()
            weed.admin().ensure_bucket(TENANT_BUCKETS[0], lock_days=1)
        yield weeds
    finally:
        for weed in weeds.values():
            weed.stop()


def now() -> datetime:
    return datetime.now(UTC)
