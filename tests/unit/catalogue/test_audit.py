"""The contract of the audit chain on SQLite, and what needs no database."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.catalogue.audit import canonical, digest_of, link
from orchestrator.errors import InvalidInput
from tests.audit_contract import *  # noqa: F403


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'catalogue.sqlite'}"


@pytest.fixture
def writers() -> int:
    return 3


def test_canonical_json_read_and_written_again_is_the_same() -> None:
    import json

    text = canonical({"b": 1.10, "a": ["数", None, {"z": 1e300, "y": -0.0}], 3: "\x00\ud800"})
    assert text == '{"3":"\\u0000\\ud800","a":["\\u6570",null,{"y":-0.0,"z":1e+300}],"b":1.1}'
    assert canonical(json.loads(text)) == text


def test_digests_are_those_of_the_standards() -> None:
    assert digest_of("sm3", "abc") == "sm3:66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert digest_of("sha256", b"abc").startswith("sha256:ba7816bf")
    assert link("tricenter", "sm3:00").startswith("sm3:")


def test_a_digest_that_is_not_there_is_told_with_what_to_do() -> None:
    with pytest.raises(InvalidInput, match="OpenSSL does not have it") as told:
        digest_of("sm5", "abc")
    assert "site.yaml" in told.value.hint
