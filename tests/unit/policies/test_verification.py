"""The rolling read: every byte within the promised time, whatever the sizes, and one run may fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.verification import FINE_FROM_BYTES, Slice, choose_slices, digits_for, regroup, slice_names

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
WITHIN = timedelta(days=32)
EVERY = WITHIN / 16


def fleet(sizes: list[int], read_at: datetime | None) -> list[Slice]:
    return [Slice(name, 1, size, NOW - 400 * DAY, read_at) for name, size in zip(slice_names(1), sizes, strict=False)]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 10**9), min_size=1, max_size=16),
    st.sets(st.integers(1, 60)),
    st.lists(st.integers(1, 10**8), min_size=60, max_size=60),
)
def test_no_byte_stays_unread_for_longer_than_promised(sizes: list[int], failing: set[int], growth: list[int]) -> None:
    slices, last, missed = fleet(sizes, None), None, False
    for number in range(60):
        now = NOW + number * EVERY
        if number:
            assert max(now - each.unread_since for each in slices) <= WITHIN
        grown = number % len(slices)
        slices[grown] = replace(slices[grown], size_bytes=slices[grown].size_bytes + growth[number])
        missed = number in failing and not missed  # one may fail, two in a row may not
        if missed:
            continue
        chosen = {each.prefix for each in choose_slices(slices, now, WITHIN, last)}
        slices = [replace(each, read_at=now) if each.prefix in chosen else each for each in slices]
        last = now


def test_the_work_is_spread_although_all_was_read_at_once() -> None:
    slices, counts, last = fleet([100] * 16, NOW), [], NOW
    for number in range(1, 49):
        now = NOW + number * EVERY
        chosen = {each.prefix for each in choose_slices(slices, now, WITHIN, last)}
        slices = [replace(each, read_at=now) if each.prefix in chosen else each for each in slices]
        counts.append(len(chosen))
        last = now
    assert max(counts) <= 2
    assert 48 <= sum(counts) <= 66


def test_the_longest_unread_is_read_first() -> None:
    slices = fleet([10] * 16, NOW - WITHIN)
    slices[7] = replace(slices[7], read_at=NOW - WITHIN - DAY)
    assert choose_slices(slices, NOW, WITHIN, NOW - EVERY)[0].prefix == "7"


def test_the_first_run_reads_everything_and_the_next_next_to_nothing() -> None:
    slices = fleet([10] * 16, None)
    assert len(choose_slices(slices, NOW, WITHIN, None)) == 16
    assert len(choose_slices(fleet([10] * 16, NOW), NOW + timedelta(minutes=1), WITHIN, NOW)) <= 1


def test_what_a_first_run_has_read_that_was_killed_is_not_read_again() -> None:
    slices = [replace(each, read_at=NOW if each.prefix in "03c" else None) for each in fleet([1] * 16, None)]
    chosen = {each.prefix for each in choose_slices(slices, NOW + timedelta(seconds=9), WITHIN, None)}
    assert chosen == set(slice_names(1)) - set("03c")


def test_one_run_in_the_whole_time_reads_everything() -> None:
    assert len(choose_slices(fleet([10] * 16, NOW - WITHIN), NOW, WITHIN, NOW - WITHIN)) == 16


def test_a_new_object_is_unread_since_its_upload_and_not_since_the_slice_was_read() -> None:
    filled = Slice("3", 1, 10, NOW - DAY, NOW - 9 * DAY)
    assert filled.unread_since == NOW - DAY
    assert replace(filled, oldest=NOW - 30 * DAY).unread_since == NOW - 9 * DAY


def test_empty_slices_are_not_read() -> None:
    assert choose_slices([Slice("3", 0, 0, NOW - 400 * DAY, None)], NOW, WITHIN, None) == ()


@pytest.mark.parametrize(("size", "digits"), [(0, 1), (FINE_FROM_BYTES - 1, 1), (FINE_FROM_BYTES, 2)])
def test_larger_repositories_have_finer_slices(size: int, digits: int) -> None:
    assert digits_for(size) == digits
    assert len(set(slice_names(digits))) == 16**digits


def test_a_memory_of_coarser_slices_holds_for_the_finer() -> None:
    finer = regroup({"3": NOW, "a": NOW - DAY}, 2)
    assert {name[0] for name in finer} == {"3", "a"}
    assert len(finer) == 32
    assert finer["a0"] == NOW - DAY


def test_a_memory_of_finer_slices_holds_when_it_is_whole() -> None:
    whole = {f"3{digit:x}": NOW - digit * DAY for digit in range(16)}
    assert regroup(whole, 1) == {"3": NOW - 15 * DAY}
    del whole["3f"]
    assert regroup(whole, 1) == {}
