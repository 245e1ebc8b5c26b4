"""The object locks of one tenant's bucket: until when each object is locked, asked of the store, and lengthening that.

What counts is the version that an object's name shows now. Where content under one name has changed, which nothing
here ever does, the first version is what is in use and the rest is somebody else's: both are looked at, and it is told.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from xml.etree import ElementTree

from orchestrator.errors import CheckFailed, InvalidInput
from orchestrator.vault.admin import VaultAdmin, Version
from orchestrator.vault.parallel import parallel
from orchestrator.vault.signing import Credential
from orchestrator.vault.wire import NoSuchBucket, NoSuchObject, Wire, patiently, sha256_of

THREADS = 8

#: What a repository is made of, in pieces of which one listing is held at a time. `locks/` pass by themselves.
PIECES = ("config", "keys/", "index/", "snapshots/", *(f"data/{digit:x}" for digit in range(16)))

#: The same of an archive of pgBackRest. Some of its files are written anew again and again, and each is encrypted with
#: another salt, so that another content under a name tells nothing.
ARCHIVE_PIECES = ("archive/", "backup/")

XML = "{http://s3.amazonaws.com/doc/2006-03-01/}"
RETENTION = (
    '<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Mode>COMPLIANCE</Mode>'
    "<RetainUntilDate>{until}</RetainUntilDate></Retention>"
)

#: Says until when a version must be locked that is locked until then now; None when that is long enough.
Judge = Callable[[datetime | None], datetime | None]

#: Called with how many objects were looked at so far, by the thread that iterates.
OnLooked = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Held:
    """A version that is in use. `overwritten` says that others with another content lie over it."""

    key: str
    version: str
    size_bytes: int
    overwritten: bool = False


@dataclass(frozen=True, slots=True)
class Lock:
    """Until when the store says that a version is locked; None when it is not, or gone. `was`: before that changed."""

    held: Held
    was: datetime | None
    until: datetime | None
    gone: bool = False


class LockKeeper:
    """Looks at the locks of a bucket and lengthens them. Safe for many threads."""

    def __init__(self, centre: str, endpoint: str, region: str, bucket: str, credential: Credential) -> None:
        self.bucket = bucket
        self._admin = VaultAdmin(centre, endpoint, region, credential)
        self._wire = Wire(centre, endpoint, region, bucket, credential, THREADS)

    def __str__(self) -> str:
        return f"{self._wire.centre}:{self.bucket}"

    def keep(
        self, prefix: str, judge: Judge, *, dry_run: bool, archive: bool = False, on_looked: OnLooked | None = None
    ) -> Iterator[Lock]:
        """Yield the lock of every object of a repository, or an `archive`, at `prefix`, lengthened where `judge` says.

        Each answer is the store's, asked after the change. May be repeated, and killed: what was lengthened stays so.
        With `dry_run` nothing is changed, and `until` is what it would be made. Raises CheckFailed for a bucket that
        cannot lock anything, Unreachable, CredentialRefused.
        """
        looked = 0
        for piece in ARCHIVE_PIECES if archive else PIECES:
            held = in_use(self._admin.versions(self.bucket, f"{prefix}/{piece}"), immutable=not archive)
            for _, lock in parallel(held, lambda each: self._keep(each, judge, dry_run=dry_run), THREADS):
                looked += 1
                if on_looked:
                    on_looked(looked)
                yield lock

    def until(self, key: str, version: str) -> datetime | None:
        """Return until when a version is locked in compliance mode; None when it is not. Raises NoSuchObject."""
        try:
            with self._wire.request("GET", key, query={"retention": "", "versionId": version}) as answer:
                return parse_retention(b"".join(self._wire.chunks(answer, 1 << 16)))
        except NoSuchObject:
            # The same status for an object without a lock and for none at all; a listing has just shown it.
            return None
        except NoSuchBucket:
            raise
        except InvalidInput as error:
            raise CheckFailed(
                f"the bucket {self} locks nothing: {error}",
                hint="object lock is set when a bucket is made: move this one away, then tricenter tenant apply",
            ) from error

    def lengthen(self, key: str, version: str, until: datetime) -> None:
        """Lock a version until then. May be repeated. The store must refuse what would shorten a lock."""
        body = RETENTION.format(until=until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")).encode()
        headers = {
            "content-length": str(len(body)),
            "content-md5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(),
        }
        query = {"retention": "", "versionId": version}
        with self._wire.request("PUT", key, query=query, headers=headers, body=body, sha256=sha256_of(body)):
            pass

    @patiently
    def _keep(self, held: Held, judge: Judge, *, dry_run: bool) -> Lock:
        was = self.until(held.key, held.version)
        wanted = judge(was)
        if wanted is None or dry_run:
            return Lock(held, was, wanted or was)
        try:
            self.lengthen(held.key, held.version, wanted)
        except NoSuchObject:
            return Lock(held, was, None, gone=True)
        return Lock(held, was, self.until(held.key, held.version))


def in_use(versions: Iterable[Version], *, immutable: bool = True) -> Iterator[Held]:
    """Yield what is in use of versions that stand together by their keys. What is behind a marker is not. Pure.

    Where names are not `immutable`, another content under one tells of nobody else's hand.
    """
    for key, group in groupby(versions, key=lambda each: each.key):
        newest, *older = sorted(group, key=lambda each: (each.latest, each.modified_at), reverse=True)
        if newest.marker:
            continue
        yield Held(key, newest.id, newest.size_bytes)
        first = next((each for each in reversed(older) if not each.marker), newest)
        if immutable and first.content != newest.content:
            yield Held(key, first.id, first.size_bytes, overwritten=True)


def parse_retention(body: bytes) -> datetime | None:
    """Return the end of a compliance lock as a store tells it; None for any other mode, which can be bypassed. Pure."""
    root = ElementTree.fromstring(body)  # noqa: S314 - of a vault that we logged in to; expat bounds entity growth
    found = {node.tag.removeprefix(XML): (node.text or "").strip() for node in root.iter()}
    if found.get("Mode") != "COMPLIANCE" or not found.get("RetainUntilDate"):
        return None
    return datetime.fromisoformat(found["RetainUntilDate"]).astimezone(UTC)
