"""The metrics of how tenants stand, and of what people are asked for and have not settled."""

from __future__ import annotations

from exporters.metric import Metric

TENANTS = Metric(
    "tricenter_tenants",
    "gauge",
    ("state",),
    "Tenants by how they stand: active, suspended, asked (to leave), quarantined, purging, gone.",
    "各状态的租户数：在用、停用、申请退出、隔离、清除中、已清除",
)
CHANGES = Metric(
    "tricenter_tenant_changes_waiting",
    "gauge",
    ("kind", "state"),
    "Requests of bureaus and changes of quotas that wait: asked for an approval, approved to be applied.",
    "等待办理的入云申请与配额变更：asked 待批准，approved 待生效",
)
CHANGES_SINCE = Metric(
    "tricenter_tenant_changes_waiting_since_timestamp_seconds",
    "gauge",
    ("kind", "state"),
    "When the first of those that wait was asked for; no series when none waits.",
    "其中最早一件的申请时间；没有等待者时无此序列",
    always=False,
)

STANDING = (TENANTS, CHANGES, CHANGES_SINCE)
