"""What a replication copies: laws of the plan, over many listings."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.vault.plan import COPYING_ORDER, LISTING_ORDER, CopyPlan, part_of, plan_copy
from orchestrator.vault.s3 import Entry

WHEN = datetime(2026, 3, 17, tzinfo=UTC)

ids = st.integers(0, 40).map(lambda number: f"{number:064x}")
keys = st.one_of(
    ids.map(lambda each: f"data/{each[-2:]}/{each}"),
    st.tuples(st.sampled_from(["index", "snapshots", "keys", "locks"]), ids).map("/".join),
    st.sampled_from(["config", "data/ab/half-written.tmp", "index/", "README", "snapshots/abc"]),
)
few = settings(max_examples=40, deadline=None)
listings = st.dictionaries(keys, st.integers(1, 5), max_size=20).map(
    lambda sizes: [Entry(key, size, WHEN) for key, size in sizes.items()]
)


def flat(plan: CopyPlan) -> list[Entry]:
    return [entry for phase in plan.phases for entry in phase.entries]


@few
@given(listings, listings, st.booleans())
def test_phases_follow_the_order_and_hold_only_their_part(
    source: list[Entry], target: list[Entry], joining: bool
) -> None:
    plan = plan_copy(source, target, joining=joining)

    positions = [COPYING_ORDER.index(phase.part) for phase in plan.phases]
    assert positions == sorted(set(positions))
    assert all(part_of(entry.key) == phase.part for phase in plan.phases for entry in phase.entries)


@few
@given(listings, listings, st.booleans())
def test_locks_and_strangers_never_travel(source: list[Entry], target: list[Entry], joining: bool) -> None:
    tops = {entry.key.partition("/")[0] for entry in flat(plan_copy(source, target, joining=joining))}

    assert tops <= {"data", "index", "snapshots"} | ({"keys", "config"} if joining else set())


@few
@given(listings, listings, st.booleans())
def test_after_the_plan_nothing_is_left_to_copy(source: list[Entry], target: list[Entry], joining: bool) -> None:
    plan = plan_copy(source, target, joining=joining)
    there = {entry.key: entry for entry in target} | {entry.key: entry for entry in flat(plan)}

    again = plan_copy(source, there.values(), joining=joining)

    assert again.phases == ()
    assert again.present == plan.present + plan.objects


@few
@given(listings, st.booleans())
def test_what_is_there_with_another_size_is_written_again(source: list[Entry], joining: bool) -> None:
    truncated = [replace(entry, size_bytes=entry.size_bytes - 1) for entry in source]

    assert plan_copy(source, truncated, joining=joining) == plan_copy(source, [], joining=joining)


@few
@given(listings)
def test_size_counts_every_byte_to_copy(source: list[Entry]) -> None:
    plan = plan_copy(source, [], joining=True)

    assert plan.size_bytes == sum(entry.size_bytes for entry in source if part_of(entry.key))


def test_orders() -> None:
    """Referrers are seen first and published last; config is what makes a joining final."""
    assert [part for part in LISTING_ORDER if part in ("snapshots", "index", "data")] == ["snapshots", "index", "data"]
    assert [*COPYING_ORDER] == ["keys", "config", "data", "index", "snapshots"]
