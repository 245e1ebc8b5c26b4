"""What messages say, in which language, and in how many bytes."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from small_news import NOW

from orchestrator.catalogue.notices import Notice
from orchestrator.notify.words import EVENT_NAMES, HEADLINES, Style, render
from policies.notifications import EVENTS
from policies.windows import zone

STYLE = Style("大连市政务云", zone("Asia/Shanghai"), "https://reports.example/{drill}.html")
CHINESE = re.compile("[一-鿿]")


def notice(event: str, severity: str = "warning", number: int = 0, **facts: Any) -> Notice:
    at = NOW + timedelta(seconds=number)
    return Notice(f"{event}:{number}", event, severity, f"subject {number}", at, at, facts)


def missed(number: int = 0, **facts: Any) -> Notice:
    known = {
        "system": f"bureau/system-{number}",
        "centre": "same-city",
        "data_time": "2026-11-23T09:30:00+00:00",
        "rpo_seconds": 9000.0,
        "rpo_objective_seconds": 3600.0,
    }
    return notice("objective", "critical", number, **{**known, **facts})


DRILL = {
    "drill": "20261123-ab",
    "plan": "land-registry",
    "kind": "sandbox",
    "verdict": "missed",
    "report": "/srv/reports/20261123-ab.html",
    "systems": [
        {
            "system": "natural-resources/land-registry",
            "verdict": "missed",
            "rpo_seconds": 600.0,
            "rpo_objective_seconds": 3600.0,
            "rto_seconds": 18000.0,
            "rto_objective_seconds": 14400.0,
        },
        {
            "system": "a/b",
            "verdict": "failed",
            "rpo_seconds": None,
            "rpo_objective_seconds": None,
            "rto_seconds": None,
            "rto_objective_seconds": None,
        },
    ],
    "more_systems": 3,
}
RUN = {"run": "r1", "flow": "backup", "about": "a/b", "requested_by": "schedule"}
ONE_OF_EACH = [
    missed(),
    notice("drill", **DRILL),
    notice("approval", **RUN, reason="洪水 flood"),
    notice("run-failed", **RUN, error_type="Unreachable", error="no answer", hint="look"),
    notice("failover", "critical", **RUN, error_type="Fenced", error="fenced", hint=None),
    notice(
        "failover",
        "critical",
        1,
        epoch=20,
        moved={"a/b": "same-city"},
        more_systems=0,
        forced="flood",
        declared_by="li",
        approved_by="wang",
    ),
    notice("corruption", "critical", system="a/b", centre="provincial", objects=3),
]


def test_a_drill_is_told_with_its_verdict_what_it_measured_beside_the_objectives_and_its_report() -> None:
    shown = render("m1", [notice("drill", **DRILL)], STYLE, "en", 20_000)
    assert shown.title == "🟠 [大连市政务云] drill of land-registry (sandbox): objectives missed"
    assert "natural-resources/land-registry: objectives missed, RPO 10m / 1h, RTO 5h / 4h" in shown.body
    assert "a/b: failed, RPO -, RTO -" in shown.body
    assert "report https://reports.example/20261123-ab.html" in shown.body
    assert shown.body.endswith("id m1")
    plain = render("m1", [notice("drill", **DRILL)], Style("x", STYLE.local), "zh", 20_000)
    assert "报告 /srv/reports/20261123-ab.html" in plain.body
    assert "RTO 5h / 4h" in plain.body


def test_a_miss_says_by_how_much_and_times_are_the_site_s() -> None:
    shown = render("m1", [missed()], STYLE, "both", 20_000)
    assert shown.title.startswith("🔴 [大连市政务云] RPO 未达标：bureau/system-0 同城中心 RPO missed: bureau/system-0")
    assert "RPO 实际 2h30m，目标 1h RPO 2h30m, objective 1h" in shown.body
    assert "最新数据 2026-11-23 17:30" in shown.body
    never = render("m1", [missed(data_time=None)], STYLE, "en", 20_000)
    assert "never any recovery point" in never.body


@pytest.mark.parametrize("each", ONE_OF_EACH, ids=lambda each: each.id)
@pytest.mark.parametrize("over", [False, True])
def test_every_event_is_told_in_either_language_and_in_both(each: Notice, over: bool) -> None:
    told = [Notice(each.id, each.event, each.severity, each.subject, each.at, each.at, {**each.facts, "over": over})]
    style = Style("site", STYLE.local)
    zh, en, both = (render("m", told, style, language, 20_000) for language in ("zh", "en", "both"))  # type: ignore[arg-type]
    assert CHINESE.search(zh.title)
    assert not CHINESE.search(en.title)
    assert not CHINESE.search(en.body.replace("洪水", ""))
    assert en.title.split("] ")[1] in both.title
    assert "None" not in f"{zh}{en}"


def test_every_event_has_words() -> None:
    assert set(EVENTS) == EVENT_NAMES.keys() == HEADLINES.keys() == {each.event for each in ONE_OF_EACH}


def test_a_storm_tells_what_is_worst_first_and_counts_the_rest() -> None:
    storm = [notice("run-failed", **RUN, error_type="X", error="e", hint=None), *(missed(each) for each in range(500))]
    shown = render("m1", storm, STYLE, "en", 20_000)
    assert shown.title == "🔴 [大连市政务云] 501 notices: 500 recovery point objectives, 1 failed runs"
    assert shown.body.count("RPO missed") == 10
    assert "… and 490 more: recovery point objectives" in shown.body
    assert shown.body.index("bureau/system-9") < shown.body.index("run failed")


@pytest.mark.parametrize("most", [300, 301, 302, 1024])
def test_a_message_fits_into_the_bytes_of_its_service_and_keeps_its_id(most: int) -> None:
    shown = render("m1", [missed(each) for each in range(500)], STYLE, "zh", most)
    assert len(f"{shown.title}\n{shown.body}".encode()) <= most
    assert shown.body.endswith("…\n\n编号 m1")
    assert "�" not in shown.body
