"""The chart, rendered by Helm's own library: it lints, refuses bad values, and what it mounts is a site that loads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
from ruamel.yaml import YAML

from policies.load import load_site

ROOT = Path(__file__).parents[3]
CHART = ROOT / "helm" / "tricenter"
DALIAN = ROOT / "examples" / "dalian"


def values(**changes: Any) -> dict[str, Any]:
    files = {str(each.relative_to(DALIAN)): each.read_text() for each in sorted(DALIAN.rglob("*.yaml"))}
    return {
        "image": {"repository": "registry.example.cn/tricenter"},
        "site": {"files": files},
        "database": {"existingSecret": "catalogue"},
        **changes,
    }


@pytest.fixture
def chart() -> Iterator[Any]:
    with helm.Chart.load(str(CHART)) as loaded:
        yield loaded


def objects(chart: Any, given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    rendered = chart.render(given, name="dalian", namespace="dr")
    documents = [YAML(typ="safe").load(text) for path, text in rendered.items() if path.endswith(".yaml")]
    return {each["kind"]: each for each in documents if each}


def pod(chart: Any, given: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = objects(chart, given)["Deployment"]["spec"]["template"]
    return spec


def test_lints_without_a_word_above_information() -> None:
    report = helm.lint(str(CHART), values(), strict=True)
    assert [each for each in report["messages"] if each["severity"] > 1] == []
    assert report["errors"] == []


def test_makes_what_serve_needs_and_nothing_more(chart: Any) -> None:
    assert set(objects(chart, values())) == {"ConfigMap", "Deployment", "Service", "ServiceAccount"}


def test_pod_is_not_root_cannot_write_and_has_no_token(chart: Any) -> None:
    spec = pod(chart, values())["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert objects(chart, values())["ServiceAccount"]["automountServiceAccountToken"] is False


def test_url_of_the_catalogue_comes_from_the_secret(chart: Any) -> None:
    (container,) = pod(chart, values(database={"existingSecret": "mine", "key": "dsn"}))["spec"]["containers"]
    named = {each["name"]: each for each in container["env"]}
    assert named["TRICENTER_DATABASE_URL"]["valueFrom"]["secretKeyRef"] == {"name": "mine", "key": "dsn"}


def test_readiness_asks_the_catalogue_and_liveness_does_not(chart: Any) -> None:
    (container,) = pod(chart, values())["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/"


def test_service_finds_the_pod(chart: Any) -> None:
    made = objects(chart, values(podLabels={"team": "dr"}))
    labels = made["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels["team"] == "dr"
    for selector in (made["Service"]["spec"]["selector"], made["Deployment"]["spec"]["selector"]["matchLabels"]):
        assert selector.items() <= labels.items()
    ports = {each["name"] for each in made["Deployment"]["spec"]["template"]["spec"]["containers"][0]["ports"]}
    assert made["Service"]["spec"]["ports"][0]["targetPort"] in ports


def test_mounted_site_is_the_site(chart: Any, tmp_path: Path) -> None:
    """As the kubelet mounts it: the files below a dated folder, a link to that, and links to what stands in it."""
    made = objects(chart, values())
    (volume,) = [each for each in made["Deployment"]["spec"]["template"]["spec"]["volumes"] if each["name"] == "site"]
    assert volume["configMap"]["name"] == made["ConfigMap"]["metadata"]["name"]
    dated = tmp_path / "..2026_11_23"
    for item in volume["configMap"]["items"]:
        target = dated / item["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(made["ConfigMap"]["data"][item["key"]])
    (tmp_path / "..data").symlink_to(dated.name)
    for each in dated.iterdir():
        (tmp_path / each.name).symlink_to(Path("..data") / each.name)
    assert load_site(tmp_path) == load_site(DALIAN)


def test_another_site_is_another_pod(chart: Any) -> None:
    given = values()
    before = pod(chart, given)["metadata"]["annotations"]
    given["site"]["files"]["site.yaml"] += "\n# changed\n"
    assert pod(chart, given)["metadata"]["annotations"] != before


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"image": {"repository": ""}}, "repository"),
        ({"database": {"existingSecret": ""}}, "existingSecret"),
        ({"site": {"files": {}}}, "site.yaml"),
        ({"site": {"files": {"site.yaml": "x", "tenants/../../etc.yaml": "x"}}}, "tenants"),
        ({"service": {"type": "ClusterIP", "port": 70000}}, "port"),
        ({"serviceAccount": {"create": False, "name": ""}}, "name"),
        ({"imagee": {}}, "imagee"),
    ],
)
def test_bad_values_are_refused_by_name(chart: Any, change: dict[str, Any], word: str) -> None:
    with pytest.raises(helm.HelmValuesError, match=word):
        chart.validate_schema(values(**change))


def test_every_value_is_in_the_schema(chart: Any) -> None:
    assert chart.values.keys() <= chart.schema["properties"].keys()
