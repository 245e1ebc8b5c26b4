"""Alerts on objectives and on copies: what a system would lose, and what stands in the way of its copies."""

from __future__ import annotations

from datetime import timedelta

from exporters.rules.rule import Alert

HERE = "{{ $labels.tenant }}/{{ $labels.system }} · {{ $labels.centre }}"

PROTECTION = (
    Alert(
        "TricenterRpoMissed",
        "(tricenter_rpo_actual_seconds > tricenter_rpo_objective_seconds)\nand (tricenter_points > 0)",
        "critical",
        f"{HERE}: 超出 RPO exposure is beyond the RPO",
        "若此刻丢失数据源，将丢失 {{ $value | humanizeDuration }} 的数据，超过该中心的 RPO。 If its sources were "
        "lost now, {{ $value | humanizeDuration }} of work would be lost with them: more than its RPO at this centre.",
        "rpo-missed",
        hold=timedelta(minutes=1),
        follows="vault",
    ),
    Alert(
        "TricenterNeverProtected",
        "(tricenter_rpo_actual_seconds > 3600)\nand (tricenter_points == 0)",
        "critical",
        f"{HERE}: 从未有恢复点 no recovery point is there",
        "系统登记已 {{ $value | humanizeDuration }}，该中心仍无任何恢复点。 Known for "
        "{{ $value | humanizeDuration }}, and without any recovery point at this centre.",
        "never-protected",
        follows="vault",
    ),
    Alert(
        "TricenterRtoMissed",
        'tricenter_drill_verdict{verdict="missed"} == 1',
        "warning",
        f"{HERE}: 最近一次演练超出 RTO the last drill took longer than its RTO",
        "最近一次演练恢复成功，但用时超过目标。 The last drill recovered the system, and took longer than was "
        "promised.",
        "rto-missed",
    ),
    Alert(
        "TricenterRtoTooLong",
        "tricenter_rto_estimated_seconds > tricenter_rto_objective_seconds",
        "warning",
        f"{HERE}: 预计恢复时间超出 RTO a recovery is likely to take longer than the RTO",
        "按实测速度与当前数据量，恢复约需 {{ $value | humanizeDuration }}。 By measured speed and today's size a "
        "recovery would take {{ $value | humanizeDuration }}.",
        "rto-missed",
        hold=timedelta(hours=1),
    ),
    Alert(
        "TricenterCopyLagging",
        "tricenter:replication_lag:ratio > 2",
        "warning",
        f"{HERE}: 复制滞后 copies lag behind",
        "该中心落后最新数据 {{ $value | humanize }} 个备份间隔。 This centre is {{ $value | humanize }} backup "
        "intervals behind the newest data.",
        "copy-lagging",
        hold=timedelta(minutes=15),
        follows="vault",
    ),
    Alert(
        "TricenterVaultUnreachable",
        "tricenter_vault_unreachable == 1",
        "critical",
        "{{ $labels.centre }}: 存储无应答 the vault does not answer",
        "最近一次用到该存储的任务得不到应答，或备份已绕过它写往另一中心。 The last run that had to do with this "
        "vault got no answer, or a backup was written past it to another centre.",
        "vault-unreachable",
        hold=timedelta(minutes=1),
        cause="vault",
    ),
    Alert(
        "TricenterPointsOwed",
        "tricenter_points_owed > 0",
        "warning",
        f"{HERE}: 绕过该中心的恢复点未补齐 points that were written past it have not come",
        "{{ $value }} 个恢复点绕过该中心写入，6 小时后仍未复制过来。 {{ $value }} points were written past this "
        "centre, and were not copied to it within 6 hours.",
        "points-owed",
        hold=timedelta(hours=6),
        follows="vault",
    ),
    Alert(
        "TricenterSuspectPoints",
        "tricenter_points_suspect > 0",
        "warning",
        f"{HERE}: 有可疑恢复点待裁定 suspect points wait for a person",
        "{{ $value }} 个恢复点内容异常（骤减、清空、大面积改写或时间有误），裁定前不计入 RPO，也不清理。 "
        "{{ $value }} points look wrong: emptied, shrunken, widely rewritten or wrongly dated. Until settled they do "
        "not count, and nothing expires.",
        "suspect-points",
    ),
    Alert(
        "TricenterArchiveBehind",
        "(time() - tricenter_archive_until_timestamp_seconds) > tricenter_archive_objective_seconds",
        "critical",
        f"{HERE}: 连续归档落后 the archive is behind",
        "归档数据库在该中心只能恢复到 {{ $value | humanizeDuration }} 之前。 At this centre its archived databases "
        "can only be given back as they were {{ $value | humanizeDuration }} ago.",
        "archive-behind",
        hold=timedelta(minutes=5),
        follows="vault",
    ),
    Alert(
        "TricenterArchiveGap",
        "tricenter_archive_missing > 0",
        "warning",
        f"{HERE}: 归档缺段 a WAL segment is missing",
        "{{ $value }} 个归档中间缺少 WAL 段，缺口之后的时刻只能从其后的基础备份恢复。 In {{ $value }} archives a WAL "
        "segment is missing: moments after the gap need a base backup that is younger.",
        "archive-behind",
    ),
)
