"""The metrics of parity: whether a tenant could be taken over at a centre."""

from __future__ import annotations

from exporters.metric import Metric

PARITY = Metric(
    "tricenter_tenant_parity_ratio",
    "gauge",
    ("tenant", "centre"),
    "Share by weight of what the tenant needs at the centre that was there as it must be at the last look.",
    "最近一次查看时，租户在该中心所需之物中齐备且相符的加权占比",
    always=False,
)
PARITY_SEEN = Metric(
    "tricenter_tenant_parity_seen_timestamp_seconds",
    "gauge",
    ("tenant", "centre"),
    "When the parity of the tenant at the centre was last seen.",
    "最近一次查看租户在该中心齐备程度的时间",
    always=False,
)

PARITIES = (PARITY, PARITY_SEEN)
