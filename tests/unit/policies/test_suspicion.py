"""Suspicion: what is unusual is told, what is usual for the source is not, and nobody is suspect for being first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.suspicion import (
    CLOCKS_DIFFER,
    FEWEST_BYTES,
    FEWEST_FILES,
    Dated,
    Measures,
    Sign,
    Signal,
    canary_signals,
    changed_share,
    date_signals,
    dated_wrongly,
    measure_signals,
    rewritten_share,
)
from policies.tiers import SuspicionRule

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULE = SuspicionRule()
USUAL = Measures(1000, 100, 500, changed=0.02, rewritten=0.03)


def signs(now: Measures, before: list[Measures], rule: SuspicionRule = RULE) -> list[Sign]:
    return [each.sign for each in measure_signals("files", now, before, rule)]


@pytest.mark.parametrize(
    ("changes", "sign"),
    [
        ({}, None),
        ({"bytes": 501, "files": 51, "rows": 251}, None),
        ({"bytes": 499}, Sign.SHRUNK),
        ({"files": 49}, Sign.SHRUNK),
        ({"rows": 249}, Sign.SHRUNK),
        ({"rows": 0, "bytes": 10}, Sign.EMPTY),
        ({"files": 0, "bytes": 0}, Sign.EMPTY),
        ({"bytes": 10**9, "files": 10**6}, None),
        ({"changed": 0.5}, None),
        ({"changed": 0.51}, Sign.CHANGED),
        ({"rewritten": 0.51}, Sign.REWRITTEN),
        ({"changed": None, "rewritten": None, "rows": None}, None),
    ],
)
def test_against_what_is_usual(changes: dict[str, float | None], sign: Sign | None) -> None:
    assert signs(replace(USUAL, **changes), [USUAL] * 5) == ([sign] if sign else [])  # type: ignore[arg-type]


def test_the_median_tells_what_is_usual_so_that_one_odd_point_does_not() -> None:
    odd = replace(USUAL, bytes=100_000, files=10_000, rows=50_000)
    assert signs(USUAL, [odd, USUAL, USUAL]) == []
    assert signs(USUAL, [odd, odd, USUAL]) == [Sign.SHRUNK]


@given(st.builds(Measures, st.integers(0), st.integers(0), st.integers(0), st.floats(0, 1), st.floats(0, 1)))
def test_the_first_is_never_suspect_of_its_size(first: Measures) -> None:
    assert signs(replace(first, changed=None, rewritten=None), []) == []


@given(st.floats(0, 1), st.integers(3, 10))
def test_what_always_changes_that_much_is_not_suspect(share: float, times: int) -> None:
    always = replace(USUAL, changed=share, rewritten=share)
    assert signs(always, [always] * times) == []


def test_whole_files_are_suspect_from_the_second_point_on_and_bytes_once_the_usual_is_known() -> None:
    encrypted = replace(USUAL, changed=1.0, rewritten=1.0)
    first = replace(USUAL, changed=None, rewritten=None)
    assert signs(encrypted, [first]) == [Sign.CHANGED]
    assert signs(encrypted, [USUAL, USUAL, USUAL, first]) == [Sign.CHANGED, Sign.REWRITTEN]


def test_a_rule_may_switch_signals_off() -> None:
    never = SuspicionRule(shrunk_below=0, changed_above=1)
    assert signs(Measures(1, 1, 1, changed=1.0, rewritten=1.0), [USUAL] * 5, never) == []
    assert signs(replace(USUAL, files=0), [USUAL] * 5, never) == [Sign.EMPTY]


def tree(count: int, content: str) -> dict[str, str | None]:
    return {f"f{number}": content for number in range(count)}


def test_the_share_of_changed_files_counts_what_is_gone_and_not_what_is_new() -> None:
    before = tree(20, "a")
    assert changed_share(before, before | tree(0, "b") | {"new": "n"}) == 0
    assert changed_share(before, before | {"f1": "b", "f2": None}) == 0.1
    renamed = {f"{path}.locked": "x" for path in before}
    assert changed_share(before, renamed) == 1
    assert changed_share(before | {"moving": None}, before) == 0, "it was changing before as well"
    assert changed_share(tree(FEWEST_FILES - 1, "a"), {}) is None


@pytest.mark.parametrize(
    ("added", "size", "before", "share"),
    [
        (0, 100, 100, 0),
        (60, 100, 100, 0.6),
        (100, 200, 100, 0),
        (150, 200, 100, 0.5),
        (500, 100, 100, 1),
        (9, 9, 0, None),
        (9, 9, 99, None),
    ],
)
def test_growth_is_not_rewriting_and_of_few_bytes_nothing_is_said(
    added: int, size: int, before: int, share: float | None
) -> None:
    unit = FEWEST_BYTES // 100 + 1
    assert rewritten_share(added * unit, size * unit, before * unit) == share


@pytest.mark.parametrize(
    ("before", "now", "suspect"),
    [
        ({"c": "1"}, {"c": "1"}, False),
        ({"c": "1"}, {"c": "2"}, True),
        ({"c": "1"}, {"c": None}, True),
        ({"c": "1"}, {}, True),
        (None, {"c": "1"}, False),
        ({}, {"c": "1"}, False),
        (None, {}, True),
    ],
)
def test_canaries(before: dict[str, str | None] | None, now: dict[str, str | None], suspect: bool) -> None:
    found = list(canary_signals("files", ["c"], before, now))
    assert bool(found) is suspect
    assert all(each.sign is Sign.CANARY and "c " in each.detail for each in found)


def test_the_date_is_held_against_the_clock_of_the_vault_and_the_point_before() -> None:
    assert list(date_signals(NOW, NOW + 9 * HOUR, NOW - HOUR)) == [], "a backup may take a night"
    assert [each.sign for each in date_signals(NOW + 2 * HOUR, NOW, None)] == [Sign.AHEAD]
    assert [each.sign for each in date_signals(NOW - 2 * HOUR, NOW, NOW)] == [Sign.BACK_DATED]
    assert list(date_signals(NOW + CLOCKS_DIFFER, NOW, NOW + 2 * CLOCKS_DIFFER)) == []


def test_dates_that_cannot_be() -> None:
    good = [Dated("a", NOW - 2 * HOUR, NOW - 2 * HOUR), Dated("b", NOW, NOW)]
    assert dated_wrongly(good, NOW) == {}
    assert dated_wrongly([], NOW) == {}
    ahead = Dated("c", NOW + 5 * HOUR, NOW)
    assert {point: each.sign for point, each in dated_wrongly([*good, ahead], NOW).items()} == {"c": Sign.AHEAD}
    back = Dated("d", NOW - 400 * HOUR, NOW + HOUR)
    assert {point: each.sign for point, each in dated_wrongly([*good, back], NOW).items()} == {"d": Sign.BACK_DATED}
    both = dated_wrongly([*good, ahead, back], NOW)
    assert both.keys() == {"c", "d"}, "one from the future does not hide one that is dated back"


def test_a_signal_survives_json() -> None:
    for each in (Signal(Sign.CANARY, "gone", "files"), Signal(Sign.AHEAD, "dated")):
        assert Signal.from_json(each.as_json()) == each
