"""The chart under several sets of values, and how it is rendered: by Helm's own library, without a cluster.

After a change of the chart that is meant:  python -m tests.unit.helm.matrix  writes the golden files anew; read their
difference before it is committed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import helm_python as helm
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]
CHART = ROOT / "helm" / "tricenter"
GOLDEN = Path(__file__).with_name("golden")
#: What stands in files of the chart is made elsewhere; these stand for it.
COPIED = {
    "rules/tricenter.rules.yml": """\
groups:
  - name: some
    rules:
      - record: tenant:tricenter_rpo_compliance:ratio
        expr: avg by (tenant) (tricenter_rpo_compliance_ratio)
      - alert: TricenterObjectiveMissed
        expr: tricenter_rpo_actual_seconds > tricenter_rpo_objective_seconds
        for: 5m
        labels: {severity: critical}
        annotations:
          summary: '{{ $labels.system }} 未达标 misses its objective: {{ $value | humanizeDuration }}'
          runbook_url: https://tricenter.example.gov.cn/docs/runbooks/rpo-missed.md
""",
    "dashboards/city.json": """\
{"title": "城市总览 {{city}}", "links": ["http://127.0.0.1:15090"], "panels": [{"legendFormat": "{{system}}"}]}
""",
}

Values = dict[str, Any]

BASE: Values = {
    "image": {"repository": "registry.example.cn/tricenter"},
    "site": {"files": {"site.yaml": "site: dalian\n", "tenants/archives.yaml": "tenant: archives\n"}},
}
POSTGRESQL: Values = {"database": {"secret": "catalogue"}}
SECRETS: Values = {
    "files": ["vault-keys", "repository-passwords"],
    "state": ["tenant-credentials"],
    "env": [{"name": "TRICENTER_VAULT_ADMIN_PROVINCIAL", "secret": "vault-admin", "key": "provincial"}],
    "clouds": "openstack",
    "apiToken": {"secret": "api"},
}
MONITORED: Values = {
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "dashboards": {"enabled": True, "annotations": {"grafana_folder": "两地三中心"}},
}
FEW_JOBS: Values = {
    name: {"enabled": False}
    for name in (
        "verify",
        "read",
        "heal",
        "lock",
        "expire-same-city",
        "expire-provincial",
        "spot-check",
        "restore-test",
    )
}


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Values:
    """Return values merged as Helm merges them: mappings key by key, anything else replaced."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = laid_over(merged[key], value) if both else value
    return merged


def given(*parts: Mapping[str, Any]) -> Values:
    """Return the least values that the chart takes, and `parts` over them."""
    values = BASE
    for part in parts:
        values = laid_over(values, part)
    return values


HTTPS_SITE: Values = {
    "site": {
        "files": None,
        "git": {
            "repository": "https://git.example.cn/dr/site.git",
            "ref": "v2026.11",
            "path": "dalian",
            "secret": "deploy",
        },
    }
}
SSH_SITE: Values = {
    "site": {"files": None, "git": {"repository": "ssh://git@git.example.cn/dr/site.git", "secret": "deploy"}}
}

MATRIX: dict[str, Values] = {
    "small": given(),
    "large": given(
        POSTGRESQL,
        {
            "secrets": SECRETS,
            "state": {"accessMode": "ReadWriteMany", "storageClass": "nfs"},
            "worker": {
                "enabled": True,
                "autoscaling": {"enabled": True},
                "topologySpreadConstraints": [{"topologyKey": "kubernetes.io/hostname"}],
            },
            "networkPolicy": {"enabled": True},
        },
        MONITORED,
    ),
    "cronjobs": given(
        POSTGRESQL,
        {
            "server": {"enabled": False},
            "exporter": {"enabled": True},
            "schedule": {"by": "cronjobs", "timeZone": "Asia/Shanghai", "jobs": FEW_JOBS},
            "serviceMonitor": {"enabled": True},
            "state": {"persistent": False},
        },
    ),
    "every-cronjob": given(POSTGRESQL, {"schedule": {"by": "cronjobs"}}),
    "git-https": given(HTTPS_SITE, {"env": {"HTTPS_PROXY": "http://proxy.example.cn:3128"}}),
    "git-ssh": given(SSH_SITE, {"serviceAccount": {"create": False, "name": "dr"}, "state": {"existingClaim": "kept"}}),
    "stopped": given(POSTGRESQL, {"stopped": True, "worker": {"enabled": True}, "schedule": {"by": "cronjobs"}}),
    "everything": given(
        POSTGRESQL,
        HTTPS_SITE,
        MONITORED,
        {
            "fullnameOverride": "dr",
            "image": {"digest": "sha256:" + "1" * 64, "pullPolicy": "Always"},
            "imagePullSecrets": [{"name": "registry"}],
            "site": {"overlay": {"limits": {"vault": {"concurrent": 2}}}},
            "secrets": SECRETS,
            "state": {"storageClass": "replicated"},
            "cache": {"storageClass": "fast", "size": "40Gi"},
            "scratch": {"storageClass": "fast", "size": "500Gi"},
            "schedule": {"by": "cronjobs", "timeZone": "Asia/Shanghai", "jobs": FEW_JOBS},
            "worker": {
                "enabled": True,
                "replicas": 3,
                "topologySpreadConstraints": [{"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 2}],
            },
            "exporter": {"enabled": True},
            "service": {"type": "NodePort", "annotations": {"example.cn/owner": "dr"}},
            "networkPolicy": {
                "enabled": True,
                "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
                "egress": [{"to": [{"ipBlock": {"cidr": "10.210.0.0/16"}}]}],
            },
            "serviceAccount": {"annotations": {"example.cn/owner": "dr"}},
            "env": {"HTTPS_PROXY": "http://proxy.example.cn:3128"},
            "extraVolumes": [{"name": "files", "nfs": {"server": "nfs.example.cn", "path": "/archives"}}],
            "extraVolumeMounts": [{"name": "files", "mountPath": "/srv/archives", "readOnly": True}],
            "podAnnotations": {"example.cn/owner": "dr"},
            "podLabels": {"team": "dr"},
            "nodeSelector": {"kubernetes.io/arch": "amd64"},
            "tolerations": [{"key": "dr", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "priorityClassName": "dr",
        },
    ),
}
#: Cases whose every line is kept; the others would say the same once more.
KEPT = ("small", "large", "cronjobs", "git-https", "git-ssh", "everything")


@cache
def loaded() -> Any:
    """Return the chart, read once; with one rule and one dashboard of ours instead of those that are copied into it."""
    with TemporaryDirectory() as folder:
        chart = Path(folder, "tricenter")
        shutil.copytree(CHART, chart, ignore=shutil.ignore_patterns("files"))
        for path, text in COPIED.items():
            (chart / "files" / path).parent.mkdir(parents=True)
            (chart / "files" / path).write_text(text, encoding="utf-8")
        return helm.Chart.load(str(chart))


def rendered(values: Values) -> dict[str, str]:
    """Return what each template makes of `values`, which the schema has accepted. Raises HelmError."""
    chart = loaded()
    chart.validate_schema(values)
    made: dict[str, str] = chart.render(values, name="dalian", namespace="dr")
    return {path.removeprefix("tricenter/templates/"): text for path, text in sorted(made.items()) if text.strip()}


def objects(values: Values) -> list[dict[str, Any]]:
    """Return the Kubernetes objects that the chart makes of `values`."""
    yaml = YAML(typ="safe")
    made = rendered(values)
    return [each for path, text in made.items() if path != "NOTES.txt" for each in yaml.load_all(text) if each]


@cache
def objects_of(case: str) -> list[dict[str, Any]]:
    """Return the objects of a case of the matrix; not to be changed."""
    return objects(MATRIX[case])


def pods(made: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the pod templates of all workloads, each with its workload's name."""
    for each in made:
        spec = each.get("spec", {})
        if each["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            yield each["metadata"]["name"], spec["template"]


def golden(case: str) -> str:
    """Return the text that a case is kept as."""
    return "\n".join(f"# --- {path}\n{text.strip()}\n" for path, text in rendered(MATRIX[case]).items())


def write_golden() -> None:
    for case in KEPT:
        (GOLDEN / f"{case}.yaml").write_text(golden(case), encoding="utf-8")


if __name__ == "__main__":
    write_golden()
