"""Signature Version 4 of S3 requests whose payload hash is known before the payload is read. Pure.

botocore's signer hashes each body again; here the name of a restic object *is* that hash, so it is signed as it is
and the body can be streamed. The unit tests hold this against botocore's signer.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNRESERVED = "-_.~"


@dataclass(frozen=True, slots=True)
class Credential:
    """An S3 key pair. Its secret half is never shown."""

    access_key: str
    secret_key: str = field(repr=False)


def quote_path(path: str) -> str:
    """Return `path` as it stands in the request line and in what is signed."""
    return quote(path, safe="/" + UNRESERVED)


def quote_query(query: Mapping[str, str]) -> str:
    """Return `query` in the canonical form: sorted, everything but the unreserved characters quoted."""
    pairs = ((quote(key, safe=UNRESERVED), quote(value, safe=UNRESERVED)) for key, value in query.items())
    return "&".join(f"{key}={value}" for key, value in sorted(pairs))


def sign(
    credential: Credential,
    region: str,
    method: str,
    host: str,
    path: str,
    query: str,
    payload_sha256: str,
    headers: Mapping[str, str],
    now: datetime,
) -> dict[str, str]:
    """Return `headers` with the signature added. `path` and `query` are quoted already; `now` is UTC.

    What a header says stands in it as HTTP carries it: bytes, each as the Latin-1 character of its number.
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    signed = {
        **{name.lower(): value for name, value in headers.items()},
        "host": host,
        "x-amz-content-sha256": payload_sha256,
        "x-amz-date": stamp,
    }
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in sorted(signed))
    request = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{payload_sha256}"
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode('latin-1')).hexdigest()}"
    key = f"AWS4{credential.secret_key}".encode()
    for part in (stamp[:8], region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={credential.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return {**signed, "authorization": authorization}
