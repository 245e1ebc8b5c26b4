"""The metrics of what tenants use of their quotas, as it was when drift was last looked for."""

from __future__ import annotations

from exporters.metric import Metric

QUOTA = ("tenant", "centre", "service", "resource")

QUOTA_USED = Metric(
    "tricenter_tenant_quota_used",
    "gauge",
    QUOTA,
    "What the tenant used of a quota at the centre when drift was last looked for there, reservations included: bytes "
    "for ram, gigabytes and snapshot_gigabytes, else a count.",
    "最近一次查看漂移时租户在该中心的配额用量（含预留）；ram、gigabytes 与 snapshot_gigabytes 以字节计，其余为个数",
    always=False,
)
QUOTA_LIMIT = Metric(
    "tricenter_tenant_quota_limit",
    "gauge",
    QUOTA,
    "The limit of the same quota in the same unit. Absent where there is none.",
    "同一配额的上限，单位相同；不限时不存在",
    always=False,
)
QUOTA_SEEN = Metric(
    "tricenter_tenant_quota_seen_timestamp_seconds",
    "gauge",
    ("tenant", "centre"),
    "When the use of the tenant's quotas at the centre was last seen.",
    "最近一次查看租户在该中心配额用量的时间",
    always=False,
)

QUOTAS = (QUOTA_USED, QUOTA_LIMIT, QUOTA_SEEN)
