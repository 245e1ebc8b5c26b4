"""The report: everything that the rows tell stands in it, and nothing that they hold can break out of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from drill_rows import PASSED, Step, steps
from drill_rows import document as bare_document

from drills.probes import ProbeResult
from drills.report.render import gauge, render_html, signed_digest, stage_shares, write_report
from drills.report.timeline import BAD, COLOURS, Language, draw, trend
from orchestrator.errors import CheckFailed

HEADINGS = (
    "演练目的", "时间和地点", "参演单位和人员", "演练方案概要", "目标与实测", "过程时间线", "步骤时间表",
    "恢复点与数据校验", "跨系统核对", "人工干预", "发现的问题与整改", "经验和教训", "改进建议", "编制", "审核", "批准",
)  # fmt: skip


def document(told: Sequence[Step]) -> dict[str, Any]:
    """Return a drill's document of which nothing is known beside its rows."""
    beside = ("people", "manual", "findings", "signatures", "grades")
    whole: dict[str, Any] = json.loads(json.dumps({**bare_document(told), **{name: [] for name in beside}}))
    return whole


def text_of(html: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)))


def test_every_heading_step_probe_and_snapshot_stands_in_the_report() -> None:
    told = document(steps())
    text = text_of(render_html(told))
    for heading in HEADINGS:
        assert heading in text
    for step in ("declare", "restore · files", "start the server · db", "probe · sql:db"):
        assert step in text
    for each in PASSED:
        assert each.name in text
        assert each.expected in text
        assert each.got in text
    for snapshot in ("a" * 64, "b" * 64, "d" * 64):
        assert snapshot in text
    assert "达标" in text
    assert "355.8 km" in text
    assert "0411-00000001" in text


def test_a_failed_drill_says_what_failed_and_why() -> None:
    wrong = ProbeResult("fingerprint:db", False, "74,000 rows", "73,999 rows", ("rows of public.persons: 19999",))
    text = text_of(render_html(document(steps([PASSED[0], wrong]))))
    assert "不达标" in text
    assert "rows of public.persons: 19999" in text
    assert "应为 74,000 rows，实为 73,999 rows" in text

    broken = [*steps()[:4], ("restore:files", 2.0, CheckFailed("pack 8f01 is damaged"))]
    text = text_of(render_html(document(broken)))
    assert "CheckFailed: pack 8f01 is damaged" in text
    assert "没有进行校验" in text


def test_what_was_cut_off_and_done_again_counts_by_its_last_try() -> None:
    once, cut = steps(), CheckFailed("cut off")
    *before, restored, probe, _, _ = once
    again = [*before, (restored[0], 1.0, cut), restored, restored, (probe[0], 0.1, cut), *once[-3:]]
    told = document(again)
    assert told["verdict"] == "met"
    assert told["systems"][0]["restored_bytes"] == document(once)["systems"][0]["restored_bytes"]
    assert [each["name"] for each in told["systems"][0]["probes"]] == [each.name for each in PASSED]
    assert told["systems"][0]["problems"] == []
    assert len(told["attempts"]) == len(document(once)["attempts"]) + 3


def test_a_missed_objective_is_a_problem_with_both_numbers() -> None:
    told = steps()
    told[4] = (told[4][0], 44000.0, told[4][2])
    problems = document(told)["systems"][0]["problems"]
    assert document(told)["verdict"] == "missed"
    assert problems == [
        {
            "zh": "RTO 实测 12h13m，超过目标 12h",
            "en": "the measured RTO of 12h13m exceeds the objective of 12h",
        }
    ]


def test_a_drill_that_failed_at_once_still_has_a_report() -> None:
    text = text_of(render_html(document([steps()[0], ("choose-point", 0.2, CheckFailed("no point"))])))
    assert "没有使用恢复点" in text


def test_nothing_from_outside_becomes_markup() -> None:
    evil = "<script>alert('x')</script>"
    told = steps([replace(PASSED[0], got=evil, detail=(evil,), passed=False)])
    told[4] = (told[4][0], 1.0, CheckFailed(evil))
    html = render_html(document(told))
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 3


def test_the_report_needs_nothing_from_elsewhere() -> None:
    html = render_html(document(steps()))
    assert not re.search(r"(src|href)=|@import|url\(|https?://", html)


def test_the_footer_carries_the_hash_of_the_evidence_file_and_a_second_writing_changes_nothing(tmp_path: Path) -> None:
    told = document(steps())
    html = write_report(tmp_path / "reports", told)
    evidence = html.with_suffix(".json").read_bytes()
    first = html.read_bytes()
    assert hashlib.sha256(evidence).hexdigest() in first.decode()
    assert json.loads(evidence) == told
    assert write_report(tmp_path / "reports", json.loads(evidence)).read_bytes() == first
    assert sorted(each.suffix for each in (tmp_path / "reports").iterdir()) == [".html", ".json"]


def test_the_stages_fill_the_bar() -> None:
    shares = stage_shares(document(steps())["systems"][0]["measured"]["stages"])
    assert sum(each["percent"] for each in shares) == pytest.approx(100)


def test_the_longer_of_objective_and_measured_fills_the_gauge() -> None:
    told = document(steps())["systems"][0]
    assert gauge("rpo", told)["limit_percent"] == 100
    assert gauge("rpo", told)["actual_percent"] == pytest.approx(2400 / 3600 * 100)
    told["measured"]["rpo_seconds"] = 7200.0
    assert (gauge("rpo", told)["limit_percent"], gauge("rpo", told)["actual_percent"]) == (50, 100)
    assert not gauge("rpo", told)["kept"]


def three_systems() -> dict[str, Any]:
    """Return a drill of three systems, one after the other, of which the last one's probe failed."""
    told = document(steps())
    one = told["systems"][0]
    own = [each for each in told["attempts"] if each["system"]] or told["attempts"]
    titles = [{"zh": f"系统{number}", "en": f"system {number}"} for number in range(3)]
    told["systems"] = [{**one, "system": f"bureau/s{number}", "title": each} for number, each in enumerate(titles)]
    told["attempts"] = [{**each, "system": f"bureau/s{number}"} for number in range(3) for each in own]
    told["attempts"][-1]["outcome"] = "failed"
    return told


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_timeline_has_a_row_for_each_system_and_marks_what_failed(language: Language) -> None:
    picture = draw(three_systems(), language)
    root = ElementTree.fromstring(picture)  # well-formed, so every renderer reads it alike
    texts = [each.text or "" for each in root.iter("text")]
    for number in range(3):
        assert f"{'系统' if language == 'zh' else 'system '}{number}" in texts
    bars = list(root.iter("rect"))
    drawn = [each for each in three_systems()["attempts"] if each["ended_at"] and each["step"] != "systems"]
    assert len(bars) == len(drawn)
    assert [each.get("stroke") for each in bars].count(BAD) == 1
    assert {each.get("fill") for each in bars} >= {COLOURS["restore"], COLOURS["start"], COLOURS["verify"]}
    assert sum(each.startswith("RTO ≤") for each in texts) == 3


def test_a_small_chart_draws_what_was_reached_and_marks_what_was_not() -> None:
    root = ElementTree.fromstring(trend([10.0, None, 12.0], 15.0))
    assert (len(list(root.iter("circle"))), len(list(root.iter("path"))), len(list(root.iter("line")))) == (2, 1, 1)
    assert not list(ElementTree.fromstring(trend([10.0], 3600.0)).iter("line"))  # an objective far above what is drawn
    assert trend([None], 1.0) == ""


def test_the_report_says_pass_partial_or_fail_in_both_languages() -> None:
    for verdict, words in {
        "met": ("达标", "pass"),
        "missed": ("基本达标", "partial"),
        "failed": ("不达标", "fail"),
    }.items():
        html = render_html({**document(steps()), "verdict": verdict})
        for word in words:
            assert f"<strong>{word}</strong>" in html


def test_a_signature_stands_in_the_report_and_covers_what_was_found_but_not_what_comes_later() -> None:
    told = document(steps())
    signed = signed_digest(told)
    later = {**told, "signatures": [{"role": "approved", "person": "wang@desk", "signed_at": told["ended_at"],
                                     "digest": signed}]}  # fmt: skip
    assert signed_digest(later) == signed
    assert "wang@desk" in render_html(later)
    assert signed_digest({**told, "verdict": "missed"}) != signed
