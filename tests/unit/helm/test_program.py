"""What the chart asks of the program is there: its commands, its variables, its files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from orchestrator.cli import cli
from orchestrator.secrets import read_secret
from orchestrator.server.who import own_token
from policies.load import load_site
from tests.unit.helm.matrix import MATRIX, ROOT, given, objects, objects_of, pods

DALIAN = ROOT / "examples" / "dalian"
SOURCES = sorted((ROOT / "orchestrator").rglob("*.py"))


def take(arguments: list[str]) -> click.Context:
    """Return what the command line makes of `arguments`. Raises UsageError for what it does not know."""
    command: click.Command = cli
    rest = list(arguments)
    context = click.Context(cli)
    while isinstance(command, click.Group):
        found = command.get_command(context, rest[0])
        assert found, f"tricenter has no command {rest[0]!r}"
        command, rest = found, rest[1:]
    return command.make_context(" ".join(arguments), rest, parent=context)


def own_containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the containers that run the program."""
    every = [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
    return [each for each in every if each["name"] != "site"]


@pytest.mark.parametrize("case", MATRIX)
def test_every_command_exists_and_takes_its_options(case: str) -> None:
    taken = [take(each["args"]) for _, pod in pods(objects_of(case)) for each in own_containers(pod) if "args" in each]
    assert taken


def test_commands_that_are_off_by_default_exist_too() -> None:
    jobs = {name: {"enabled": True} for name in ("tenant-drift", "archive", "escrow-bundle")}
    made = objects(given(MATRIX["every-cronjob"], {"schedule": {"jobs": jobs}}))
    lines = [each["args"] for _, pod in pods(made) for each in own_containers(pod) if "args" in each]
    assert ["archive", "backup"] in lines
    for each in lines:
        take(each)


def test_the_check_of_commands_can_fail() -> None:
    with pytest.raises(click.UsageError, match="dew"):
        take(["backup", "run", "--dew"])
    with pytest.raises(AssertionError, match="upkeep"):
        take(["upkeep"])


@pytest.mark.parametrize("case", MATRIX)
def test_every_variable_is_one_that_the_program_reads(case: str) -> None:
    source = "\n".join(each.read_text(encoding="utf-8") for each in SOURCES)
    known = set(re.findall(r'"(TRICENTER_[A-Z_]+)"', source)) | {"HOME"}
    given_by_people = {*MATRIX[case].get("env", {}), *(each["name"] for each in secret_variables(case))}
    for _, pod in pods(objects_of(case)):
        for container in own_containers(pod):
            names = [each["name"] for each in container.get("env", ())]
            assert len(set(names)) == len(names)
            assert set(names) - given_by_people <= known


def secret_variables(case: str) -> list[dict[str, str]]:
    variables: list[dict[str, str]] = MATRIX[case].get("secrets", {}).get("env", [])
    return variables


def test_port_that_is_listened_on_is_the_one_that_is_probed() -> None:
    for _, pod in pods(objects_of("everything")):
        (main,) = pod["spec"]["containers"]
        for port in main.get("ports", ()):
            host, number = take(main["args"]).params["listen"]
            assert (host, number) == ("0.0.0.0", port["containerPort"])


def as_mounted(volume: dict[str, Any], data: dict[str, str], folder: Path) -> Path:
    """Mount a ConfigMap as the kubelet does: files below a dated folder, a link to that, and links to what is in it."""
    dated = folder / "..2026_11_23"
    for item in volume["configMap"]["items"]:
        target = dated / item["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(data[item["key"]], encoding="utf-8")
    (folder / "..data").symlink_to(dated.name)
    for each in dated.iterdir():
        (folder / each.name).symlink_to(Path("..data") / each.name)
    return folder


@pytest.mark.parametrize("workload", ["server", "validate"])
def test_mounted_site_is_the_site(workload: str, tmp_path: Path) -> None:
    files = {str(each.relative_to(DALIAN)): each.read_text(encoding="utf-8") for each in DALIAN.rglob("*.yaml")}
    made = objects(given({"site": {"files": files, "overlay": {"timezone": "Asia/Urumqi"}}}))
    (pod,) = [pod for name, pod in pods(made) if name.endswith(f"-{workload}")]
    volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
    data = {each["metadata"]["name"]: each["data"] for each in made if each["kind"] == "ConfigMap"}
    site, overlay = (
        as_mounted(volumes[name], data[volumes[name]["configMap"]["name"]], tmp_path / name)
        for name in ("site", "overlay")
    )
    loaded = load_site(site, overlay / "overlay.yaml")
    assert loaded == load_site(DALIAN).model_copy(update={"state": "/var/lib/tricenter", "timezone": "Asia/Urumqi"})
    assert {"name": "state", "mountPath": "/var/lib/tricenter"} in own_containers(pod)[-1]["volumeMounts"] or (
        workload == "validate"
    )


def secrets_script(case: str, folder: Path) -> str:
    """Return the script that lays secrets out, with its folders below `folder`."""
    pod = next(pod for name, pod in pods(objects_of(case)) if name.endswith("-server"))
    (step,) = [each for each in pod["spec"]["initContainers"] if each["name"] == "secrets"]
    assert step["command"][:2] == ["sh", "-euc"]
    moved = step["command"][2]
    for place in ("/etc/tricenter/secrets", "/var/lib/tricenter"):
        moved = moved.replace(place, f"{folder}{place}")
    return str(re.sub(r"(?<= )/secrets/", f"{folder}/secrets/", moved))


def test_secrets_are_laid_out_as_the_program_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes mounts a Secret as links to files of a group, which the program refuses; and a pod may start twice."""
    for place, name in (
        ("files", "archives.password"),
        ("state", "archives.production.clouds.yaml"),
        ("api-token", "token"),
    ):
        mounted = tmp_path / "secrets" / place
        (mounted / "..data").mkdir(parents=True)
        (mounted / "..data" / name).write_text(f"the {name}\n", encoding="utf-8")
        (mounted / "..data" / name).chmod(0o440)
        (mounted / name).symlink_to(f"..data/{name}")
    own, state = tmp_path / "etc/tricenter/secrets", tmp_path / "var/lib/tricenter/secrets"
    own.mkdir(parents=True)
    state.mkdir(parents=True)
    (state / "escrow.key").write_text("of before", encoding="utf-8")
    (state / "escrow.key").chmod(0o660)  # as fsGroup leaves it
    for _ in range(2):
        subprocess.run(["sh", "-euc", secrets_script("large", tmp_path)], check=True)
    assert read_secret(f"file:{own}/archives.password").reveal() == "the archives.password"
    assert read_secret(f"file:{state}/archives.production.clouds.yaml").reveal().startswith("the ")
    assert read_secret(f"file:{state}/escrow.key").reveal() == "of before"
    monkeypatch.setenv("TRICENTER_API_TOKEN_FILE", f"{own}/.api-token")
    assert own_token(state) == "the token"


def test_without_secrets_the_script_still_makes_the_folder_private(tmp_path: Path) -> None:
    (tmp_path / "var/lib/tricenter").mkdir(parents=True)
    subprocess.run(["sh", "-euc", secrets_script("small", tmp_path)], check=True)
    assert (tmp_path / "var/lib/tricenter/secrets").stat().st_mode & 0o777 == 0o700


def test_git_is_asked_with_the_secret_and_the_site_is_its_folder() -> None:
    (https, ssh) = (
        next(pod for name, pod in pods(objects_of(case)) if name.endswith("-server"))
        for case in ("git-https", "git-ssh")
    )
    fetch = https["spec"]["initContainers"][0]
    assert {"--ref=v2026.11", "--one-time", "--password-file=/etc/git-secret/password"} <= set(fetch["args"])
    assert not any("ssh" in each for each in fetch["args"])
    assert {"--ssh-key-file=/etc/git-secret/ssh"} <= set(ssh["spec"]["initContainers"][0]["args"])
    environment = {each["name"]: each.get("value") for each in https["spec"]["containers"][0]["env"]}
    assert environment["TRICENTER_SITE"] == "/etc/tricenter/site/current/dalian"


def examples() -> list[str]:
    """Return the values that docs/kubernetes.md shows."""
    return re.findall(
        r"^```yaml\n(.*?)^```", (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8"), re.M | re.S
    )


@pytest.mark.parametrize("text", examples())
def test_values_that_the_document_shows_are_taken(text: str) -> None:
    shown = YAML(typ="safe").load(text)
    made = objects(shown if "image" in shown else given(shown))
    assert {each["kind"] for each in made} >= {"ConfigMap", "Deployment", "Service"}


def test_document_shows_the_shapes_that_it_speaks_of() -> None:
    small, large, jobs = examples()
    assert {each["kind"] for each in objects(YAML(typ="safe").load(large))} >= {
        "HorizontalPodAutoscaler", "NetworkPolicy", "PersistentVolumeClaim", "PodDisruptionBudget", "ServiceMonitor",
    }  # fmt: skip
    assert "HorizontalPodAutoscaler" not in {each["kind"] for each in objects(YAML(typ="safe").load(small))}
    assert "CronJob" in {each["kind"] for each in objects(given(YAML(typ="safe").load(jobs)))}
