"""The metrics of copies: how far a centre lags, what is stored there, where a system is active; tenants and plans."""

from __future__ import annotations

from exporters.metric import SYSTEM, Metric

LAG = Metric(
    "tricenter_replication_lag_seconds",
    "gauge",
    SYSTEM,
    "How much older the newest good data at the centre is than that at the centre which has the newest; 0 there. "
    "Where there is none yet: since when the system is known. It reaches tricenter_expected_interval_seconds before "
    "each copy.",
    "该中心最新可信数据比拥有最新数据的中心旧多少；每次复制前会达到一个备份间隔",
)
STORED_BYTES = Metric(
    "tricenter_stored_bytes",
    "gauge",
    SYSTEM,
    "What the system takes in the vault of the centre, as it was listed when it was last verified.",
    "该系统在该中心存储中占用的字节数（最近一次校验时的清单）",
    always=False,
)
STORED_OBJECTS = Metric(
    "tricenter_stored_objects",
    "gauge",
    SYSTEM,
    "Objects with data of the system in the vault of the centre, as they were listed when it was last verified.",
    "该系统在该中心存储中的数据对象数（最近一次校验时的清单）",
    always=False,
)
DEDUPLICATION = Metric(
    "tricenter_deduplication_ratio",
    "gauge",
    SYSTEM,
    "What all recovery points at the centre would be restored to, by what they take there.",
    "该中心全部恢复点还原后的总量与其实际占用之比",
    always=False,
)
READ_RATIO = Metric(
    "tricenter_data_read_ratio",
    "gauge",
    SYSTEM,
    "Share of the stored bytes that were read, or came, within tricenter_data_read_objective_seconds, 0 to 1.",
    "在规定期限内读取过（或新到）的字节占比：校验周期的进度",
    always=False,
)
ACTIVE = Metric(
    "tricenter_system_active",
    "gauge",
    SYSTEM,
    "1 at the centre where the system is active by the epoch that is known here, 0 at the others.",
    "系统按已知纪元在该中心运行为 1，其余中心为 0",
)
TENANT_LOOKED = Metric(
    "tricenter_tenant_looked_timestamp_seconds",
    "gauge",
    ("tenant", "centre"),
    "When the tenant at the centre was last compared with the site.",
    "最近一次将该中心的租户与站点比对的时间",
    always=False,
)
PLAN_CAPACITY = Metric(
    "tricenter_plan_capacity_short_tenants",
    "gauge",
    ("plan", "centre"),
    "Tenants of the plan for whose servers and volumes there was no room at the centre at the last look.",
    "最近一次就绪检查中，该中心容量不足以恢复的租户数",
    always=False,
)
PLAN_TWIN = Metric(
    "tricenter_plan_twin_differing_tenants",
    "gauge",
    ("plan", "centre"),
    "Tenants of the plan whose twin at the centre was not as the site says at the last look.",
    "最近一次就绪检查中，该中心孪生环境与站点不符的租户数",
    always=False,
)

COPIES = (
    LAG,
    STORED_BYTES,
    STORED_OBJECTS,
    DEDUPLICATION,
    READ_RATIO,
    ACTIVE,
    TENANT_LOOKED,
    PLAN_CAPACITY,
    PLAN_TWIN,
)
