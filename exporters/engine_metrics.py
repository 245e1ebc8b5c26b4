"""The metrics of the program itself: runs as they end, vaults that answer, the epoch, the audit chain, clocks."""

from __future__ import annotations

from exporters.metric import Metric

RUN_DURATION = Metric(
    "tricenter_run_duration_seconds",
    "histogram",
    ("flow",),
    "Duration of runs that ended since the server started, whatever their end. In OpenMetrics each bucket has the last "
    "run that fell into it as its exemplar.",
    "自服务启动以来结束的任务的耗时分布（不论结果）；OpenMetrics 格式附最近一次任务编号",
    always=False,
)
RUNS_FAILED = Metric(
    "tricenter_runs_failed_total",
    "counter",
    ("error_type",),
    "Runs that failed since the server started, by type of error. Fenced, Unreachable and CorruptObject are always "
    "there.",
    "自服务启动以来失败的任务数，按错误类型；Fenced、Unreachable、CorruptObject 恒有",
)
QUEUED = Metric(
    "tricenter_queue_runs",
    "gauge",
    (),
    "Runs that wait in the queue.",
    "排队的任务数",
)
WORKER_BEAT = Metric(
    "tricenter_worker_beat_timestamp_seconds",
    "gauge",
    ("kind",),
    "Last sign of life of the worker of the kind that has been silent for longest.",
    "该类执行者中沉默最久者的最后心跳时间",
    always=False,
)
VAULT_AWAY = Metric(
    "tricenter_vault_unreachable",
    "gauge",
    ("centre",),
    "1 when the last run that had to do with the vault of the centre got no answer from it, or a backup was written "
    "past it; 0 when the last one did its work there, or none ever had to do with it.",
    "该中心存储：最近一次用到它的任务得不到应答，或备份绕过了它，则为 1；否则为 0",
)
VAULT_ANSWERED = Metric(
    "tricenter_vault_answered_timestamp_seconds",
    "gauge",
    ("centre",),
    "When a run last did its work at the vault of the centre. Absent: not since the server started.",
    "最近一次有任务在该中心存储完成的时间；自服务启动以来没有则不存在",
    always=False,
)
EPOCH = Metric(
    "tricenter_epoch",
    "gauge",
    (),
    "Newest epoch that this orchestrator goes by; 0: there never was a failover or switchover.",
    "本程序所遵循的最新纪元；0 为从未切换",
)
EPOCH_ADOPTED = Metric(
    "tricenter_epoch_adopted_timestamp_seconds",
    "gauge",
    (),
    "Since when this orchestrator goes by the newest epoch.",
    "本程序自何时起遵循最新纪元",
    always=False,
)
AUDIT_HEAD = Metric(
    "tricenter_audit_head_entries",
    "gauge",
    (),
    "Number of the newest sealed entry of the audit chain. It never falls, unless its end was cut off.",
    "审计链最新已封记录的编号；只增不减，减少即被截断",
)
AUDIT_BROKEN = Metric(
    "tricenter_audit_broken",
    "gauge",
    (),
    "1 when an entry of the audit chain does not fit the one before it, 0 otherwise: walked a stretch at a time.",
    "审计链中有记录与前一条不符为 1，否则为 0；分段巡检",
)
AUDIT_WALKED = Metric(
    "tricenter_audit_walked_timestamp_seconds",
    "gauge",
    (),
    "When the walk along the audit chain last came to its end without a fault: 1,000 entries a minute.",
    "审计链最近一次整链巡检无误的时间（每分钟 1000 条）",
)
AUDIT_UNSEALED = Metric(
    "tricenter_audit_unsealed_timestamp_seconds",
    "gauge",
    (),
    "When the oldest entry of the audit chain that is not sealed was written; absent when all are.",
    "最早一条未封的审计记录的写入时间；全部已封则不存在",
    always=False,
)
CLOCK_SKEW = Metric(
    "tricenter_clock_skew_seconds",
    "gauge",
    (),
    "This machine's clock less the clock of the catalogue's database. 0 where the database is a file here.",
    "本机时钟减去目录数据库时钟；数据库为本机文件时为 0",
)

ENGINE = (
    RUN_DURATION,
    RUNS_FAILED,
    QUEUED,
    WORKER_BEAT,
    VAULT_AWAY,
    VAULT_ANSWERED,
    EPOCH,
    EPOCH_ADOPTED,
    AUDIT_HEAD,
    AUDIT_BROKEN,
    AUDIT_WALKED,
    AUDIT_UNSEALED,
    CLOCK_SKEW,
)
