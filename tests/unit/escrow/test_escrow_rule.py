"""The escrow in the site, and when the next bundle is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from policies.escrow import Escrow
from policies.load import load_site
from policies.schedule import due
from policies.work import Facts, bundle_of

SITE = load_site(Path(__file__).parents[3] / "examples" / "dalian")
NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def wanted(facts: Facts, centre: str = "provincial") -> datetime | None:
    work = bundle_of(SITE, "provincial" if centre == "provincial" else "same-city", facts)
    return work.wanted if work else None


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"custodians": ["a"]}, "at least 2"),
        ({"custodians": ["a", "b"], "threshold": 3}, "2 at most"),
        ({"custodians": ["a", "b"], "threshold": 1}, "greater than or equal to 2"),
        ({"custodians": ["a", "b", "a"]}, "different people"),
    ],
)
def test_what_makes_no_escrow_is_refused(values: dict[str, object], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        Escrow.model_validate(values)


def test_before_a_key_was_split_no_bundle_is_due() -> None:
    assert wanted(Facts()) is None
    assert wanted(Facts(escrow={"provincial": NOW})) is not None
    none = SITE.model_copy(update={"escrow": None})
    assert bundle_of(none, "provincial", Facts(escrow={"provincial": NOW})) is None


def test_a_bundle_is_due_once_a_day_after_a_change_and_where_there_is_none() -> None:
    fresh = Facts(escrow={"provincial": NOW - HOUR, "same-city": NOW - HOUR}, configured_at=NOW - 2 * HOUR)
    assert NOW - HOUR < (wanted(fresh) or NOW) <= NOW + 23 * HOUR
    changed = Facts(escrow=fresh.escrow, configured_at=NOW)
    assert (wanted(changed) or NOW) <= NOW
    lacking = Facts(escrow={"same-city": NOW - HOUR})
    assert (wanted(lacking) or NOW) <= NOW
    old = Facts(escrow={"provincial": NOW - timedelta(days=2)})
    assert (wanted(old) or NOW) <= NOW - timedelta(days=1)
    assert {each.subject for each in due(SITE, changed, NOW) if each.flow == "escrow-bundle"} == {
        "provincial", "same-city"
    }  # fmt: skip
