"""What a spot check holds for a fault, and what has only changed since the backup."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from policies.spot import (
    SAMPLE_LEAST,
    Live,
    SpotCheckRule,
    choose_sample,
    judge_files,
    judge_tables,
    judge_volume,
    parse_share,
)

RULE = SpotCheckRule.model_validate({"sample": "10%", "count": "2%", "content": "1%"})
POINT = {f"f{number:03}": 10 for number in range(100)}
SAME = {name: Live(10, changed=False) for name in POINT}


def faults(live: dict[str, Live], differing: list[str] | None = None, point: dict[str, int] = POINT) -> tuple[str, ...]:
    return judge_files("s", "path", point, live, differing or [], 50, RULE).faults


def test_what_stands_as_it_was_holds() -> None:
    assert faults(SAME) == ()


def test_what_changed_since_is_counted_and_no_fault() -> None:
    grown = SAME | {f"new{number}": Live(1, changed=True) for number in range(500)}
    grown |= {name: Live(99, changed=True) for name in list(POINT)[:60]}
    found = judge_files("s", "path", POINT, grown, [], 50, RULE)
    assert (found.faults, found.changed, found.expected, found.there) == ((), 560, 100, 600)


@pytest.mark.parametrize("gone", [2, 3, 100])
def test_files_that_are_gone(gone: int) -> None:
    live = dict(list(SAME.items())[gone:])
    said = faults(live)
    assert bool(said) is (gone > 2)
    if said:
        assert f"{gone} of 100 files of the point are not there" in said[0]


def test_an_exclude_that_is_too_wide_and_an_empty_backup() -> None:
    excluded = SAME | {f"left-out{number}": Live(1, changed=False) for number in range(50)}
    assert "50 of 150 files stood there before and are not in it" in faults(excluded)[0]
    assert "no file at all" in faults(SAME, point={})[-1]


def test_content_that_differs_although_nothing_changed() -> None:
    assert faults(SAME, ["f001"]) == ("1 of 50 files that did not change differ: f001",)
    lax = RULE.model_copy(update={"content": 0.02})
    assert judge_files("s", "path", POINT, SAME, ["f001"], 50, lax).faults == ()


def test_tables() -> None:
    point = {"a": 100, "b": 10, "c": 0}
    assert judge_tables("s", "postgresql", point, {"a": 5000, "b": 10, "c": 1, "new": 3}, RULE).faults == ()
    assert judge_tables("s", "postgresql", point, {"a": 98, "b": 10, "c": 0}, RULE).faults == ()
    said = judge_tables("s", "postgresql", point, {"a": 97, "c": 0}, RULE)
    assert said.faults == ("1 tables of the point are not there: b", "a has 97 rows, and 100 in the point")
    assert judge_tables("s", "postgresql", {}, {"a": 1}, RULE).faults == ("the point holds no table at all",)


def test_volumes() -> None:
    assert judge_volume("s", "volume", 5, 5).faults == ()
    assert judge_volume("s", "volume", 5, 6).faults


def test_the_sample_follows_from_its_seed_and_is_never_too_small() -> None:
    names = [f"n{number}" for number in range(1000)]
    assert choose_sample(names, 0.05, "run-1") == choose_sample(names[::-1], 0.05, "run-1")
    assert choose_sample(names, 0.05, "run-1") != choose_sample(names, 0.05, "run-2")
    assert len(choose_sample(names, 0.05, "r")) == 50
    assert len(choose_sample(names, 0.0, "r")) == SAMPLE_LEAST
    assert choose_sample(names[:3], 0.05, "r") == sorted(names[:3])


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.5 %", 0.005), ("100%", 1.0), ("0%", 0.0)])
def test_shares(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["5", "101%", "-1%", "five", 5, True, ""])
def test_what_is_no_share(text: object) -> None:
    with pytest.raises(ValueError, match="share"):
        parse_share(text)
    with pytest.raises(ValidationError):
        SpotCheckRule.model_validate({"sample": text})
