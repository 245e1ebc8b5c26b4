"""What a recovery says of the escrow of the password that it opened a repository with."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from drill_rows import SYSTEM, document, steps

from drills.key_access import KeyAccess, judge_escrow
from drills.plans.looking import Answer
from drills.report.render import render_html
from orchestrator.catalogue.keys import BundleAt, EscrowCheck, Keys
from policies.escrow import Escrow

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
RULE = Escrow(custodians=("李梅", "王强", "赵云"), bundle_every=timedelta(days=1), check_every=timedelta(days=180))
BUNDLE = BundleAt("provincial", "key", NOW - timedelta(hours=3), 9, "0" * 64, 0)
CHECK = EscrowCheck(NOW - timedelta(days=9), "provincial", "key", NOW, ("李梅", "王强"))


def judged(bundle: BundleAt | None, check: EscrowCheck | None) -> Answer:
    known = Keys(
        {"provincial": bundle} if bundle else {}, {"provincial": check} if check else {}, passwords={}, accesses={}
    )
    return judge_escrow(RULE, known, "provincial", NOW)


def test_an_escrow_of_late_that_was_proved_is_well() -> None:
    assert judged(BUNDLE, CHECK).verdict == "ok"


@pytest.mark.parametrize(
    ("bundle", "check", "why"),
    [
        (None, CHECK, "no rescue bundle"),
        (BUNDLE, None, "no shares ever"),
        (BUNDLE, replace(CHECK, key="before"), "no shares ever"),
        (BUNDLE, replace(CHECK, checked_at=NOW - timedelta(days=181)), "181d ago, over 180d"),
        (replace(BUNDLE, made_at=NOW - timedelta(days=2)), CHECK, "2d old, over 1d"),
        (replace(BUNDLE, missing=2), CHECK, "lacks 2 secrets"),
    ],
)
def test_what_is_wrong_with_an_escrow_is_warned_of(
    bundle: BundleAt | None, check: EscrowCheck | None, why: str
) -> None:
    found = judged(bundle, check)
    assert (found.verdict, why in found.en, bool(found.hint)) == ("warn", True, True), found


def test_the_report_tells_what_opened_and_warns_of_the_escrow_without_failing() -> None:
    told = steps()
    access = KeyAccess(SYSTEM, "provincial", judged(None, None))
    drill = document([*told[:3], ("key-access", 0.6, access), *told[3:]])
    assert drill["verdict"] == "met"
    assert drill["systems"][0]["problems"] == []
    for each in ("people", "manual", "findings", "signatures", "grades"):
        drill[each] = []
    text = unescape(re.sub(r"<[^>]+>", " ", render_html(drill)))
    for words in (f"{SYSTEM}@provincial", "该中心没有救援包", "there is no rescue bundle here"):
        assert words in text
    assert "the site names none" in unescape(
        render_html(
            {**drill, "systems": [{**drill["systems"][0], "key_access": {**access.as_evidence(), "escrow": None}}]}
        )
    )
