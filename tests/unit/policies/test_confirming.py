"""When what is remembered is asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from policies.confirming import LONGEST_MEMORY, ROTATION, due

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
minutes = st.integers(0, 24 * 60)
towns = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), minutes, max_size=12)


def confirmed(ages: dict[str, int]) -> dict[str, datetime]:
    return {name: NOON - timedelta(minutes=age) for name, age in ages.items()}


@given(towns)
def test_nothing_old_is_believed_and_nothing_young_is_asked(ages: dict[str, int]) -> None:
    old = {name for name, age in ages.items() if timedelta(minutes=age) >= LONGEST_MEMORY}
    assert due(confirmed(ages), NOON) == old


@given(towns)
def test_as_many_looks_as_the_rotation_ask_everybody(ages: dict[str, int]) -> None:
    stamps, asked = confirmed({name: age % 60 for name, age in ages.items()}), set[str]()
    for number in range(ROTATION):
        now = NOON + timedelta(minutes=number + 1)
        now_due = due(stamps, now, rotation=ROTATION)
        assert len(now_due) <= len(stamps) // ROTATION + 1
        asked |= now_due
        stamps |= dict.fromkeys(now_due, now)
    assert asked == set(stamps)


def test_what_a_clock_put_into_the_future_is_not_believed() -> None:
    assert due({"land": NOON + timedelta(seconds=1)}, NOON) == {"land"}


def test_no_memory_at_all() -> None:
    assert due({"land": NOON}, NOON, longest=timedelta()) == {"land"}
    assert due({}, NOON, rotation=ROTATION) == frozenset()
