"""The rules, judged by Prometheus' own tool: each alert fires where it must, and is silent where it must be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from exporters.metrics import METRICS
from exporters.rules import write
from exporters.rules.rule import Alert
from exporters.rules.write import alerts, groups, rules_file
from orchestrator.process import run
from tests.unit.exporters.rule_cases import ALSO, CASES, Case, Series

ROOT = Path(__file__).parents[3]
COMMITTED = Path(write.__file__).with_name("tricenter.rules.yml")
NAMED = {alert.name: alert for alert in alerts()}


def loaded(text: str) -> Any:
    return YAML(typ="safe").load(text)


def test_the_file_is_written_from_the_rules() -> None:
    how = "python -m exporters.rules.write > exporters/rules/tricenter.rules.yml"
    assert COMMITTED.read_text(encoding="utf-8") == rules_file(), how


def test_promtool_finds_no_fault() -> None:
    said = run(["promtool", "check", "rules", str(COMMITTED)], deadline_seconds=60).stdout
    count = sum(len(each.recordings) + len(each.alerts) for each in groups())
    assert f"SUCCESS: {count} rules found" in said


def test_every_alert_has_its_cases() -> None:
    assert set(CASES) == set(NAMED)
    assert len(NAMED) == len(alerts())
    assert not [name for name, case in CASES.items() if not case.silent]


@pytest.mark.parametrize("step", sorted({each.step for each in CASES.values()}))
def test_alerts_fire_and_are_silent(step: int, tmp_path: Path) -> None:
    cases = [(name, case) for name, case in (*CASES.items(), *ALSO) if case.step == step]
    rules = without_texts({name for name, _ in cases})
    (tmp_path / "rules.yml").write_text(json.dumps(rules), encoding="utf-8")
    told = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": f"{step}m",
        "group_eval_order": [each["name"] for each in rules["groups"]],
        "tests": [test for name, case in cases for test in promtool_tests(NAMED[name], case)],
    }
    (tmp_path / "cases.yml").write_text(json.dumps(told), encoding="utf-8")
    ended = run(["promtool", "test", "rules", str(tmp_path / "cases.yml")], deadline_seconds=120, check=False)
    assert ended.code == 0, ended.stdout + ended.stderr


def without_texts(names: set[str]) -> Any:
    """Return the recordings and these alerts without their texts, which promtool would want repeated in each case."""
    rules = loaded(rules_file())
    for group in rules["groups"]:
        group["rules"] = [rule for rule in group["rules"] if rule.get("alert") in (None, *names)]
        for rule in group["rules"]:
            rule.pop("annotations", None)
    return rules


def promtool_tests(alert: Alert, case: Case) -> Iterator[dict[str, Any]]:
    fired = [{"exp_labels": {**case.labels, **alert.labels}}]
    for series, expected in ((case.fires, fired), *((each, []) for each in case.silent)):
        yield {
            "interval": f"{case.step}m",
            "input_series": [{"series": selector(each), "values": each[2]} for each in series],
            "alert_rule_test": [{"eval_time": f"{case.at}m", "alertname": alert.name, "exp_alerts": expected}],
        }


def selector(series: Series) -> str:
    labels = ", ".join(f'{name}="{value}"' for name, value in series[1].items())
    return f"{series[0]}{{{labels}}}"


def test_a_text_is_filled_in(tmp_path: Path) -> None:
    case, alert = CASES["TricenterRpoMissed"], NAMED["TricenterRpoMissed"]
    (tmp_path / "rules.yml").write_text(rules_file(docs="https://docs.example/"), encoding="utf-8")
    (test, *_) = promtool_tests(alert, case)
    test["alert_rule_test"][0]["exp_alerts"][0]["exp_annotations"] = {
        "summary": "civil/registry · provincial: 超出 RPO exposure is beyond the RPO",
        "description": "若此刻丢失数据源，将丢失 1h 0m 10s 的数据，超过该中心的 RPO。 If its sources were lost now, "
        "1h 0m 10s of work would be lost with them: more than its RPO at this centre.",
        "runbook_url": "https://docs.example/runbooks/rpo-missed.md",
    }
    told = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "cases.yml").write_text(json.dumps(told), encoding="utf-8")
    ended = run(["promtool", "test", "rules", str(tmp_path / "cases.yml")], deadline_seconds=60, check=False)
    assert ended.code == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_texts_name_labels_that_the_alert_has_in_both_languages(alert: Alert) -> None:
    for text in (alert.summary, alert.description):
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= {*CASES[alert.name].labels, *alert.labels}
        assert re.search("[一-鿿]", text)
        assert re.search("[a-z]{3,} [a-z]{2,}", text)


def test_every_metric_in_a_rule_exists() -> None:
    recorded: set[str] = set()
    known = {each.name for each in METRICS}
    for group in groups():
        for rule in (*group.recordings, *group.alerts):
            assert set(re.findall(r"\btricenter_\w+", rule.expression)) <= known, rule.name
            assert set(re.findall(r"\btricenter:[\w:]+", rule.expression)) <= recorded, rule.name
            recorded.add(rule.name)


def test_rules_are_tried_out_at_another_pace() -> None:
    rules = loaded(rules_file(every=timedelta(seconds=1), patience=0.01))
    assert {each["interval"] for each in rules["groups"]} == {"1s"}
    held = {rule["alert"]: rule.get("for") for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    assert (held["TricenterVaultUnreachable"], held["TricenterRtoMissed"]) == ("600ms", None)


def test_a_stricter_promise_burns_sooner() -> None:
    def limits(target: float) -> Sequence[Mapping[str, Any]]:
        (group,) = (each for each in loaded(rules_file(target=target))["groups"] if each["name"].endswith("burn"))
        found: Sequence[Mapping[str, Any]] = group["rules"]
        return found

    assert "> 0.144\n" in limits(0.99)[0]["expr"]
    assert "> 0.0144\n" in limits(0.999)[0]["expr"]
