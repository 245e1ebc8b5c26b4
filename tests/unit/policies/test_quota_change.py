"""A change of a quota: what is edited, what that makes of the limits, and what is below use."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.quota import Quota, QuotaClass
from policies.quota_change import (
    CLASS,
    LIMITS,
    MULTIPLIER,
    Difference,
    differences,
    edited,
    is_below,
    parse_edits,
    told,
)
from policies.quota_classes import effective

amounts = st.none() | st.just("unlimited") | st.integers(0, 10**9)
edits = st.dictionaries(st.sampled_from(LIMITS), amounts, max_size=8)


def limits(document: dict[str, Any]) -> Any:
    classes = {"small": QuotaClass.model_validate({"compute": {"cores": 4, "ram": 8}})}
    quota = Quota.model_validate(document.get("quota", {}))
    return effective(classes, quota, document.get(CLASS), document.get(MULTIPLIER, 1))


def test_what_is_asked_for_is_parsed() -> None:
    found = parse_edits(["compute.cores=40", "network.ports=unlimited"], ["compute.ram"], "small", 3)
    assert found == {
        "compute.cores": 40, "network.ports": "unlimited", "compute.ram": None, CLASS: "small", MULTIPLIER: 3,
    }  # fmt: skip
    assert parse_edits([], [], "") == {CLASS: None, MULTIPLIER: None}


@pytest.mark.parametrize(
    ("sets", "unsets", "says"),
    [
        (["compute.core=4"], [], "did you mean compute.cores"),
        (["compute.cores"], [], "want SERVICE.LIMIT=NUMBER"),
        (["compute.cores=-1"], [], "whole number from 0, or unlimited"),
        (["compute.cores=4.5"], [], "whole number"),
        (["compute.cores=٤"], [], "whole number"),
        (["compute.cores=4", "compute.cores=5"], [], "given twice"),
        (["compute.cores=4"], ["compute.cores"], "given twice"),
        ([], ["cores"], "no limit named"),
    ],
)
def test_what_cannot_be_meant_is_told(sets: list[str], unsets: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_edits(sets, unsets)


def test_a_multiplier_of_no_class_is_told() -> None:
    with pytest.raises(ValueError, match="nothing to multiply"):
        parse_edits([], [], "", 2)


def test_the_limits_that_differ_are_told_and_no_others() -> None:
    before = {CLASS: "small", "quota": {"compute": {"instances": 2, "cores": 40}}}
    after = edited(before, parse_edits(["compute.instances=unlimited"], ["compute.cores"], None, 2))
    assert differences(limits(before), limits(after)) == (
        Difference("compute.cores", 40, 8),
        Difference("compute.instances", 2, -1),
        Difference("compute.ram", 8, 16),
    )
    assert after == {CLASS: "small", MULTIPLIER: 2, "quota": {"compute": {"instances": "unlimited"}}}
    assert before == {CLASS: "small", "quota": {"compute": {"instances": 2, "cores": 40}}}


def test_unset_zero_and_unlimited_are_three_things() -> None:
    assert len({told(None), told(0), told(-1)}) == 3
    assert edited({"tenant": "t", "quota": {"compute": {"cores": 0}}}, {"compute.cores": None}) == {"tenant": "t"}


@given(edits, edits)
def test_edits_are_in_after_once_and_after_twice(first: dict[str, Any], second: dict[str, Any]) -> None:
    document = edited({"tenant": "t"}, first)
    once = edited(document, second)
    assert edited(once, second) == once
    assert differences(limits(once), limits(once)) == ()
    for name, value in {**first, **second}.items():
        service, what = name.split(".")
        assert once.get("quota", {}).get(service, {}).get(what) == value
    assert all(once.get("quota", {"": 1}).values())


@pytest.mark.parametrize(
    ("wanted", "used", "below"),
    [(None, 9, False), (-1, 9, False), (9, 9, False), (8, 9, True), (0, 1, True), (0, 0, False)],
)
def test_a_limit_is_below_what_is_used(wanted: int | None, used: int, below: bool) -> None:
    assert is_below(wanted, used) is below
