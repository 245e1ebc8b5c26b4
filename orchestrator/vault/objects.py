"""The bucket of an application: objects with what is said of them, read and written by an application's own key.

It is no vault. Its keys are whatever an application has thought of, and its objects change while they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from orchestrator.errors import CredentialRefused, InvalidInput, TricenterError, Unreachable
from orchestrator.vault.s3 import XML, Bucket
from orchestrator.vault.signing import quote_path
from orchestrator.vault.wire import NoSuchBucket, NoSuchObject, Wire, explain, patiently, sha256_of, unreachable

#: What S3 takes in one request, and copies in one.
LARGEST_BYTES = 5 << 30
PIECE_BYTES = 1 << 20
#: A connection that breaks in the middle of an object is taken up again so many times.
RESUMES = 5

#: What an application says of an object, and gets back with it. The rest of an answer's headers is the store's.
KEPT_HEADERS = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "expires",
)
METADATA = "x-amz-meta-"
#: What S3 makes of a content type that was never said.
UNSAID_TYPE = "binary/octet-stream"

STORE = "the object store"
HINTS: tuple[tuple[type[TricenterError], str], ...] = (
    (NoSuchBucket, "check the endpoint and the bucket of the source"),
    (CredentialRefused, "check the credential of the source: it must be able to list and read, or write for a restore"),
    (Unreachable, "is the object store up? look at its own log"),
    (InvalidInput, "check the endpoint and the region of the source"),
)


@dataclass(frozen=True, slots=True)
class Listed:
    """One object as a listing shows it. The ETag names its content as it is now, whatever it is made of."""

    key: str
    size_bytes: int
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """An object that is being read: one version of it, whole. `headers` are what its application says of it."""

    size_bytes: int
    etag: str
    modified_at: datetime
    headers: Mapping[str, str]
    pieces: Iterator[bytes] = field(repr=False)


class _StoreWire(Wire):
    """The same wire, with hints for who runs an application."""

    def failure(self, status: int, code: str, message: str, key: str) -> TricenterError:
        found = explain(self.centre, self.bucket, status, code, message, key=key, store=STORE)
        return _hinted(found)

    def silence(self, error: Exception) -> Unreachable:
        found = unreachable(self.centre, self.endpoint, error, store=STORE)
        return Unreachable(str(found), hint=dict(HINTS)[Unreachable])


class ObjectStore(Bucket):
    """An application's bucket. May be shared by threads."""

    WIRE = _StoreWire

    def look(self, prefix: str = "") -> Iterator[Listed]:
        """Yield every object whose key begins with `prefix`, in the order of the store."""
        token: str | None = ""
        while token is not None:
            found, token = self._look(prefix, token)
            yield from found

    @patiently
    def _look(self, prefix: str, token: str) -> tuple[list[Listed], str | None]:
        query = {"list-type": "2", "encoding-type": "url", "prefix": prefix}
        query |= {"continuation-token": token} if token else {}
        with self._wire.request("GET", query=query) as answer:
            body = b"".join(self._wire.chunks(answer, PIECE_BYTES))
        return parse_look(body)

    @contextmanager
    def open(self, key: str) -> Iterator[Opened]:
        """Yield an object as it is at this moment. A connection that breaks is taken up again where it broke.

        Raises NoSuchObject; and Unreachable when the store goes away, or the object changed while a broken
        connection was taken up again. Then whoever reads begins anew.
        """
        with self._wire.request("GET", key) as answer:
            size, etag = int(answer.headers["content-length"]), _etag(answer.headers.get("etag", ""))
            modified = parsedate_to_datetime(answer.headers["last-modified"]).astimezone(UTC)
            said = {name.lower(): value for name, value in answer.headers.items()}
            kept = {name: said[name] for name in sorted(said) if name in KEPT_HEADERS or name.startswith(METADATA)}
            kept.setdefault("content-type", UNSAID_TYPE)
            pieces = self._resuming(key, etag, size, self._wire.chunks(answer, PIECE_BYTES))
            yield Opened(size, etag, modified, kept, pieces)

    def _resuming(self, key: str, etag: str, size: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
        done, left = 0, RESUMES
        while True:
            try:
                for piece in pieces:
                    done += len(piece)
                    yield piece
            except Unreachable:
                if left == 0 or done == size:
                    raise
                left -= 1
                pieces = self._rest(key, etag, done)
                continue
            if done != size:
                raise Unreachable(f"{self}/{key} came with {done} of {size} bytes", hint=dict(HINTS)[Unreachable])
            return

    def _rest(self, key: str, etag: str, start: int) -> Iterator[bytes]:
        headers = {"range": f"bytes={start}-"}
        with self._wire.request("GET", key, headers=headers) as answer:
            # Compared here and not by If-Match: some stores ignore that, and some want the ETag without its quotes.
            if answer.status != 206 or _etag(answer.headers.get("etag", "")) != etag:
                raise Unreachable(
                    f"{self}/{key} changed while a broken connection to it was taken up again", hint="run it again"
                )
            yield from self._wire.chunks(answer, PIECE_BYTES)

    @patiently
    def read(self, key: str) -> tuple[Opened, bytes]:
        """Return an object with its content, for small ones. Raises NoSuchObject."""
        with self.open(key) as found:
            return found, b"".join(found.pieces)

    @patiently
    def write(self, key: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Write a small object and what is said of it, whole or not at all. May be repeated."""
        self.send(key, body, size_bytes=len(body), sha256=sha256_of(body), headers=headers)

    @patiently
    def copy(self, source: str, target: str) -> None:
        """Let the store itself copy an object within the bucket, with what is said of it. May be repeated."""
        headers = {"x-amz-copy-source": quote_path(f"/{self.name}/{source}"), "content-length": "0"}
        with self._wire.request("PUT", target, headers=headers) as answer:
            body = b"".join(self._wire.chunks(answer, PIECE_BYTES))
        if b"<Error>" in body:  # S3 says 200 before it copies
            raise Unreachable(f"{self}/{source} could not be copied to {target}", hint=dict(HINTS)[Unreachable])

    def find(self, key: str) -> bytes | None:
        """Return the content of a small object, None when there is none."""
        try:
            return self.read(key)[1]
        except NoSuchObject:
            return None


def parse_look(body: bytes) -> tuple[list[Listed], str | None]:
    """Return the objects on one page of a listing, and the token of the next page if there is one. Pure.

    Keys are asked for in the form of URLs, because XML has no way to say every character; not every store listens.
    """
    root = ElementTree.fromstring(body)  # noqa: S314 - of a store that we logged in to; expat bounds entity growth
    quoted = root.findtext(f"{XML}EncodingType") == "url"
    found = [
        Listed(
            unquote_plus(key) if quoted else key,
            int(node.findtext(f"{XML}Size", "0")),
            _etag(node.findtext(f"{XML}ETag", "")),
            datetime.fromisoformat(node.findtext(f"{XML}LastModified", "")).astimezone(UTC),
        )
        for node in root.iter(f"{XML}Contents")
        for key in [node.findtext(f"{XML}Key", "")]
    ]
    more = root.findtext(f"{XML}IsTruncated") == "true"
    return found, root.findtext(f"{XML}NextContinuationToken") if more else None


def _etag(text: str) -> str:
    return text.strip().strip('"')


def _hinted(found: TricenterError) -> TricenterError:
    hint = next((hint for kind, hint in HINTS if isinstance(found, kind)), found.hint or "")
    return type(found)(str(found), hint=hint)
