"""What the chart is made of that stands elsewhere: run `python helm/build.py` after a change of any of it.

values.schema.json is the one description of the values: their defaults, their comments, what they may be. From it come
values.yaml and README.md. Helm reads only what is inside the chart, so the alerting rules and the dashboards are copied
in. With `--check` nothing is written, and the exit code is 1 when something is not as it would be.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HELM = Path(__file__).resolve().parent
CHART = HELM / "tricenter"
SCHEMA = CHART / "values.schema.json"
EXPORTERS = HELM.parent / "exporters"
#: Folder of the chart -> what is copied into it.
COPIED = {
    "files/rules": (EXPORTERS / "rules", "*.rules.yml"),
    "files/dashboards": (EXPORTERS / "dashboards", "**/*.json"),
}
WIDTH = 118

VALUES_HEAD = """\
# 由 values.schema.json 生成，请改那里再运行 python helm/build.py。
# Printed from values.schema.json: change that, then run python helm/build.py. The values are listed in README.md too.
"""

README_HEAD = """\
# tricenter

两地三中心 Tricenter 的 Helm 包。 The Helm chart of Tricenter. 安装、升级与备份见 Installing, upgrading and backing up:
[docs/kubernetes.md](../../docs/kubernetes.md).

本文件由 `python helm/build.py` 从 `values.schema.json` 生成。 This file is printed from `values.schema.json` by
`python helm/build.py`.

| 值 Value | 默认 Default | 含义 Meaning |
|---|---|---|
"""


def default_of(schema: dict[str, Any]) -> Any:
    """Return what a value is when nobody gives it: its `default`, or the defaults of its parts."""
    if "default" in schema:
        return schema["default"]
    return {name: default_of(part) for name, part in schema["properties"].items()}


def described(schema: dict[str, Any], before: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every value with its path, the parts after the whole."""
    for name, part in schema["properties"].items():
        path = f"{before}{name}"
        yield path, part
        if "default" not in part:
            yield from described(part, f"{path}.")


def values_yaml(schema: dict[str, Any]) -> str:
    """Return values.yaml: every value with its default, below its comment."""
    return VALUES_HEAD + "".join(_block(schema, 0))


def _block(schema: dict[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, part in schema["properties"].items():
        if depth == 0:
            yield "\n"
        for line in textwrap.wrap(part["description"], WIDTH - 2 * depth, break_long_words=False):
            yield f"{indent}# {line}\n"
        if "default" in part:
            yield f"{indent}{name}:{_yaml(part['default'], depth)}\n"
        else:
            yield f"{indent}{name}:\n"
            yield from _block(part, depth + 1)


def _yaml(value: Any, depth: int) -> str:
    """Return a default as YAML. JSON is YAML: mappings get a line for each key, everything else one line."""
    if not isinstance(value, dict) or not value:
        return " " + json.dumps(value, ensure_ascii=False)
    inner = "  " * (depth + 1)
    return "".join(f"\n{inner}{key}: {json.dumps(part, ensure_ascii=False)}" for key, part in value.items())


def readme(schema: dict[str, Any]) -> str:
    """Return README.md: a table of all values."""
    rows = []
    for path, part in described(schema):
        default = f"`{json.dumps(part['default'], ensure_ascii=False)}`" if _is_short(part) else ""
        meaning = part["description"] + _choices(part)
        rows.append(f"| `{path}` | {default.replace('|', chr(92) + '|')} | {meaning.replace('|', chr(92) + '|')} |\n")
    return README_HEAD + "".join(rows) + _jobs(schema)


def _is_short(part: dict[str, Any]) -> bool:
    return "default" in part and len(json.dumps(part["default"])) < 160


def _choices(part: dict[str, Any]) -> str:
    if "enum" in part:
        return " (" + ", ".join(f"`{each}`" for each in part["enum"]) + ")"
    least, most = part.get("minimum"), part.get("maximum")
    if least is None:
        return ""
    return f" (≥ {least})" if most is None else f" ({least}…{most})"


def _jobs(schema: dict[str, Any]) -> str:
    jobs = schema["properties"]["schedule"]["properties"]["jobs"]["default"]
    rows = ""
    for name, job in jobs.items():
        enabled = "是 yes" if job["enabled"] else "否 no"
        rows += f"| `{name}` | {enabled} | `{job['cron']}` | `tricenter {' '.join(job['args'])}` |\n"
    return (
        "\n## CronJobs (`schedule.by: cronjobs`)\n\n"
        f"| `schedule.jobs.` | 启用 Enabled | 时间 When | 命令 Command |\n|---|---|---|---|\n{rows}"
    )


def wanted() -> dict[Path, str]:
    """Return every file that is made, with what it should hold."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    made = {CHART / "values.yaml": values_yaml(schema), CHART / "README.md": readme(schema)}
    for folder, (source, pattern) in COPIED.items():
        made |= {CHART / folder / each.name: each.read_text(encoding="utf-8") for each in sorted(source.glob(pattern))}
    return made


def differences() -> list[str]:
    """Return what is missing, not current, or left over, by its path in the chart."""
    made = wanted()
    stale = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    left = [path for folder in COPIED for path in sorted((CHART / folder).glob("*")) if path not in made]
    return [str(path.relative_to(CHART)) for path in stale + left]


def write() -> None:
    """Bring the chart up to date. May be repeated."""
    made = wanted()
    for folder in COPIED:
        for path in (CHART / folder).glob("*"):
            if path not in made:
                path.unlink()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        for path in differences():
            print(f"helm/tricenter/{path} is not current: python helm/build.py", file=sys.stderr)
        return 1 if differences() else 0
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
