"""What retention and verification hand from step to step: it is refused where it must be, and survives a journal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.backups import upkeep_show
from orchestrator.backups.looked import Looked, as_faults
from orchestrator.backups.retention import Expired, ExpiryPlan, check_plan
from orchestrator.backups.verify import SystemVerified
from orchestrator.catalogue.verifications import Fault, Kind
from orchestrator.engine.journal import as_evidence, decode, encode
from orchestrator.errors import Refused
from policies.load import load_site
from policies.retention import KEEPS, Decision, Ground, Reason
from policies.site import SystemRef
from policies.suspicion import Sign, Signal

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SUSPECTS = {"odd": (Signal(Sign.EMPTY, "no files; usually 3", "scans"),)}


def decision(point: str, *reasons: Reason) -> Decision:
    return Decision(point, NOW, tuple(Ground(each) for each in reasons))


POINTS = (decision("new", Reason.NEWEST, Reason.YOUNG), decision("old", Reason.EXPIRED))
REMAINS = (decision("dead", Reason.LEFTOVER), decision("half", Reason.INCOMPLETE))
PLAN = ExpiryPlan(
    "same-city", POINTS, REMAINS, ("a" * 64,), prune=True, suspects=SUSPECTS, too_many=False, open_findings=0
)


@pytest.fixture(scope="module")
def ref() -> SystemRef:
    return next(load_site(Path(__file__).parents[3] / "examples" / "dalian").systems())


@pytest.mark.parametrize("force", [False, True])
def test_what_no_force_overcomes(ref: SystemRef, force: bool) -> None:
    with pytest.raises(Refused, match="2 findings"):
        check_plan(ref, replace(PLAN, open_findings=2), force=force)


def test_every_reason_has_its_words_and_says_what_would_end_it() -> None:
    assert upkeep_show.REASONS.keys() == set(Reason)
    assert upkeep_show.FREED.keys() == KEEPS
    ref: Any = "bureau/system"
    (told,) = upkeep_show.expiries_as_json([(ref, PLAN)], "planned")
    newest = told["decisions"][0]
    assert [each["reason"] for each in newest["reasons"]] == ["newest", "young"]
    assert (newest["reason"], newest["reasons"][0]["freed_by"]) == ("newest", "a newer good point")
    assert told["suspects"] == {"odd": [{"sign": "empty", "source": "scans", "detail": "no files; usually 3"}]}


def test_too_many_may_be_meant(ref: SystemRef) -> None:
    check_plan(ref, PLAN, force=False)
    many = replace(PLAN, too_many=True)
    with pytest.raises(Refused, match="1 of 2 points"):
        check_plan(ref, many, force=False)
    check_plan(ref, many, force=True)


def test_a_plan_leaves_evidence_of_what_goes() -> None:
    assert as_evidence(PLAN) == {
        "counts": {"newest": 1, "expired": 1, "leftover": 1, "incomplete": 1},
        "forgotten": {"old": "expired", "dead": "leftover"},
        "snapshots": 1,
        "prune": True,
        "suspects": ["odd"],
    }


@pytest.mark.parametrize(
    "value",
    [
        PLAN,
        Expired(PLAN, ("new",)),
        Looked(2, 9, as_faults(["b"], ["m"]), ("h",)),
        (Fault("key", Kind.DAMAGED, "why"),),
        SystemVerified("a/b", "same-city", "data", Looked(1, 1), 5, NOW),
    ],
)
def test_results_survive_a_journal(value: object) -> None:
    assert decode(encode(value)) == value
