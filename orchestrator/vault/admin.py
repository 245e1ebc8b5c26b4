"""Administration of a vault: buckets that keep versions and lock objects, and what a store can really do.

Uses the admin credential. What it reports was read back from the store, never assumed from a call that "worked":
some stores answer a call that they do not know with success.
"""

from __future__ import annotations

import base64
import ssl
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.errors import CheckFailed, TricenterError
from orchestrator.vault.expiry import Expiry, judge_rules, read_rules, write_rule
from orchestrator.vault.signing import Credential
from orchestrator.vault.wire import (
    CONNECT_SECONDS,
    READ_SECONDS,
    AlreadyThere,
    NoSuchObject,
    Wire,
    explain,
    sha256_of,
    unreachable,
)
from policies.locks import kept_days

#: Long enough to try a refused delete, short enough that the next probe can clean up.
PROBE_LOCK = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class BucketState:
    """A bucket as the vault describes it. Without lock, `lock_mode` is None and `lock_days` 0.

    For `kept_days` a version is kept after it was hidden; see `Expiry`.
    """

    versioning: bool
    lock_mode: str | None
    lock_days: int
    kept_days: int | None = 0


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, or a marker that says that it is deleted. `content` tells versions apart (ETag)."""

    key: str
    id: str
    modified_at: datetime
    latest: bool
    marker: bool
    size_bytes: int
    content: str


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a store was seen to do: each by writing, trying and reading back."""

    versioning: bool
    object_lock: bool
    conditional_write: bool
    checks_signed_hash: bool
    checks_checksum: bool


class VaultAdmin:
    """The vault of one centre, with the credential that may create buckets."""

    def __init__(self, centre: str, endpoint: str, region: str, credential: Credential) -> None:
        self._centre, self._endpoint, self._region, self._credential = centre, endpoint, region, credential
        self._s3 = s3_client(endpoint, region, credential)

    def observe_bucket(self, name: str) -> BucketState | None:
        """Return how the bucket stands in the vault, or None when there is none."""
        if not self._exists(name):
            return None
        with self._translated(name):
            versioning = self._s3.get_bucket_versioning(Bucket=name).get("Status") == "Enabled"
        try:
            with self._translated(name):
                lock = self._s3.get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"]
        except NoSuchObject:  # the answer of S3 for a bucket without object lock
            lock = {}
        rule = lock.get("Rule", {}).get("DefaultRetention", {})
        days = rule.get("Days", 0) + 365 * rule.get("Years", 0)
        return BucketState(versioning, rule.get("Mode"), days, self.observe_expiry(name, days).kept_days)

    def observe_expiry(self, name: str, lock_days: int) -> Expiry:
        """Return what goes by itself from a bucket that locks for so many days."""
        return judge_rules(read_rules(self._s3, name, self._translated), lock_days)

    def ensure_bucket(self, name: str, *, lock_days: int, clears: bool = False) -> None:
        """Make the bucket exist, keep versions, and lock each new object for `lock_days` (COMPLIANCE).

        With `clears` what was hidden goes for good some days after its lock must have ended, where the store has rules
        for that. May be repeated. Lengthens the lock, never shortens it; 0 asks for versions only. Raises CheckFailed
        when the vault, asked again, does not have what was set.
        """
        state = self.observe_bucket(name)
        if state is None:
            with suppress(AlreadyThere), self._translated(name):
                self._s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
            state = self._observed(name)
        if not state.versioning:
            with self._translated(name):
                self._s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        if state.lock_mode != "COMPLIANCE" or state.lock_days < lock_days:
            days = max(lock_days, state.lock_days)
            if days:
                self._lock(name, days)
        state = self._observed(name)
        if clears:
            self._clear_hidden(name, state)
        if not state.versioning or state.lock_days < lock_days or (lock_days and state.lock_mode != "COMPLIANCE"):
            raise CheckFailed(
                f"{self._centre}:{name} is not as it was set: versioning {state.versioning}, lock {state.lock_mode} "
                f"{state.lock_days} d, wanted COMPLIANCE {lock_days} d",
                hint="this store may not have object lock: take one that has it, or set no lock for this centre",
            )

    def versions(self, bucket: str, prefix: str) -> Iterator[Version]:
        """Yield all versions and delete markers of the objects whose keys begin with `prefix`, by their keys."""
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
        found: list[Version] = []
        with self._translated(bucket):
            for page in pages:
                for kind in ("Versions", "DeleteMarkers"):
                    found += [_version(each, marker=kind == "DeleteMarkers") for each in page.get(kind, ())]
        # A page has its versions before its markers, and some stores page by other things than keys.
        yield from sorted(found, key=lambda each: each.key)

    def copy_version(self, bucket: str, key: str, version: str) -> None:
        """Put a copy of an old version of an object on top of the later ones. May be repeated: another copy."""
        source = {"Bucket": bucket, "Key": key, "VersionId": version}
        with self._translated(bucket):
            self._s3.copy_object(Bucket=bucket, Key=key, CopySource=source, MetadataDirective="COPY")

    def read_version(self, bucket: str, key: str, version: str) -> bytes:
        """Return the whole content of one version of an object, hidden or not. Raises NoSuchObject."""
        with self._translated(bucket):
            content: bytes = self._s3.get_object(Bucket=bucket, Key=key, VersionId=version)["Body"].read()
        return content

    def delete_version(self, bucket: str, key: str, version: str) -> None:
        """Delete one version of an object for good. Raises CredentialRefused or Refused for one that is locked."""
        with self._translated(bucket):
            self._s3.delete_object(Bucket=bucket, Key=key, VersionId=version)

    def delete_marker(self, bucket: str, key: str, marker: str) -> None:
        """Take a delete marker away. May be repeated. The store must refuse what is a locked version."""
        with self._translated(bucket):
            self._s3.delete_object(Bucket=bucket, Key=key, VersionId=marker)

    def probe(self, bucket: str) -> Abilities:
        """Return what the store was seen to do, tried in the scratch bucket `bucket` (made when missing).

        May be repeated. Leaves one tiny object that is locked for a minute; the next probe removes it.
        """
        self.ensure_bucket(bucket, lock_days=0)
        self._clean(bucket)
        wire = Wire(self._centre, self._endpoint, self._region, bucket, self._credential, 1)
        key = f"probe/{uuid.uuid4().hex}"
        try:
            return Abilities(
                versioning=self._keeps_versions(bucket, f"{key}-version"),
                object_lock=self._refuses_delete(bucket, f"{key}-lock"),
                conditional_write=_only_one_wins(wire, f"{key}-once"),
                checks_signed_hash=_refuses_other_hash(wire, f"{key}-hash", checksum=False),
                checks_checksum=_refuses_other_hash(wire, f"{key}-checksum", checksum=True),
            )
        finally:
            self._clean(bucket)

    def _observed(self, name: str) -> BucketState:
        state = self.observe_bucket(name)
        if state is None:
            raise CheckFailed(f"{self._centre}:{name} was created and is not there", hint="look at the vault's log")
        return state

    def _exists(self, name: str) -> bool:
        try:
            with self._translated(name):
                self._s3.head_bucket(Bucket=name)
        except NoSuchObject:
            return False
        return True

    def _lock(self, name: str, days: int) -> None:
        retention = {"Mode": "COMPLIANCE", "Days": days}
        with self._translated(name):
            self._s3.put_object_lock_configuration(
                Bucket=name,
                ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}},
            )

    def _clear_hidden(self, name: str, state: BucketState) -> None:
        days = kept_days(state.lock_days)
        if state.kept_days is None or state.kept_days >= days:
            return
        write_rule(self._s3, name, self._translated, read_rules(self._s3, name, self._translated) or [], days)
        if (kept := self.observe_expiry(name, state.lock_days).kept_days) != days:
            raise CheckFailed(
                f"{self._centre}:{name} keeps what is hidden for {kept or 'ever and no'} days after {days} were set",
                hint="this store takes lifecycle rules and does not have them afterwards: see its documentation",
            )

    def _keeps_versions(self, bucket: str, key: str) -> bool:
        with self._translated(bucket):
            first = self._s3.put_object(Bucket=bucket, Key=key, Body=b"first").get("VersionId")
            self._s3.put_object(Bucket=bucket, Key=key, Body=b"second")
            if first is None:
                return False
            kept: bytes = self._s3.get_object(Bucket=bucket, Key=key, VersionId=first)["Body"].read()
        return kept == b"first"

    def _refuses_delete(self, bucket: str, key: str) -> bool:
        try:
            with self._translated(bucket):
                until = datetime.now(UTC) + PROBE_LOCK
                version = self._s3.put_object(
                    Bucket=bucket, Key=key, Body=b"locked", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until
                ).get("VersionId")
                if version is None:
                    return False
        except TricenterError:
            return False
        with suppress(TricenterError), self._translated(bucket):
            self._s3.delete_object(Bucket=bucket, Key=key, VersionId=version)
        try:
            with self._translated(bucket):
                self._s3.head_object(Bucket=bucket, Key=key, VersionId=version)
        except NoSuchObject:
            return False
        return True

    def _clean(self, bucket: str) -> None:
        """Remove what probes left, as far as its lock has ended."""
        with self._translated(bucket):
            found = self._s3.list_object_versions(Bucket=bucket, Prefix="probe/")
        for each in found.get("Versions", []) + found.get("DeleteMarkers", []):
            with suppress(TricenterError), self._translated(bucket):
                self._s3.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])

    def _translated(self, bucket: str) -> AbstractContextManager[None]:
        return translated(self._centre, self._endpoint, bucket)


def s3_client(endpoint: str, region: str, credential: Credential) -> Any:
    """Return boto3's client of a vault. What it raises is for `translated`."""
    # Imported here: boto3 takes half a second of CPU, and only the administration of buckets needs it.
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=credential.access_key,
        aws_secret_access_key=credential.secret_key,
        # The machine's own authorities, as restic and our requests take them, and not the list boto3 carries.
        verify=ssl.get_default_verify_paths().cafile,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 2},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


@contextmanager
def translated(centre: str, endpoint: str, bucket: str) -> Iterator[None]:
    """Turn every failure of boto3 in this block into one of ours."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        answer: dict[str, Any] = error.response
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        about = answer.get("Error", {})
        raise explain(centre, bucket, status, about.get("Code", ""), about.get("Message", "")) from error
    except BotoCoreError as error:
        raise unreachable(centre, endpoint, error) from error


def _version(found: dict[str, Any], *, marker: bool) -> Version:
    return Version(
        found["Key"], found["VersionId"], found["LastModified"], bool(found.get("IsLatest")), marker,
        int(found.get("Size") or 0), str(found.get("ETag") or ""),
    )  # fmt: skip


def _only_one_wins(wire: Wire, key: str) -> bool:
    headers = {"content-length": "4", "if-none-match": "*"}
    try:
        with wire.request("PUT", key, headers=headers, body=b"once", sha256=sha256_of(b"once")):
            pass
        with wire.request("PUT", key, headers=headers, body=b"more", sha256=sha256_of(b"more")):
            return False
    except TricenterError:
        pass
    try:
        with wire.request("GET", key) as answer:
            return answer.read() == b"once"
    except NoSuchObject:
        return False


def _refuses_other_hash(wire: Wire, key: str, *, checksum: bool) -> bool:
    """Return whether a body that is not what its hash says is refused and not there afterwards."""
    claimed = sha256_of(b"what was promised")
    headers = {"content-length": "5"}
    if checksum:
        headers["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(claimed)).decode()
    sent = sha256_of(b"other") if checksum else claimed
    with suppress(TricenterError), wire.request("PUT", key, headers=headers, body=b"other", sha256=sent):
        pass
    try:
        with wire.request("HEAD", key):
            return False
    except NoSuchObject:
        return True
