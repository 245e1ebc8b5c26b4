"""Our signatures, held against botocore's own signer."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import patch

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.vault import signing

NOW = datetime(2026, 3, 17, 8, 30, 5, tzinfo=UTC)
HOST = "vault.same-city.example:8333"

keys = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)
queries = st.dictionaries(keys, keys, max_size=4)
headers = st.dictionaries(
    st.sampled_from(["content-length", "x-amz-checksum-sha256", "if-none-match"]), st.just(" a  b ")
)


class _Known(S3SigV4Auth):
    """botocore's signer, told the payload hash instead of computing it."""

    def payload(self, request: AWSRequest) -> str:
        return "ab" * 32


@settings(deadline=None)
@given(key=keys, query=queries, extra=headers, method=st.sampled_from(["GET", "PUT", "HEAD"]))
def test_signs_as_botocore_does(key: str, query: dict[str, str], extra: dict[str, str], method: str) -> None:
    path, tail = signing.quote_path(f"/dr-bureau/{key}"), signing.quote_query(query)
    url = f"https://{HOST}{path}" + (f"?{tail}" if tail else "")
    request = AWSRequest(method=method, url=url, headers=dict(extra))
    with patch("botocore.auth.get_current_datetime", return_value=NOW):
        _Known(Credentials("AK", "secret"), "s3", "us-east-1").add_auth(request)

    ours = signing.sign(
        signing.Credential("AK", "secret"), "us-east-1", method, HOST, path, tail, "ab" * 32, extra, NOW
    )

    assert ours["authorization"] == request.headers["Authorization"]


def test_a_credential_shows_no_secret() -> None:
    assert "hush" not in repr(signing.Credential("AK", "hush"))
