"""What the chart makes, under several sets of values: right for Kubernetes, guarded, and what was reviewed before."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
from kubernetes_validate import utils as kubernetes_schemas

from tests.unit.helm.matrix import CHART, GOLDEN, KEPT, MATRIX, given, golden, objects, objects_of, pods, rendered

#: The oldest Kubernetes that Chart.yaml names, and the newest that is known.
KUBERNETES = ("1.25.0", kubernetes_validate.latest_version())
CASES = pytest.mark.parametrize("case", MATRIX)


@pytest.fixture(scope="module", autouse=True)
def schemas_read_once() -> Iterator[None]:
    """The library reads all definitions of a Kubernetes anew for each object."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kubernetes_schemas, "schema_contents", functools.cache(kubernetes_schemas.schema_contents))
        yield


def one(made: list[dict[str, Any]], kind: str, ending: str = "") -> dict[str, Any]:
    (found,) = [each for each in made if each["kind"] == kind and each["metadata"]["name"].endswith(ending)]
    return found


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


@CASES
def test_lints_without_a_word_above_information(case: str) -> None:
    report = helm.lint(str(CHART), MATRIX[case], strict=True)
    assert [each for each in report["messages"] if each["severity"] > 1] == []
    assert report["errors"] == []


@pytest.mark.parametrize("version", KUBERNETES)
@CASES
def test_kubernetes_takes_every_object(case: str, version: str) -> None:
    own = [each for each in objects_of(case) if not each["apiVersion"].startswith("monitoring.coreos.com/")]
    assert own
    for each in own:
        kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("case", KEPT)
def test_is_what_was_reviewed(case: str) -> None:
    kept = (GOLDEN / f"{case}.yaml").read_text(encoding="utf-8")
    assert golden(case) == kept, "meant? python -m tests.unit.helm.matrix, and read the difference"


def test_every_golden_file_has_a_case() -> None:
    assert {each.stem for each in GOLDEN.glob("*.yaml")} == set(KEPT)


@CASES
def test_names_are_unique_and_short(case: str) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in objects_of(case)]
    assert len(set(names)) == len(names)
    assert all(len(name) <= (52 if kind == "CronJob" else 63) for kind, name in names)


@pytest.mark.parametrize("release", ["r" * 53, "tricenter-" + "r" * 43, "tricenter"])
def test_a_long_release_has_names_that_kubernetes_takes(release: str) -> None:
    with helm.Chart.load(str(CHART)) as chart:
        made = chart.render(MATRIX["every-cronjob"], name=release, namespace="dr")
    names = re.findall(r"^  name: (\S+)$", made["tricenter/templates/cronjobs.yaml"], re.MULTILINE)
    assert len(names) == 10
    assert all(len(name) <= 52 and not name.startswith("-") for name in names)


@CASES
def test_every_container_is_guarded(case: str) -> None:
    for name, pod in pods(objects_of(case)):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        for each in containers(pod):
            guarded = each["securityContext"]
            assert guarded.get("runAsUser", 1) > 0
            assert guarded["allowPrivilegeEscalation"] is False
            assert guarded["readOnlyRootFilesystem"] is True
            assert guarded["capabilities"] == {"drop": ["ALL"]}
            assert each["resources"]["limits"]["memory"], each["name"]
            assert each["resources"]["requests"], each["name"]
            assert re.search(r":[^:/]+$|@sha256:[0-9a-f]{64}$", each["image"]), each["image"]


@CASES
def test_every_mount_has_its_volume_and_every_volume_a_mount(case: str) -> None:
    for name, pod in pods(objects_of(case)):
        volumes = {each["name"] for each in pod["spec"]["volumes"]}
        mounted = {mount["name"] for each in containers(pod) for mount in each["volumeMounts"]}
        assert volumes == mounted, name


@CASES
def test_files_of_secrets_are_for_their_owner(case: str) -> None:
    for _, pod in pods(objects_of(case)):
        for each in pod["spec"]["volumes"]:
            for source in (each[kind] for kind in ("secret", "projected") if kind in each):
                assert source["defaultMode"] == 0o400


@CASES
def test_no_secret_value_is_rendered(case: str) -> None:
    """Secrets are named: the chart makes none, and no variable that could be one has its value beside it."""
    made = objects_of(case)
    assert "Secret" not in {each["kind"] for each in made}
    for _, pod in pods(made):
        for each in (variable for container in containers(pod) for variable in container.get("env", ())):
            if re.search(r"PASSWORD|TOKEN|SECRET|DATABASE_URL|ADMIN", each["name"]):
                assert each.get("value", "/").startswith("/"), each["name"]


@CASES
def test_every_service_account_is_without_a_token(case: str) -> None:
    made = objects_of(case)
    assert "Role" not in " ".join(each["kind"] for each in made)
    for each in made:
        if each["kind"] == "ServiceAccount":
            assert each["automountServiceAccountToken"] is False


@CASES
def test_selectors_find_what_they_are_for(case: str) -> None:
    made = objects_of(case)
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(made)}
    for each in made:
        name, spec = each["metadata"]["name"], each.get("spec", {})
        if each["kind"] == "Deployment":
            assert spec["selector"]["matchLabels"].items() <= labels[name].items()
        elif each["kind"] == "Service":
            assert [found for found, has in labels.items() if spec["selector"].items() <= has.items()] == [name]
            assert {port["targetPort"] for port in spec["ports"]} == {"http"}
        elif each["kind"] == "PodDisruptionBudget":
            selector = spec["selector"]["matchLabels"]
            assert [found for found, has in labels.items() if selector.items() <= has.items()] == [name]
        elif each["kind"] == "HorizontalPodAutoscaler":
            target = one(made, "Deployment", spec["scaleTargetRef"]["name"])
            assert "replicas" not in target["spec"]  # an upgrade would put back what it has scaled
        elif each["kind"] == "NetworkPolicy":
            selector = spec["podSelector"]["matchLabels"]
            assert all(selector.items() <= has.items() for has in labels.values())


@pytest.mark.parametrize(
    ("case", "scraped"), [("large", "server"), ("cronjobs", "exporter"), ("everything", "exporter")]
)
def test_one_process_alone_is_scraped(case: str, scraped: str) -> None:
    """Each shows everything: of two, Prometheus would have every series twice."""
    made = objects_of(case)
    selector = one(made, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    found = [
        each for each in made if each["kind"] == "Service" and selector.items() <= each["metadata"]["labels"].items()
    ]
    assert [each["metadata"]["name"].rpartition("-")[2] for each in found] == [scraped]
    (endpoint,) = one(made, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in found[0]["spec"]["ports"]}
    assert endpoint["path"] == "/metrics"


@CASES
def test_readiness_asks_the_engine_and_liveness_asks_nobody(case: str) -> None:
    ready = {"server": "/readyz", "worker": "/readyz", "exporter": "/healthz"}
    for name, pod in pods(objects_of(case)):
        (main,) = pod["spec"]["containers"]
        component = name.rpartition("-")[2]
        if component not in ready:
            assert "ports" not in main
            continue
        assert main["readinessProbe"]["httpGet"] == {"path": ready[component], "port": "http"}
        assert main["livenessProbe"]["httpGet"] == {"path": "/", "port": "http"}
        assert [port["name"] for port in main["ports"]] == ["http"]


def test_sqlite_is_one_server_that_is_replaced_and_upgrades_itself() -> None:
    made = objects_of("small")
    server = one(made, "Deployment")
    assert (server["spec"]["replicas"], server["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert one(made, "PersistentVolumeClaim")["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    last = server["spec"]["template"]["spec"]["initContainers"][-1]
    assert last["args"] == ["db", "upgrade"]
    assert {"name": "state", "mountPath": "/var/lib/tricenter"} in last["volumeMounts"]
    assert not any(each["metadata"]["name"].endswith("-upgrade") for each in made)


def test_postgresql_is_upgraded_by_a_hook_before_anything_is_replaced() -> None:
    job = one(objects_of("large"), "Job", "-upgrade")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"
    assert not any("upgrade" in str(pod["spec"].get("initContainers")) for _, pod in pods([*objects_of("large")]))


def test_a_hook_reads_nothing_that_an_upgrade_has_yet_to_make() -> None:
    """Before an upgrade only other hooks of lower weight are there, and what the release had before."""
    made = objects_of("large")
    hooks = {each["metadata"]["name"] for each in made if "helm.sh/hook" in each["metadata"].get("annotations", {})}
    for name, pod in pods([each for each in made if each["metadata"]["name"] in hooks]):
        assert pod["spec"]["serviceAccountName"] in hooks, name
        assert {each["configMap"]["name"] for each in pod["spec"]["volumes"] if "configMap" in each} <= hooks
        assert not any("persistentVolumeClaim" in each or "secret" in each for each in pod["spec"]["volumes"])


def test_state_is_shared_only_where_the_volume_can_be() -> None:
    def claims(case: str) -> set[str]:
        return {
            name.rpartition("-")[2]
            for name, pod in pods(objects_of(case))
            if any("persistentVolumeClaim" in each for each in pod["spec"]["volumes"])
        }

    assert claims("large") == {"server", "worker"}
    assert claims("everything") == {"server"}
    assert claims("cronjobs") == set()


def test_cronjobs_take_the_place_of_the_built_in_schedule() -> None:
    made = objects_of("every-cronjob")
    (server,) = one(made, "Deployment", "-server")["spec"]["template"]["spec"]["containers"]
    assert "--no-schedule" in server["args"]
    jobs = [each for each in made if each["kind"] == "CronJob"]
    assert len(jobs) == 10
    assert {each["spec"]["concurrencyPolicy"] for each in jobs} == {"Forbid"}
    assert {each["spec"]["jobTemplate"]["spec"]["backoffLimit"] for each in jobs} == {0}
    (engine,) = one(objects_of("small"), "Deployment", "-server")["spec"]["template"]["spec"]["containers"]
    assert "--no-schedule" not in engine["args"]


def test_stopped_leaves_nothing_that_runs() -> None:
    made = objects_of("stopped")
    assert {each["spec"]["replicas"] for each in made if each["kind"] == "Deployment"} == {0}
    assert {each["spec"]["suspend"] for each in made if each["kind"] == "CronJob"} == {True}
    scaled = given(MATRIX["large"], {"stopped": True})
    assert "HorizontalPodAutoscaler" not in {each["kind"] for each in objects(scaled)}


def test_a_budget_is_made_only_where_a_worker_may_go() -> None:
    alone = given(MATRIX["stopped"], {"worker": {"replicas": 1}})
    assert "PodDisruptionBudget" in {each["kind"] for each in objects_of("stopped")}
    assert "PodDisruptionBudget" not in {each["kind"] for each in objects(alone)}


def test_another_site_is_another_pod() -> None:
    def checksum(**site: Any) -> str:
        made = objects(given({"site": {"files": site}}))
        (pod,) = [pod for name, pod in pods(made) if name.endswith("-server")]
        return str(pod["metadata"]["annotations"]["checksum/site"])

    assert checksum() == checksum()
    assert checksum(**{"site.yaml": "changed"}) != checksum()


def test_notes_say_what_is_there() -> None:
    assert (
        "exporter.enabled"
        in rendered(given(MATRIX["cronjobs"], {"exporter": {"enabled": False}, "serviceMonitor": {"enabled": False}}))[
            "NOTES.txt"
        ]
    )
    assert "deploy/dalian-tricenter-server" in rendered(MATRIX["small"])["NOTES.txt"]
    assert "secrets.state" in rendered(MATRIX["stopped"])["NOTES.txt"]
