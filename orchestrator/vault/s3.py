"""The S3 vaults: one tenant's bucket at one centre, and the administration of buckets.

Every failure is one of ours: Unreachable, CredentialRefused, InvalidInput (no such bucket), NoSuchObject. What may
be repeated is repeated for a few seconds; a dead endpoint is reported within 15 seconds.
"""

from __future__ import annotations

import base64
import builtins
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from xml.etree import ElementTree

from orchestrator.errors import InvalidInput, Unreachable
from orchestrator.secrets import Secret
from orchestrator.vault.admin import Abilities, BucketState, VaultAdmin
from orchestrator.vault.pace import Bandwidth
from orchestrator.vault.signing import Credential
from orchestrator.vault.wire import AlreadyThere, Body, NoSuchObject, Wire, patiently, sha256_of

__all__ = [
    "Abilities",
    "AlreadyThere",
    "Bucket",
    "BucketState",
    "Credential",
    "Entry",
    "NoSuchObject",
    "VaultAdmin",
    "parse_credential",
]

#: Between two looks at a vault that seems to be away.
BREATH_SECONDS = 1.0

#: How long one answer of a vault is waited for before it counts as away.
ANSWER_SECONDS = 5.0

XML = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One object as a listing shows it; the time is aware, UTC."""

    key: str
    size_bytes: int
    modified_at: datetime


class Bucket:
    """One tenant's bucket at one centre. May be shared by threads."""

    WIRE = Wire

    def __init__(
        self,
        centre: str,
        endpoint: str,
        region: str,
        name: str,
        credential: Credential,
        *,
        connections: int = 16,
        bandwidth: Bandwidth | None = None,
    ) -> None:
        self.centre, self.name = centre, name
        self._wire = self.WIRE(centre, endpoint, region, name, credential, connections, bandwidth=bandwidth)

    def __str__(self) -> str:
        return f"{self.centre}:{self.name}"

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Yield every object whose key begins with `prefix`, in the order of their keys."""
        token: str | None = ""
        while token is not None:
            entries, token = self._page(prefix, token)
            yield from entries

    @patiently
    def _page(self, prefix: str, token: str) -> tuple[builtins.list[Entry], str | None]:
        query = {"list-type": "2", "prefix": prefix} | ({"continuation-token": token} if token else {})
        with self._wire.request("GET", query=query) as answer:
            body = b"".join(self._wire.chunks(answer, 1 << 20))
        return parse_listing(body)

    @patiently
    def head(self, key: str) -> Entry | None:
        """Return what is known of one object, or None when there is none."""
        return self._head(key, None)

    def head_within(self, key: str, *, seconds: float = ANSWER_SECONDS) -> Entry | None:
        """Return the same as `head`, or find the vault away: two answers are waited for, so many seconds each."""
        try:
            return self._head(key, seconds)
        except Unreachable:
            time.sleep(BREATH_SECONDS)  # one refused connection or one 503 makes no outage
            return self._head(key, seconds)

    def _head(self, key: str, seconds: float | None) -> Entry | None:
        try:
            with self._wire.request("HEAD", key, seconds=seconds) as answer:
                size, modified = answer.headers["content-length"], answer.headers["last-modified"]
        except NoSuchObject:
            return None
        return Entry(key, int(size), parsedate_to_datetime(modified).astimezone(UTC))

    @patiently
    def get(self, key: str) -> bytes:
        """Return the whole content of an object. Raises NoSuchObject."""
        with self._wire.request("GET", key) as answer:
            return b"".join(self._wire.chunks(answer, 1 << 20))

    @patiently
    def put(self, key: str, body: bytes, *, only_if_absent: bool = False) -> None:
        """Write an object, whole or not at all; the vault is given the hash to check what arrived.

        Raises AlreadyThere with `only_if_absent` when the key is taken (only where the vault's abilities include it).
        """
        self.send(key, body, size_bytes=len(body), sha256=sha256_of(body), only_if_absent=only_if_absent)

    @patiently
    def delete(self, key: str) -> None:
        """Delete an object; where the bucket keeps versions, hide it. May be repeated."""
        with self._wire.request("DELETE", key):
            pass

    @contextmanager
    def receive(self, key: str, *, chunk_bytes: int) -> Iterator[Iterator[bytes]]:
        """Yield the content of an object in pieces. Raises NoSuchObject. Not repeated by itself."""
        with self._wire.request("GET", key) as answer:
            yield self._wire.chunks(answer, chunk_bytes)

    def send(
        self,
        key: str,
        body: Body,
        *,
        size_bytes: int,
        sha256: str,
        only_if_absent: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Write an object of known size and hash from pieces. Not repeated by itself: pieces are read once.

        The hash is signed, and sent as checksum, so a vault that checks either refuses what does not match. When
        the pieces end by an exception, nothing is stored.
        """
        sent = {
            **(headers or {}),
            "content-length": str(size_bytes),
            "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode(),
        }
        if only_if_absent:
            sent["if-none-match"] = "*"
        with self._wire.request("PUT", key, headers=sent, body=body, sha256=sha256):
            pass


def parse_credential(secret: Secret, reference: str) -> Credential:
    """Return the key pair that a secret holds as JSON. Raises InvalidInput, naming what refers to it."""
    try:
        parts = json.loads(secret.reveal())
        return Credential(parts["access_key"], parts["secret_key"])
    except (ValueError, KeyError, TypeError):
        raise InvalidInput(
            f"{reference}: want JSON with access_key and secret_key", hint="write the credential anew"
        ) from None


def parse_listing(body: bytes) -> tuple[list[Entry], str | None]:
    """Return the entries of one page of a listing, and the token of the next page if there is one. Pure."""
    root = ElementTree.fromstring(body)  # noqa: S314 - of a vault that we logged in to; expat bounds entity growth
    entries = [
        Entry(
            node.findtext(f"{XML}Key", ""),
            int(node.findtext(f"{XML}Size", "0")),
            datetime.fromisoformat(node.findtext(f"{XML}LastModified", "")).astimezone(UTC),
        )
        for node in root.iter(f"{XML}Contents")
    ]
    more = root.findtext(f"{XML}IsTruncated") == "true"
    return entries, root.findtext(f"{XML}NextContinuationToken") if more else None
