"""Which versions of a bucket are in use, and what a store's answer about a lock means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.vault.admin import Version
from orchestrator.vault.locks import PIECES, Held, in_use, parse_retention
from orchestrator.vault.plan import part_of

T = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
KEY = f"registry/data/aa/{'a' * 64}"


def version(minutes: int, content: str = "good", *, latest: bool = False) -> Version:
    """Return a version so many minutes after T; one without content is a delete marker."""
    moment = T + timedelta(minutes=minutes)
    return Version(KEY, f"v{minutes}", moment, latest, not content, 10 if content else 0, content)


@pytest.mark.parametrize(
    ("versions", "wanted"),
    [
        ([version(0)], [Held(KEY, "v0", 10)]),
        ([version(0), version(1, "")], []),  # hidden: retention did that
        ([version(0), version(1, ""), version(2)], [Held(KEY, "v2", 10)]),  # replicated again
        ([version(0), version(1)], [Held(KEY, "v1", 10)]),  # written again, and the same
        ([version(0), version(1, "bad")], [Held(KEY, "v1", 10), Held(KEY, "v0", 10, overwritten=True)]),
        ([version(0), version(1, "bad"), version(2)], [Held(KEY, "v2", 10)]),  # undeleted
        # Two of one second: the store says which is read.
        ([version(0, latest=True), version(0, "bad")], [Held(KEY, "v0", 10), Held(KEY, "v0", 10, overwritten=True)]),
    ],
)
def test_what_is_in_use(versions: list[Version], wanted: list[Held]) -> None:
    assert list(in_use(versions)) == wanted


@pytest.mark.parametrize("end", ["2026-11-26T14:15:08Z", "2026-11-26T14:15:08.000Z", "2026-11-26T14:15:08.123456789Z"])
def test_only_compliance_is_a_lock(end: str) -> None:
    answer = (
        '<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Mode>{}</Mode>'
        f"<RetainUntilDate>{end}</RetainUntilDate></Retention>"
    )
    found = parse_retention(answer.format("COMPLIANCE").encode())
    assert found is not None
    assert found.replace(microsecond=0) == datetime(2026, 11, 26, 14, 15, 8, tzinfo=UTC)
    assert parse_retention(answer.format("GOVERNANCE").encode()) is None
    assert parse_retention(b"<Retention/>") is None


def test_the_pieces_are_the_whole_of_a_repository() -> None:
    keys = ["config", *(f"{part}/{'0' * 64}" for part in ("keys", "index", "snapshots"))]
    keys += [f"data/{digit:x}0/{digit:x}0{'0' * 62}" for digit in range(16)]
    for key in keys:
        assert part_of(key)
        assert sum(key.startswith(piece) for piece in PIECES) == 1


def test_another_content_in_an_archive_tells_of_nobody_elses_hand() -> None:
    versions = [version(0), version(1, "other")]
    assert list(in_use(versions, immutable=False)) == [Held(KEY, "v1", 10)]
