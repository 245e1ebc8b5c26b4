"""What answers of a vault mean, and how a listing is read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestrator.errors import CredentialRefused, InvalidInput, TricenterError, Unreachable
from orchestrator.vault.s3 import AlreadyThere, Entry, NoSuchObject, parse_listing
from orchestrator.vault.wire import NoSuchBucket, explain

PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>dr-bureau</Name><Prefix>a/</Prefix>
<MaxKeys>2</MaxKeys><IsTruncated>{more}</IsTruncated>{token}
<Contents><Key>a/文 件&amp;.txt</Key><ETag>&#34;5d41&#34;</ETag><Size>5</Size>
<LastModified>2026-11-23T00:58:51Z</LastModified></Contents>
<Contents><Key>a/b</Key><Size>0</Size><LastModified>2026-11-23T08:58:51.123+08:00</LastModified></Contents>
</ListBucketResult>"""


@pytest.mark.parametrize(
    ("status", "code", "want"),
    [
        (404, "NoSuchBucket", NoSuchBucket),
        (404, "NoSuchKey", NoSuchObject),
        (404, "", NoSuchObject),
        (403, "AccessDenied", CredentialRefused),
        (403, "SignatureDoesNotMatch", CredentialRefused),
        (403, "RequestTimeTooSkewed", CredentialRefused),
        (403, "", CredentialRefused),
        (412, "PreconditionFailed", AlreadyThere),
        (500, "InternalError", Unreachable),
        (503, "SlowDown", Unreachable),
        (429, "", Unreachable),
        (400, "BadDigest", Unreachable),
        (400, "XAmzContentSHA256Mismatch", Unreachable),
        (400, "AuthorizationHeaderMalformed", InvalidInput),
        (301, "PermanentRedirect", InvalidInput),
    ],
)
def test_answers(status: int, code: str, want: type[TricenterError]) -> None:
    error = explain("provincial", "dr-bureau", status, code, "said", key="a/b")

    assert type(error) is want
    assert "provincial:dr-bureau" in str(error)


def test_a_skewed_clock_is_named() -> None:
    assert "clock" in explain("provincial", "dr-bureau", 403, "RequestTimeTooSkewed", "").hint


def test_a_page_of_a_listing() -> None:
    more = "<NextContinuationToken>t==</NextContinuationToken>"
    entries, token = parse_listing(PAGE.format(more="true", token=more).encode())

    assert token == "t=="
    assert entries == [
        Entry("a/文 件&.txt", 5, datetime(2026, 11, 23, 0, 58, 51, tzinfo=UTC)),
        Entry("a/b", 0, datetime(2026, 11, 23, 0, 58, 51, 123000, tzinfo=UTC)),
    ]


def test_the_last_page_has_no_successor() -> None:
    assert parse_listing(PAGE.format(more="false", token="").encode())[1] is None
