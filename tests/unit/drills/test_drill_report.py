"""The report: everything that the rows tell stands in it, and nothing that they hold can break out of it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from drill_rows import PASSED, document, steps

from drills.probes import ProbeResult
from drills.report.render import gauge, render_html, stage_shares, write_report
from orchestrator.errors import CheckFailed

HEADINGS = (
    "演练目的", "时间和地点", "参演单位和人员", "演练方案概要", "目标与实测", "恢复点", "步骤时间表", "校验结果",
    "发现的问题与原因", "经验和教训", "改进建议", "编制", "审核", "批准",
)  # fmt: skip


def text_of(html: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)))


def test_every_heading_step_probe_and_snapshot_stands_in_the_report() -> None:
    told = document(steps())
    text = text_of(render_html(told, "0" * 64))
    for heading in HEADINGS:
        assert heading in text
    for step in ("declare the outage", "restore · files", "start the server · db", "probe · sql:db"):
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
    text = text_of(render_html(document(steps([PASSED[0], wrong])), "0" * 64))
    assert "失败" in text
    assert "rows of public.persons: 19999" in text
    assert "应为 74,000 rows，实为 73,999 rows" in text

    broken = [*steps()[:4], ("restore:files", 2.0, CheckFailed("pack 8f01 is damaged"))]
    text = text_of(render_html(document(broken), "0" * 64))
    assert "CheckFailed: pack 8f01 is damaged" in text
    assert "没有进行校验" in text


def test_what_was_cut_off_and_done_again_counts_by_its_last_try() -> None:
    once, cut = steps(), CheckFailed("cut off")
    *before, restored, probe, _, _ = once
    again = [*before, (restored[0], 1.0, cut), restored, restored, (probe[0], 0.1, cut), *once[-3:]]
    told = document(again)
    assert told["verdict"] == "met"
    assert told["restored_bytes"] == document(once)["restored_bytes"]
    assert [each["name"] for each in told["probes"]] == [each.name for each in PASSED]
    assert told["problems"] == []
    assert len(told["steps"]) == len(once) + 3


def test_a_missed_objective_is_a_problem_with_both_numbers() -> None:
    told = steps()
    told[4] = (told[4][0], 44000.0, told[4][2])
    problems = document(told)["problems"]
    assert document(told)["verdict"] == "missed"
    assert problems == [
        {
            "zh": "RTO 实测 12h13m，超过目标 12h",
            "en": "the measured RTO of 12h13m exceeds the objective of 12h",
        }
    ]


def test_a_drill_that_failed_at_once_still_has_a_report() -> None:
    text = text_of(render_html(document([steps()[0], ("choose-point", 0.2, CheckFailed("no point"))]), "0" * 64))
    assert "本中心没有可用的恢复点" in text


def test_nothing_from_outside_becomes_markup() -> None:
    evil = "<script>alert('x')</script>"
    told = steps([replace(PASSED[0], got=evil, detail=(evil,), passed=False)])
    told[4] = (told[4][0], 1.0, CheckFailed(evil))
    html = render_html(document(told), "0" * 64)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 3


def test_the_report_needs_nothing_from_elsewhere() -> None:
    html = render_html(document(steps()), "0" * 64)
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
    shares = stage_shares(document(steps())["measured"]["stages"])
    assert sum(each["percent"] for each in shares) == pytest.approx(100)


def test_the_longer_of_objective_and_measured_fills_the_gauge() -> None:
    told = document(steps())
    assert gauge("rpo", told)["limit_percent"] == 100
    assert gauge("rpo", told)["actual_percent"] == pytest.approx(2400 / 3600 * 100)
    told["measured"]["rpo_seconds"] = 7200.0
    assert (gauge("rpo", told)["limit_percent"], gauge("rpo", told)["actual_percent"]) == (50, 100)
    assert not gauge("rpo", told)["kept"]
