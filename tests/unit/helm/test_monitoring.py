"""What the chart gives to the Prometheus Operator and to Grafana: what was copied in, whole, in their shape."""

from __future__ import annotations

import json
from typing import Any

import helm_python as helm
import jsonschema
import pytest
from ruamel.yaml import YAML

from exporters.dashboards.frame import SERVER
from exporters.files import DOCS
from tests.unit.helm.matrix import CHART, COPIED, MATRIX, MONITORED, ROOT, given, objects, objects_of

LENGTH = {"type": "string", "pattern": "^(0|([0-9]+(ms|[ywdhms]))+)$"}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
#: The shape of a group of rules, as the operator takes it; fields that we do not use are left out, and refused.
RULE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["expr"],
    "oneOf": [
        {"required": ["alert"]},
        {"required": ["record"], "properties": {"annotations": False, "for": False, "keep_firing_for": False}},
    ],
    "properties": {
        "alert": {"type": "string", "minLength": 1},
        "record": {"type": "string", "pattern": "^[a-zA-Z_:][a-zA-Z0-9_:]*$"},
        "expr": {"type": ["string", "integer"]},
        "for": LENGTH,
        "keep_firing_for": LENGTH,
        "labels": TEXTS,
        "annotations": TEXTS,
    },
}
GROUPS = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "rules"],
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "interval": LENGTH,
            "limit": {"type": "integer"},
            "labels": TEXTS,
            "rules": {"type": "array", "minItems": 1, "items": RULE},
        },
    },
}
SERVICE_MONITOR = {
    "type": "object",
    "additionalProperties": False,
    "required": ["selector", "endpoints"],
    "properties": {
        "selector": {"type": "object", "required": ["matchLabels"], "properties": {"matchLabels": TEXTS}},
        "endpoints": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "port": {"type": "string"},
                    "path": {"type": "string"},
                    "interval": LENGTH,
                    "scrapeTimeout": LENGTH,
                    "relabelings": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {
                                "action": {"enum": ["replace", "labeldrop"]},
                                "regex": {"type": "string"},
                                "targetLabel": {"type": "string"},
                                "replacement": {"type": "string"},
                            },
                        },
                    },
                },
            },
        },
    },
}


def whole_chart() -> list[dict[str, Any]]:
    """Return the objects of the chart as it is shipped, with everything that was copied into it."""
    with helm.Chart.load(str(CHART)) as chart:
        text = chart.render(given(MONITORED), name="dalian", namespace="dr")["tricenter/templates/monitoring.yaml"]
    return [each for each in YAML(typ="safe").load_all(text) if each]


def of_kind(made: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in made if each["kind"] == kind]


@pytest.mark.parametrize("case", ["large", "cronjobs", "everything"])
def test_service_monitor_is_in_shape(case: str) -> None:
    (monitor,) = of_kind(objects_of(case), "ServiceMonitor")
    jsonschema.validate(monitor["spec"], SERVICE_MONITOR)


def test_a_series_goes_on_when_a_pod_is_replaced() -> None:
    (monitor,) = of_kind(objects_of("large"), "ServiceMonitor")
    steps = monitor["spec"]["endpoints"][0]["relabelings"]
    assert {"action": "replace", "targetLabel": "instance", "replacement": "dalian-tricenter"} in steps
    assert {"action": "labeldrop", "regex": "pod|container|endpoint"} in steps


def test_rules_come_through_as_they_were_written() -> None:
    (rule,) = of_kind(objects_of("large"), "PrometheusRule")
    assert rule["metadata"]["name"] == "dalian-tricenter-rules"
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    assert rule["spec"] == YAML(typ="safe").load(COPIED["rules/tricenter.rules.yml"])
    jsonschema.validate(rule["spec"]["groups"], GROUPS)


def test_links_begin_where_the_site_has_its_documents() -> None:
    made = objects({**MATRIX["large"], "docsUrl": "https://docs.dalian.cn/dr", "serverUrl": "https://dr.dalian.cn"})
    (rule,) = of_kind(made, "PrometheusRule")
    alert = rule["spec"]["groups"][0]["rules"][1]
    assert alert["annotations"]["runbook_url"] == "https://docs.dalian.cn/dr/runbooks/rpo-missed.md"
    (board,) = [each for each in of_kind(made, "ConfigMap") if "-dashboard-" in each["metadata"]["name"]]
    assert json.loads(board["data"]["city.json"])["links"] == ["https://dr.dalian.cn"]


def test_addresses_that_are_replaced_are_those_of_what_is_shipped() -> None:
    shipped = "".join(each.read_text("utf-8") for each in (CHART / "files").rglob("*.*"))
    templates = (CHART / "templates" / "_names.tpl").read_text("utf-8")
    for address in (DOCS, SERVER):
        assert f'replace "{address}" .' in templates
        assert address in shipped


def test_dashboards_come_through_as_they_were_written() -> None:
    (board,) = [each for each in of_kind(objects_of("large"), "ConfigMap") if "-dashboard-" in each["metadata"]["name"]]
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert board["metadata"]["annotations"] == {"grafana_folder": "两地三中心"}
    assert {name: json.loads(text) for name, text in board["data"].items()} == {
        "city.json": json.loads(COPIED["dashboards/city.json"])
    }


def test_shipped_rules_are_all_there_and_in_shape() -> None:
    made = of_kind(whole_chart(), "PrometheusRule")
    sources = sorted((ROOT / "exporters" / "rules").glob("*.rules.yml"))
    assert [each["spec"] for each in made] == [
        YAML(typ="safe").load(each.read_text(encoding="utf-8")) for each in sources
    ]
    for each in made:
        jsonschema.validate(each["spec"]["groups"], GROUPS)


def test_shipped_dashboards_are_all_there() -> None:
    made = of_kind(whole_chart(), "ConfigMap")
    sources = sorted((ROOT / "exporters" / "dashboards").rglob("*.json"), key=lambda each: each.name)
    assert [json.loads(text) for each in made for text in each["data"].values()] == [
        json.loads(each.read_text(encoding="utf-8")) for each in sources
    ]
    assert all(len(text) < 900_000 for each in made for text in each["data"].values())  # a ConfigMap has 1 MiB


def test_none_of_it_is_made_unasked() -> None:
    kinds = {each["kind"] for each in objects(MATRIX["small"])}
    assert not kinds & {"ServiceMonitor", "PrometheusRule"}
    assert not any("-dashboard-" in each["metadata"]["name"] for each in objects_of("small"))
