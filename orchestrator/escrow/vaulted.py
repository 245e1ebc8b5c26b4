"""Rescue bundles in a vault: beside the register, by names that hold their own hash, in versions that are locked.

    PREFIX0-register/rescue/SITE/KEY/20261123T141200Z-SHA256-SEAL.age

They are read by their versions and not by their names: a bundle that an attacker has hidden under a delete marker, or
under another version, is found all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.errors import CheckFailed, CredentialRefused, Refused
from orchestrator.escrow.bundle import CHUNK, Opened, Sealed, open_sealed, stamp_of
from orchestrator.escrow.shares import OpeningKey
from orchestrator.vault.admin import VaultAdmin
from orchestrator.vault.s3 import Bucket

ROOT = "rescue/"
#: So many of the newest are never deleted, however old they are.
KEPT_AT_LEAST = 7


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a bundle in a vault."""

    site: str
    key: str
    name: str
    path: str
    version: str
    made_at: datetime
    stored_at: datetime
    size_bytes: int
    hidden: bool


def put_bundle(bucket: Bucket, site: str, key: str, sealed: Sealed) -> None:
    """Store a bundle. May be repeated. Raises Unreachable."""

    def pieces() -> Iterator[bytes]:
        with sealed.file.open("rb") as source:
            while piece := source.read(CHUNK):
                yield piece

    path = f"{ROOT}{site}/{key}/{sealed.name}"
    bucket.send(path, pieces(), size_bytes=sealed.size_bytes, sha256=sealed.sha256)


def find_bundles(admin: VaultAdmin, bucket: str, *, site: str | None = None, key: str | None = None) -> list[Stored]:
    """Return the bundles in a vault, of a site and a key where they are given, the newest first.

    Raises Unreachable, CredentialRefused, and InvalidInput where there is no such bucket.
    """
    found = []
    for each in admin.versions(bucket, ROOT + (f"{site}/" if site else "")):
        parts = each.key.split("/")
        made_at = stamp_of(each.key)
        if each.marker or made_at is None or len(parts) != 4 or (key and parts[2] != key):
            continue
        found.append(
            Stored(
                parts[1], parts[2], parts[3], each.key, each.id, made_at, each.modified_at, each.size_bytes,
                not each.latest,
            )
        )  # fmt: skip
    return sorted(found, key=lambda each: (each.made_at, each.stored_at), reverse=True)


def open_newest(admin: VaultAdmin, bucket: str, bundles: list[Stored], key: OpeningKey) -> tuple[Stored, Opened, bytes]:
    """Return the newest of `bundles` that opens, what it holds, and its archive. Raises CheckFailed when none does."""
    faults = []
    for each in bundles:
        data = admin.read_version(bucket, each.path, each.version)
        try:
            return each, *open_sealed(each.name, data, key)
        except CheckFailed as error:
            faults.append(str(error))
    told = "; ".join(faults[:3]) or "there is none"
    raise CheckFailed(
        f"none of {len(bundles)} bundles in {bucket} opens with these shares: {told}",
        hint="are they shares of the key that the bundles were made for? its name stands on each share",
    )


def expire_bundles(admin: VaultAdmin, bucket: str, site: str, older_than: timedelta, now: datetime) -> int:
    """Delete the versions of bundles that are older than that, and return how many; the newest always stay.

    What is locked the vault refuses, and it is left for a later time.
    """
    deleted = 0
    for each in find_bundles(admin, bucket, site=site)[KEPT_AT_LEAST:]:
        if now - each.stored_at > older_than:
            with suppress(CredentialRefused, Refused):
                admin.delete_version(bucket, each.path, each.version)
                deleted += 1
    return deleted
