"""The document that commits a recovery point."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from orchestrator.backups.document import PointDocument, SourceProof, as_point
from orchestrator.catalogue.records import SourceCopy
from orchestrator.errors import CheckFailed

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PROOF = SourceProof(
    SourceCopy("档案", "path", "a" * 64, NOON, 10, 1), {"manifest": {"公告.txt": {"size": 10, "sha256": "b" * 64}}}
)
DOCUMENT = PointDocument("p1", "r1", "bureau", "system", "tier", NOON, NOON, "tricenter 0", (PROOF,))


def test_it_comes_back_as_it_was_written() -> None:
    assert PointDocument.from_bytes(DOCUMENT.as_bytes()) == DOCUMENT


def test_it_says_which_centres_it_was_written_past() -> None:
    past = replace(DOCUMENT, bypassed=("same-city",))
    assert PointDocument.from_bytes(past.as_bytes()) == past
    assert as_point(past, "d" * 64).bypassed == ("same-city",)
    assert b"bypassed" not in DOCUMENT.as_bytes()


def test_a_source_that_it_does_not_hold_is_named() -> None:
    assert DOCUMENT.proof("档案") == PROOF
    with pytest.raises(CheckFailed, match="holds no source named 'database'"):
        DOCUMENT.proof("database")


def test_a_format_of_another_program_is_refused() -> None:
    value = json.loads(DOCUMENT.as_bytes()) | {"format": 2}
    with pytest.raises(CheckFailed, match="of format 2; this program reads 1"):
        PointDocument.from_bytes(json.dumps(value).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 1, "sources": [{}]}', b"\xff"])
def test_a_torn_document_is_a_failed_check(data: bytes) -> None:
    with pytest.raises(CheckFailed):
        PointDocument.from_bytes(data)
