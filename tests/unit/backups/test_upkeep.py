"""What retention and verification hand from step to step: it is refused where it must be, and survives a journal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.backups.looked import Looked, as_faults
from orchestrator.backups.retention import Expired, ExpiryPlan, check_plan
from orchestrator.backups.verify import SystemVerified
from orchestrator.catalogue.verifications import Fault, Kind
from orchestrator.engine.journal import as_evidence, decode, encode
from orchestrator.errors import Refused
from policies.load import load_site
from policies.retention import Decision, Reason
from policies.site import SystemRef

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
POINTS = (Decision("new", NOW, Reason.NEWEST), Decision("old", NOW, Reason.EXPIRED))
REMAINS = (Decision("dead", NOW, Reason.LEFTOVER), Decision("half", NOW, Reason.INCOMPLETE))
PLAN = ExpiryPlan(
    "same-city", POINTS, REMAINS, ("a" * 64,), prune=True, suspicion=None, too_many=False, open_findings=0
)


@pytest.fixture(scope="module")
def ref() -> SystemRef:
    return next(load_site(Path(__file__).parents[3] / "examples" / "dalian").systems())


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"suspicion": "the newest is of tomorrow"}, "tomorrow"), ({"open_findings": 2}, "2 findings")],
)
@pytest.mark.parametrize("force", [False, True])
def test_what_no_force_overcomes(ref: SystemRef, changes: dict[str, Any], said: str, force: bool) -> None:
    with pytest.raises(Refused, match=said):
        check_plan(ref, replace(PLAN, **changes), force=force)


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
