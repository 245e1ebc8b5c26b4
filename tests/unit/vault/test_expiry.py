"""Which lifecycle rules of a bucket are ours, and which take what must stay."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.vault.expiry import RULE, Expiry, judge_rules, our_rule

LOCK_DAYS = 30


def rule(**what: Any) -> dict[str, Any]:
    return {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": ""}, **what}


def test_ours_keeps_what_is_hidden_for_longer_than_its_lock_can_last() -> None:
    assert judge_rules([our_rule(37)], LOCK_DAYS) == Expiry(37)
    assert judge_rules([our_rule(36)], LOCK_DAYS) == Expiry(36, (RULE,))


def test_no_rule_and_a_store_without_rules_are_told_apart() -> None:
    assert judge_rules([], LOCK_DAYS) == Expiry(0)
    assert judge_rules(None, LOCK_DAYS) == Expiry(None)


@pytest.mark.parametrize(
    ("what", "harmful"),
    [
        ({"Expiration": {"Days": 3650}}, True),
        ({"Expiration": {"Date": "2027-01-01"}}, True),
        ({"NoncurrentVersionExpiration": {"NoncurrentDays": 30}}, True),
        ({"NoncurrentVersionExpiration": {"NoncurrentDays": 90}}, False),
        ({"Expiration": {"ExpiredObjectDeleteMarker": True}}, False),
        ({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}, False),
        ({"Expiration": {"Days": 1}, "Status": "Disabled"}, False),
    ],
)
def test_what_takes_objects_in_use_or_hidden_ones_too_early_is_harmful(what: dict[str, Any], harmful: bool) -> None:
    found = judge_rules([rule(**what), our_rule(37)], LOCK_DAYS)
    assert found == Expiry(37, ("theirs",) if harmful else ())
