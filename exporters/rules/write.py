"""The rules as YAML that Prometheus reads: of all groups one file.

python -m exporters.rules.write > exporters/rules/tricenter.rules.yml
"""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from exporters.files import DOCS
from exporters.rules.burn import TARGET, burn_groups
from exporters.rules.engine import ENGINE
from exporters.rules.protection import PROTECTION
from exporters.rules.recovery import RECOVERY
from exporters.rules.rule import Alert, Group, Recording
from exporters.rules.upkeep import UPKEEP

#: Where the pages are, as long as nobody says where they are served.
HEAD = """\
# 由代码生成，请勿手改 made by: python -m exporters.rules.write > exporters/rules/tricenter.rules.yml
# 说明与安装见 docs/monitoring.md what these are, and how they are installed
"""

_MINUTE = timedelta(minutes=1)
RECORDINGS = (
    Recording("tricenter:rpo:ratio", "tricenter_rpo_actual_seconds / tricenter_rpo_objective_seconds"),
    Recording(
        "tricenter:replication_lag:ratio", "tricenter_replication_lag_seconds / tricenter_expected_interval_seconds"
    ),
    Recording("tricenter:protection_verdict:sum", "sum without (tenant, system, tier) (tricenter_protection_verdict)"),
    Recording("tricenter:stored_bytes:sum", "sum without (tenant, system, tier) (tricenter_stored_bytes)"),
    Recording("tricenter:stored_objects:sum", "sum without (tenant, system, tier) (tricenter_stored_objects)"),
    Recording(
        "tricenter:deduplication:ratio",
        "sum without (tenant, system, tier) (tricenter_deduplication_ratio * tricenter_stored_bytes)\n"
        "/ sum without (tenant, system, tier) (tricenter_stored_bytes)",
    ),
)
WORST = tuple(
    Recording(f"tricenter:rpo_worst:max{window}", f"max_over_time(tricenter_rpo_actual_seconds[{window}])")
    for window in ("1d", "30d")
)


def groups(*, target: float = TARGET) -> tuple[Group, ...]:
    """Return all rules, in the order in which they must be evaluated. `target` is the share of the time of an RPO."""
    return (
        Group("tricenter-levels", _MINUTE, RECORDINGS),
        Group("tricenter-worst", timedelta(minutes=5), WORST),
        *burn_groups(target),
        Group("tricenter-protection", _MINUTE, alerts=PROTECTION),
        Group("tricenter-upkeep", _MINUTE, alerts=UPKEEP),
        Group("tricenter-recovery", _MINUTE, alerts=RECOVERY),
        Group("tricenter-engine", _MINUTE, alerts=ENGINE),
    )


def alerts() -> tuple[Alert, ...]:
    """Return every alert."""
    return tuple(alert for group in groups() for alert in group.alerts)


def rules_file(
    *, docs: str = DOCS, target: float = TARGET, every: timedelta | None = None, patience: float = 1.0
) -> str:
    """Return the text of a rules file. Repeated it is the same.

    `docs` is where the documents are served, the runbooks among them. `every` is the interval of all groups in the
    place of their own, and `patience` a factor of how long alerts hold back: for who tries the rules out.
    """
    written = [_group(each, docs, every, patience) for each in groups(target=target)]
    text, yaml = StringIO(), YAML()
    yaml.width, yaml.allow_unicode = 10_000, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump({"groups": written}, text)
    return HEAD + text.getvalue()


def _group(group: Group, docs: str, every: timedelta | None, patience: float) -> dict[str, Any]:
    rules = [{"record": each.name, "expr": _expression(each.expression)} for each in group.recordings]
    alerts = [_alert(each, docs, patience) for each in group.alerts]
    return {"name": group.name, "interval": _duration(every or group.interval), "rules": [*rules, *alerts]}


def _alert(alert: Alert, docs: str, patience: float) -> dict[str, Any]:
    hold = alert.hold * patience
    return {
        "alert": alert.name,
        "expr": _expression(alert.expression),
        **({"for": _duration(hold)} if hold else {}),
        "labels": dict(alert.labels),
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{docs.rstrip('/')}/runbooks/{alert.runbook}.md",
        },
    }


def _expression(text: str) -> str:
    return LiteralScalarString(text + "\n") if "\n" in text else text


def _duration(span: timedelta) -> str:
    milliseconds = round(span.total_seconds() * 1000)
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


if __name__ == "__main__":
    print(rules_file(), end="")
