"""The metrics of what people changed by hand, and what was healed of it."""

from __future__ import annotations

from exporters.metric import Metric

DRIFT = ("tenant", "centre", "noun")

DIFFERING = Metric(
    "tricenter_tenant_drift",
    "gauge",
    DRIFT,
    "Things of the tenant at the centre that differed from the site when drift was last looked for, by noun: rule, "
    "role, quota and so on.",
    "最近一次查看漂移时，租户在该中心与站点不符的对象数，按种类",
    always=False,
)
HEALED = Metric(
    "tricenter_tenant_drift_healed_total",
    "counter",
    DRIFT,
    "Differences of the tenant at the centre that were healed by policy, by noun.",
    "租户在该中心按策略改回的差异累计数，按种类",
    always=False,
)

DRIFTS = (DIFFERING, HEALED)
