"""Which versions of a bucket's objects are brought back, from their listing alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.vault.admin import Version
from orchestrator.vault.undelete import Change, plan_of

T = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
KEY = f"registry/data/aa/{'a' * 64}"


def version(minutes: int, content: str = "good", key: str = KEY) -> Version:
    """Return a version so many minutes after T; one without content is a delete marker."""
    moment = T + timedelta(minutes=minutes)
    return Version(key, f"v{minutes}", moment, False, not content, 10 if content else 0, content)


@pytest.mark.parametrize(
    ("versions", "wanted"),
    [
        ([version(-9)], None),
        ([version(-9), version(1, "")], Change(KEY, "uncover", "v-9", 10, ("v1",))),
        ([version(-9), version(1, ""), version(2, "")], Change(KEY, "uncover", "v-9", 10, ("v2", "v1"))),
        ([version(-9), version(1, "bad")], Change(KEY, "copy", "v-9", 10, ())),
        ([version(-9), version(1, "bad"), version(2, "")], Change(KEY, "copy", "v-9", 10, ())),
        ([version(-9), version(1, ""), version(2, "good")], None),  # written again, and the same
        ([version(-9, "old"), version(-8, "good"), version(1, "")], Change(KEY, "uncover", "v-8", 10, ("v1",))),
        ([version(-9), version(-8, "")], None),  # it was deleted then, too
        ([version(-9), version(-8, ""), version(1, "bad")], None),
        ([version(1)], None),
    ],
)
def test_each_object_is_as_it_was(versions: list[Version], wanted: Change | None) -> None:
    assert plan_of(versions, "registry", T).changes == ((wanted,) if wanted else ())


def test_what_is_as_it_was_and_what_came_later_is_counted() -> None:
    keys = [f"registry/snapshots/{number}" for number in range(3)]
    versions = [
        version(-9, key=keys[0]),
        version(1, key=keys[1]),
        version(-9, key=keys[2]),
        version(1, "", key=keys[2]),
    ]
    plan = plan_of(versions, "registry", T)
    assert (len(plan.changes), plan.intact, plan.late) == (1, 1, 1)


def test_no_lock_comes_back() -> None:
    key = "registry/locks/0123"
    assert plan_of([version(-9, key=key), version(1, "", key=key)], "registry", T).changes == ()
