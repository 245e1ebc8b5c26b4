"""Signed S3 requests over kept-alive connections, and what their failures mean.

boto3 costs half a second of CPU to start and hashes every body that it sends; the objects of a repository need
neither. So the four requests that move objects (LIST, HEAD, GET, PUT) go through here, and only the administration
of buckets through boto3.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

import tenacity
import urllib3
from urllib3.exceptions import HTTPError

from orchestrator.errors import CheckFailed, CredentialRefused, InvalidInput, Refused, TricenterError, Unreachable
from orchestrator.vault.pace import PIECE_BYTES, Bandwidth
from orchestrator.vault.signing import EMPTY_SHA256, Credential, quote_path, quote_query, sign

CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0
#: With two connection attempts of 5 s each, a dead endpoint is reported after some 10 s.
RETRY_SECONDS = 8.0
ERROR_BYTES = 64 * 1024

P = ParamSpec("P")
T = TypeVar("T")
Body = bytes | Iterable[bytes]


class NoSuchObject(CheckFailed):
    """The vault answered: there is no object of this name."""


class NoSuchBucket(InvalidInput):
    """The vault answered: there is no bucket of this name."""


class AlreadyThere(Refused):
    """A write that was to happen only if the name was free found it taken."""


#: Codes that say the body arrived other than it was sent. Sending it again is the answer.
DAMAGED_ON_THE_WAY = frozenset(
    {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
)


def explain(
    centre: str, bucket: str, status: int, code: str, message: str, *, key: str = "", store: str = "the vault"
) -> TricenterError:
    """Return our error for an answer of the vault at `centre`. Pure."""
    where = f"{centre}:{bucket}" + (f"/{key}" if key else "")
    said = " ".join(filter(None, (str(status), code, message)))
    if code == "NoSuchBucket":
        return NoSuchBucket(f"the bucket {where} does not exist", hint="tricenter tenant apply TENANT creates it")
    if status == 404:
        return NoSuchObject(f"there is no object {where}")
    if code == "RequestTimeTooSkewed":
        return CredentialRefused(f"{store} refused a request to {where}: {said}", hint="set this machine's clock (NTP)")
    if status in (401, 403):
        return CredentialRefused(
            f"{store} refused the credential for {where}: {said}",
            hint="check this tenant's key for this centre; tricenter tenant apply TENANT creates a missing bucket",
        )
    if status in (409, 412):
        return AlreadyThere(f"{where} is there already: {said}")
    if status >= 500 or status == 429 or code in ("SlowDown", "RequestTimeout"):
        return Unreachable(f"{store} of {centre} cannot serve {where}: {said}", hint="look at the vault's own log")
    if code in DAMAGED_ON_THE_WAY:
        return Unreachable(
            f"{where} arrived other than it was sent: {said}", hint="look at the line and its proxies, then run again"
        )
    return InvalidInput(f"{store} refused a request to {where}: {said}", hint="check endpoint and region in site.yaml")


def unreachable(centre: str, endpoint: str, error: Exception, *, store: str = "the vault") -> Unreachable:
    """Return the error for a vault that did not answer."""
    reason = getattr(error, "reason", None) or error
    return Unreachable(
        f"{store} of {centre} at {endpoint} does not answer: {reason}",
        hint="is the centre up? for the lab: tricenter lab status",
    )


def patiently(action: Callable[P, T]) -> Callable[P, T]:
    """Retry `action` while the vault is unreachable, for some seconds. Only for what may be repeated."""
    patience = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Unreachable),
        wait=tenacity.wait_random_exponential(0.2, max=2),
        stop=tenacity.stop_after_delay(RETRY_SECONDS),
        reraise=True,
    )

    @functools.wraps(action)
    def patient(*args: P.args, **kwargs: P.kwargs) -> T:
        return patience.copy()(action, *args, **kwargs)

    return patient


class Wire:
    """Signed requests to one bucket. Safe for many threads."""

    def __init__(
        self,
        centre: str,
        endpoint: str,
        region: str,
        bucket: str,
        credential: Credential,
        connections: int,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
        bandwidth: Bandwidth | None = None,
    ) -> None:
        self.centre, self.endpoint, self.bucket = centre, endpoint, bucket
        self._region, self._credential, self._bandwidth = region, credential, bandwidth
        self._host = urlsplit(endpoint).netloc
        self._pool = urllib3.connection_from_url(
            endpoint,
            maxsize=connections,
            block=False,
            timeout=urllib3.Timeout(connect=connect_seconds, read=read_seconds),
            retries=False,
        )

    @contextlib.contextmanager
    def request(
        self,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        sha256: str = EMPTY_SHA256,
        seconds: float | None = None,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Yield the good answer to one request, its body unread. Not repeated: the caller knows what may be.

        `seconds` to connect and as many for the answer, instead of the usual patience.

        Raises our errors for every failure, also for one in the middle of the block. An exception from the
        iterator `body` closes the connection before the promised length was sent, so that nothing is stored.
        """
        path = quote_path(f"/{self.bucket}/{key}" if key else f"/{self.bucket}")
        tail = quote_query(query or {})
        signed = sign(
            self._credential, self._region, method, self._host, path, tail, sha256, headers or {}, datetime.now(UTC)
        )
        target = f"{path}?{tail}" if tail else path
        if self._bandwidth and body is not None:
            body = self._bandwidth.up.through(body)
        try:
            answer = self._pool.urlopen(
                method, target, body=body, headers=signed, preload_content=False, redirect=False,
                timeout=urllib3.Timeout(connect=seconds, read=seconds) if seconds else self._pool.timeout,
            )  # fmt: skip
            try:
                self._must_be_good(answer, key)
                yield answer
            except BaseException:
                answer.close()
                raise
            answer.drain_conn()
            answer.release_conn()
        except (HTTPError, OSError) as error:
            raise self.silence(error) from error

    def failure(self, status: int, code: str, message: str, key: str) -> TricenterError:
        """Return our error for an answer that is not good."""
        return explain(self.centre, self.bucket, status, code, message, key=key)

    def silence(self, error: Exception) -> Unreachable:
        """Return our error for no answer."""
        return unreachable(self.centre, self.endpoint, error)

    def _must_be_good(self, answer: urllib3.BaseHTTPResponse, key: str) -> None:
        if answer.status < 300:
            return
        text = answer.read(ERROR_BYTES).decode("utf-8", "replace")
        code, message = (
            found[1] if (found := re.search(f"<{tag}>([^<]*)</{tag}>", text)) else "" for tag in ("Code", "Message")
        )
        if answer.status == 404 and not key:
            code = code or "NoSuchBucket"
        raise self.failure(answer.status, code, message, key)

    def chunks(self, answer: urllib3.BaseHTTPResponse, size: int) -> Iterator[bytes]:
        """Yield the body of `answer` in pieces of at most `size` bytes. Its failures name this vault, wherever seen."""
        if self._bandwidth:
            size = min(size, PIECE_BYTES)
        try:
            while piece := answer.read(size, decode_content=False):
                if self._bandwidth:
                    self._bandwidth.down.take(len(piece))  # what is read no faster is not sent any faster either
                yield piece
        except (HTTPError, OSError) as error:
            raise self.silence(error) from error


def sha256_of(body: bytes) -> str:
    """Return the hash of `body` as restic names objects: 64 hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()
