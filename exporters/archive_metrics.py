"""The metrics of continuous archives. They stand beside the exposure, which comes from recovery points alone."""

from __future__ import annotations

from exporters.metric import SYSTEM, Metric

ARCHIVE_UNTIL = Metric(
    "tricenter_archive_until_timestamp_seconds",
    "gauge",
    SYSTEM,
    "Up to when every archived database of the system can be given back at the centre, as its vault listed it; "
    "0: not at all. Only for systems with archived sources.",
    "该中心可将该系统各归档数据库恢复到的最晚时刻（以该中心存储的清单为准）；0 为无法恢复；仅限有归档的系统",
    always=False,
)
ARCHIVE_OBJECTIVE = Metric(
    "tricenter_archive_objective_seconds",
    "gauge",
    SYSTEM,
    "Recovery point objective of the centre, for systems with archived sources: no archive may be older.",
    "该中心的恢复点目标；仅限有归档的系统：归档不应更旧",
    always=False,
)
ARCHIVE_OBSERVED = Metric(
    "tricenter_archive_observed_timestamp_seconds",
    "gauge",
    SYSTEM,
    "When the archives of the system at the centre were last looked at; of several the one that was not for longest.",
    "最近一次查看该中心归档的时间；有多个时取最久未看者",
    always=False,
)
ARCHIVE_MISSING = Metric(
    "tricenter_archive_missing",
    "gauge",
    SYSTEM,
    "Archives of the system at the centre in which a WAL segment is missing although later ones are there.",
    "该中心缺少 WAL 段（而其后的段存在）的归档数",
    always=False,
)
ARCHIVE_BACKUP = Metric(
    "tricenter_archive_base_backup_timestamp_seconds",
    "gauge",
    SYSTEM,
    "Start of the last base backup at the centre; of several archives the oldest such. 0: one has none.",
    "该中心最近一次基础备份的开始时间；有多个归档时取最旧者；0 为尚无",
    always=False,
)

ARCHIVES = (ARCHIVE_UNTIL, ARCHIVE_OBJECTIVE, ARCHIVE_OBSERVED, ARCHIVE_MISSING, ARCHIVE_BACKUP)
