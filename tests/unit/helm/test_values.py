"""The values: each described, each used, each with a default that is right; and what the chart refuses."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import helm_python as helm
import jsonschema
import pytest
from ruamel.yaml import YAML

from tests.unit.helm.matrix import CHART, MATRIX, ROOT, Values, given, laid_over, loaded, rendered

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
TEMPLATES = "\n".join(each.read_text(encoding="utf-8") for each in sorted((CHART / "templates").iterdir()))


def load_build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("helm_build", ROOT / "helm" / "build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = load_build()
DESCRIBED: dict[str, dict[str, Any]] = dict(build.described(SCHEMA))
LEAVES = {path: part for path, part in DESCRIBED.items() if "default" in part}


def test_what_is_made_from_elsewhere_is_current() -> None:
    assert build.differences() == [], "python helm/build.py"


def test_what_is_not_current_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chart, rules = tmp_path / "chart", tmp_path / "rules"
    rules.mkdir()
    (rules / "new.yaml").write_text("groups: []\n", encoding="utf-8")
    (chart / "files/dashboards").mkdir(parents=True)
    (chart / "files/dashboards/gone.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(build, "CHART", chart)
    monkeypatch.setattr(build, "COPIED", {"files/rules": (rules, "*.yaml"), "files/dashboards": (rules, "*.json")})
    assert set(build.differences()) == {
        "values.yaml",
        "README.md",
        "files/rules/new.yaml",
        "files/dashboards/gone.json",
    }
    build.write()
    assert build.differences() == []


def test_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", DESCRIBED)
def test_every_value_says_what_it_is_in_both_languages(path: str) -> None:
    words = DESCRIBED[path]["description"]
    assert re.search(r"[\u4e00-\u9fff]", words), words
    assert re.search(r"[A-Za-z]{3}", words), words


@pytest.mark.parametrize("path", LEAVES)
def test_every_default_is_what_the_schema_takes(path: str) -> None:
    if path == "image.repository":
        return  # must be given
    part = {"definitions": SCHEMA["definitions"], "allOf": [LEAVES[path]]}
    jsonschema.Draft7Validator(part).validate(LEAVES[path]["default"])


def test_values_yaml_has_the_defaults() -> None:
    assert YAML(typ="safe").load((CHART / "values.yaml").read_text(encoding="utf-8")) == build.default_of(SCHEMA)


#: Values whose other value cannot be made up from their type.
OTHERS: dict[str, Any] = {
    "docsUrl": "https://docs.other.cn/x",
    "serverUrl": "https://tricenter.other.cn",
    "image.digest": "sha256:" + "2" * 64,
    "site.files": {"plans/x.yaml": "x"},
    "site.git.image.digest": "sha256:" + "2" * 64,
    "site.git.repository": "https://git.example.cn/other.git",
    "site.overlay": {"timezone": "Asia/Urumqi"},
    "secrets.env": [{"name": "TRICENTER_OTHER", "secret": "other", "key": "other"}],
    "imagePullSecrets": [{"name": "other"}],
    "cache.size": "7Gi",
    "scratch.size": "7Gi",
    "state.size": "7Gi",
    "schedule.jobs": {"backup": {"cron": "@hourly"}},
    "schedule.timeZone": "Asia/Urumqi",
    "serviceMonitor.interval": "7s",
    "serviceMonitor.scrapeTimeout": "7s",
    "tolerations": [{"operator": "Exists"}],
    "extraVolumes": [{"name": "other", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "other", "mountPath": "/other"}],
    "worker.topologySpreadConstraints": [{"topologyKey": "other"}],
    "worker.podDisruptionBudget.maxUnavailable": "30%",
    "networkPolicy.from": [{"podSelector": {"matchLabels": {"other": "other"}}}],
    "networkPolicy.egress": [{"to": []}],
    "probes.startupSeconds": 300,
    "affinity": {"podAffinity": {}},
}


def changed(path: str, part: dict[str, Any], now: Any) -> Any:
    """Return another value than `now` that the schema takes."""
    if path in OTHERS:
        return OTHERS[path]
    if "enum" in part:
        return next(each for each in part["enum"] if each != now)
    if "$ref" in part:
        return {"limits": {"memory": "777Mi"}}
    kind = part["type"]
    if kind == "boolean":
        return not now
    if kind == "integer":
        return now + 1
    return {"string": "other", "array": ["other"], "object": {"other": "other"}}[kind]


def at(values: Any, path: str) -> Any:
    for name in path.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def with_value(path: str, value: Any) -> Values:
    for name in reversed(path.split(".")):
        value = {name: value}
    return dict(value)


def seen_with(base: Values, path: str) -> bool:
    """Whether another value of `path` makes another release of `base`."""
    part, defaults = LEAVES[path], build.default_of(SCHEMA)
    now = at(base, path) if at(base, path) is not None else at(defaults, path)
    try:
        return rendered(laid_over(base, with_value(path, changed(path, part, now)))) != rendered(base)
    except helm.HelmRenderError:  # refused by a check of values that make no sense together: it is looked at
        return True
    except helm.HelmValuesError:  # refused by the schema, which says nothing of the templates
        return False


@pytest.mark.parametrize("path", sorted(LEAVES.keys() - {"global"}))
def test_every_value_is_used(path: str) -> None:
    assert any(seen_with(MATRIX[case], path) for case in ("everything", "large", "small", "git-https", "git-ssh"))


def used() -> Iterator[str]:
    for word in re.findall(r"(?:\.Values|\$values)((?:\.[A-Za-z]+)+)", TEMPLATES):
        yield word.removeprefix(".")


@pytest.mark.parametrize("path", sorted(set(used())))
def test_every_value_that_is_used_is_in_the_schema(path: str) -> None:
    assert any(path == known or path.startswith(f"{known}.") for known in DESCRIBED)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"image": {"repository": ""}}, "repository"),
        ({"image": {"digest": "sha256:short"}}, "digest"),
        ({"imagee": {}}, "imagee"),
        ({"site": {"files": {"tenants/../../etc.yaml": "x"}}}, "tenants"),
        ({"site": {"overlay": {"state": "/srv"}}}, "overlay"),
        ({"site": {"git": {"repository": "https://user:password@git.example.cn/site.git", "ref": ""}}}, "ref"),
        ({"secrets": {"env": [{"name": "TRICENTER_DATABASE_URL", "secret": "x", "key": "y"}]}}, "name"),
        ({"secrets": {"files": [{"password": "in the open"}]}}, "files"),
        ({"database": {"url": "postgresql://in.the.open/x"}}, "url"),
        ({"database": {"secret": "postgresql://u:p@h/n"}}, "secret"),
        ({"env": {"REPOSITORY_PASSWORD": "in the open"}}, "REPOSITORY_PASSWORD"),
        ({"service": {"port": 70000}}, "port"),
        ({"serviceAccount": {"create": False}}, "name"),
        ({"server": {"replicas": 2}}, "replicas"),
        ({"server": {"jobs": 0}}, "jobs"),
        ({"server": {"resources": {"limits": {"memory": None}, "limit": {}}}}, "limit"),
        ({"runAsUser": 0}, "runAsUser"),
        ({"state": {"accessMode": "ReadWriteSome"}}, "accessMode"),
        ({"state": {"size": "much"}}, "size"),
        ({"schedule": {"by": "hand"}}, "by"),
        ({"schedule": {"jobs": {"backup": {"cron": "* * *"}}}}, "cron"),
        (
            {"schedule": {"jobs": {"a-name-that-is-far-too-long": {"cron": "@daily", "args": ["status"]}}}},
            "far-too-long",
        ),
        ({"serviceMonitor": {"interval": "soon"}}, "interval"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(change: Values, word: str) -> None:
    with pytest.raises(helm.HelmValuesError, match=word):
        loaded().validate_schema(given(change))


def test_a_site_without_its_first_file_is_refused() -> None:
    with pytest.raises(helm.HelmValuesError, match=r"site\.yaml"):
        loaded().validate_schema({**MATRIX["small"], "site": {"files": {"tenants/archives.yaml": "x"}}})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"site": {"files": None}}, "no site"),
        ({"site": {"git": {"repository": "https://git.example.cn/s.git"}}}, "not both"),
        ({"worker": {"enabled": True}}, "worker.enabled: .*needs PostgreSQL"),
        ({"exporter": {"enabled": True}}, "exporter.enabled: .*needs PostgreSQL"),
        ({"schedule": {"by": "cronjobs"}}, "cronjobs: .*needs PostgreSQL"),
        ({"state": {"persistent": False}}, "state.persistent: "),
        ({"state": {"accessMode": "ReadWriteMany"}}, "must not stand on a shared volume"),
        ({"server": {"enabled": False}}, "nothing is enabled"),
        (
            {"database": {"secret": "db"}, "worker": {"enabled": True}, "server": {"enabled": False},
             "serviceMonitor": {"enabled": True}},
            "enable server or exporter",
        ),
        (
            {"database": {"secret": "db"}, "worker": {"autoscaling": {"enabled": True, "minReplicas": 9}}},
            "minReplicas 9 .*is above maxReplicas 6",
        ),
    ],
)  # fmt: skip
def test_values_that_make_no_sense_together_are_refused(change: Values, word: str) -> None:
    with pytest.raises(helm.HelmRenderError, match=word):
        rendered(given(change))
