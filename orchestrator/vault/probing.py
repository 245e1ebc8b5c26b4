"""What a credential can really do in a tenant's bucket: each power is tried on objects made for it, and read back.

Nothing that is of use is touched: what is tried on the bucket itself sets what is set already. The objects lie below a
prefix of their own and are as locked as the bucket locks everything; later probes clear them away.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from orchestrator.errors import TricenterError, Unreachable
from orchestrator.vault.admin import s3_client, translated
from orchestrator.vault.signing import Credential
from orchestrator.vault.wire import NoSuchObject

Role = Literal["writer", "expirer", "lock"]
ROLES: tuple[Role, ...] = ("writer", "expirer", "lock")

#: No system has this name: theirs begin with a letter.
PREFIX = "0-probe/"

#: What is locked for a probe of its own is free again soon; longer than a probe takes.
PROBE_LOCK = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Powers:
    """What a credential was seen to do. `hides` puts a delete marker, which can be undone; see DESTRUCTIVE."""

    lists: bool
    reads: bool
    writes: bool
    removes_locks: bool
    hides: bool
    deletes_versions: bool
    lengthens: bool
    shortens: bool
    deletes_locked: bool
    bypasses_governance: bool
    changes_lock_rule: bool
    stops_versions: bool
    sets_expiry: bool
    sets_policy: bool


POWERS = tuple(each.name for each in fields(Powers))

#: With these something that is locked, or is written later, can be lost for good.
DESTRUCTIVE = frozenset(
    {"shortens", "deletes_locked", "changes_lock_rule", "stops_versions", "sets_expiry", "sets_policy"}
)

#: What each role must be able to do. What else it can is more than it should.
NEEDS: dict[Role, frozenset[str]] = {
    "writer": frozenset({"lists", "reads", "writes", "removes_locks"}),
    "expirer": frozenset({"lists", "reads", "writes", "removes_locks", "hides"}),
    "lock": frozenset({"lists", "lengthens"}),
}


@dataclass(frozen=True, slots=True)
class Probed:
    """What one credential was seen to be able to do."""

    role: Role
    powers: Powers

    @property
    def lacks(self) -> tuple[str, ...]:
        """What its role needs and it cannot do."""
        return tuple(each for each in POWERS if each in NEEDS[self.role] and not getattr(self.powers, each))

    @property
    def excess(self) -> tuple[str, ...]:
        """What it can do and its role does not need."""
        return tuple(each for each in POWERS if each not in NEEDS[self.role] and getattr(self.powers, each))

    @property
    def destructive(self) -> tuple[str, ...]:
        return tuple(each for each in self.excess if each in DESTRUCTIVE)


class Prober:
    """Tries the credentials of a tenant's bucket, with the administrator's to prepare and to read back."""

    def __init__(self, centre: str, endpoint: str, region: str, bucket: str, admin: Credential) -> None:
        self._centre, self._endpoint, self._region, self._bucket = centre, endpoint, region, bucket
        self._admin = s3_client(endpoint, region, admin)

    def probe(self, role: Role, credential: Credential) -> Probed:
        """Return what a credential can do. May be repeated. Raises Unreachable, and what the admin is refused."""
        who = s3_client(self._endpoint, self._region, credential)
        self._clear()
        try:
            return Probed(role, Powers(**self._objects(who), **self._locked(who), **self._rules(who)))
        finally:
            self._clear()

    # --- objects

    def _objects(self, who: Any) -> dict[str, bool]:
        there, hidden = self._put("data/aa/there-"), self._put("data/aa/hidden-")
        passing, written = self._put("locks/"), self._key("data/aa/written-")
        marked = self._put("data/aa/marked-")
        with self._mine():
            marker = self._admin.delete_object(Bucket=self._bucket, Key=marked["Key"])["VersionId"]
        at = {"Bucket": self._bucket}
        found: dict[str, bool] = {
            "lists": self._tried(lambda: who.list_objects_v2(**at, Prefix=there["Key"])),
            "reads": self._tried(lambda: who.get_object(**at, Key=there["Key"])["Body"].read()),
        }
        self._tried(lambda: who.put_object(**at, Key=written, Body=b"written"))
        self._tried(lambda: who.delete_object(**at, Key=passing["Key"]))
        self._tried(lambda: who.delete_object(**at, Key=hidden["Key"]))
        self._tried(lambda: who.delete_object(**at, Key=marked["Key"], VersionId=marker))
        return found | {
            "writes": self._is_there(Key=written),
            "removes_locks": not self._is_there(Key=passing["Key"]),
            "hides": not self._is_there(Key=hidden["Key"]),
            "deletes_versions": self._is_there(Key=marked["Key"]),
        }

    def _locked(self, who: Any) -> dict[str, bool]:
        until = datetime.now(UTC) + PROBE_LOCK
        locked = self._put("data/aa/locked-", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
        governed = self._put("data/aa/governed-", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)

        def retain(mode: str, to: datetime, **more: Any) -> bool:
            retention = {"Mode": mode, "RetainUntilDate": to}
            return self._tried(lambda: who.put_object_retention(**locked, Retention=retention, **more))

        retain("COMPLIANCE", until + timedelta(seconds=5))
        longer = self._until(locked)
        retain("COMPLIANCE", until - PROBE_LOCK / 2)
        retain("GOVERNANCE", until - PROBE_LOCK / 2, BypassGovernanceRetention=True)
        shorter = self._until(locked)
        self._tried(lambda: who.delete_object(**locked))
        self._tried(lambda: who.delete_object(**locked, BypassGovernanceRetention=True))
        self._tried(lambda: who.delete_object(**governed, BypassGovernanceRetention=True))
        return {
            "lengthens": longer > until + timedelta(seconds=2),
            "shortens": shorter < longer,
            "deletes_locked": not self._is_there(**_without_bucket(locked)),
            "bypasses_governance": not self._is_there(**_without_bucket(governed)),
        }

    # --- the bucket's rules: what is set already is set again, so that it is the same afterwards

    def _rules(self, who: Any) -> dict[str, bool]:
        at = {"Bucket": self._bucket}
        with self._mine():
            lock = self._admin.get_object_lock_configuration(**at)["ObjectLockConfiguration"]
        return {
            "changes_lock_rule": self._tried(
                lambda: who.put_object_lock_configuration(**at, ObjectLockConfiguration=lock)
            ),
            "stops_versions": self._tried(
                lambda: who.put_bucket_versioning(**at, VersioningConfiguration={"Status": "Enabled"})
            ),
            "sets_expiry": self._sets_expiry(who),
            "sets_policy": self._sets_policy(who),
        }

    def _sets_expiry(self, who: Any) -> bool:
        at = {"Bucket": self._bucket}
        idle = {"ID": "probe", "Status": "Disabled", "Filter": {"Prefix": PREFIX}, "Expiration": {"Days": 3650}}
        rules = self._known(lambda: self._admin.get_bucket_lifecycle_configuration(**at)["Rules"])
        rule = {"Rules": rules or [idle]}
        done = self._tried(lambda: who.put_bucket_lifecycle_configuration(**at, LifecycleConfiguration=rule))
        if done and not rules:
            with self._mine():
                self._admin.delete_bucket_lifecycle(**at)
        return done

    def _sets_policy(self, who: Any) -> bool:
        at = {"Bucket": self._bucket}
        resource = f"arn:aws:s3:::{self._bucket}/{PREFIX}none"
        idle = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": resource}
        policy = self._known(lambda: self._admin.get_bucket_policy(**at)["Policy"])
        text = policy or json.dumps({"Version": "2012-10-17", "Statement": [idle]})
        done = self._tried(lambda: who.put_bucket_policy(**at, Policy=text))
        if done and not policy:
            with self._mine():
                self._admin.delete_bucket_policy(**at)
        return done

    # --- requests

    def _key(self, name: str) -> str:
        # As deep as a repository's own: some stores match the pattern of a policy at that depth only.
        return f"{PREFIX}{name}{uuid.uuid4().hex}"

    def _put(self, name: str, **lock: Any) -> dict[str, str]:
        """Return the bucket, key and version of a new object."""
        key = self._key(name)
        with self._mine():
            answer = self._admin.put_object(Bucket=self._bucket, Key=key, Body=b"probe", **lock)
        return {"Bucket": self._bucket, "Key": key, "VersionId": answer["VersionId"]} if lock else {"Key": key}

    def _is_there(self, **which: str) -> bool:
        try:
            with self._mine():
                self._admin.head_object(Bucket=self._bucket, **which)
        except NoSuchObject:
            return False
        return True

    def _until(self, version: dict[str, str]) -> datetime:
        with self._mine():
            until: datetime = self._admin.get_object_retention(**version)["Retention"]["RetainUntilDate"]
        return until

    def _known(self, ask: Callable[[], Any]) -> Any:
        """Return what the administrator is told of a rule; None when there is none."""
        try:
            with self._mine():
                return ask()
        except NoSuchObject:
            return None

    def _tried(self, attempt: Callable[[], Any]) -> bool:
        """Return whether the store took a request. Raises Unreachable: no answer is no refusal."""
        try:
            with self._mine():
                attempt()
        except Unreachable:
            raise
        except TricenterError:
            return False
        return True

    def _mine(self) -> Any:
        return translated(self._centre, self._endpoint, self._bucket)

    def _clear(self) -> None:
        """Remove what probes left, as far as its lock has ended."""
        with self._mine():
            found = self._admin.list_object_versions(Bucket=self._bucket, Prefix=PREFIX)
        for each in found.get("Versions", []) + found.get("DeleteMarkers", []):
            with suppress(TricenterError), self._mine():
                self._admin.delete_object(Bucket=self._bucket, Key=each["Key"], VersionId=each["VersionId"])


def _without_bucket(version: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in version.items() if name != "Bucket"}
