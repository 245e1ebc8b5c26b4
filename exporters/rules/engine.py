"""Alerts on the program itself: who executes, clocks, fences, the audit chain, and whether what is shown is true."""

from __future__ import annotations

from datetime import timedelta

from exporters.rules.rule import Alert

WORKERS = 'tricenter_workers{kind=~"server|worker"}'
SYSTEMS = "count without (tenant, system, tier, centre) (tricenter_rpo_objective_seconds)"
SYSTEMS_BEFORE = SYSTEMS.replace("seconds)", "seconds offset 1h)")

ENGINE = (
    Alert(
        "TricenterNoWorker",
        f"sum without (kind) ({WORKERS}) == 0",
        "critical",
        "无人执行定时任务 nothing executes the schedule",
        "没有任何 server 或 worker 在运行：备份、复制与校验都不会自动进行。 Neither a server nor a worker is at "
        "work: nothing is backed up, copied or verified by itself.",
        "worker-gone",
        hold=timedelta(minutes=2),
        cause="engine",
    ),
    Alert(
        "TricenterWorkerGone",
        f"sum without (kind) ({WORKERS}) < sum without (kind) (max_over_time({WORKERS}[1h]))",
        "warning",
        "有执行者退出 a worker is gone",
        "现有 {{ $value }} 个执行者，少于一小时之内的最多数。 {{ $value }} are at work: fewer than there were within "
        "the last hour.",
        "worker-gone",
        hold=timedelta(minutes=5),
    ),
    Alert(
        "TricenterQueueStuck",
        "(time() - tricenter_queue_oldest_timestamp_seconds) > 3600",
        "warning",
        "任务积压 runs wait too long",
        "排队最久的任务已等待 {{ $value | humanizeDuration }}。 The run that waits longest was asked for "
        "{{ $value | humanizeDuration }} ago.",
        "queue-stuck",
        hold=timedelta(minutes=5),
    ),
    Alert(
        "TricenterClockSkew",
        "(abs(tricenter_clock_skew_seconds) > 5)\nor\n((tricenter_view_timestamp_seconds - time()) > 5)",
        "warning",
        "时钟偏差 clocks differ",
        "本程序与目录数据库（或 Prometheus）的时钟相差 {{ $value | humanizeDuration }}，RPO 与锁期都会算错。 The "
        "clocks of this program and of the catalogue's database, or of Prometheus, differ by "
        "{{ $value | humanizeDuration }}: exposures and locks are reckoned wrongly.",
        "clock-skew",
        hold=timedelta(minutes=2),
    ),
    Alert(
        "TricenterEpochRaised",
        "(time() - tricenter_epoch_adopted_timestamp_seconds) < 3600",
        "warning",
        "纪元已提升 the epoch was raised",
        "一小时内发生过切换：有系统换了运行中心，原中心被隔离。 There was a switch within the last hour: systems are "
        "active at another centre, and the old one is fenced.",
        "epoch-raised",
    ),
    Alert(
        "TricenterFenced",
        'increase(tricenter_runs_failed_total{error_type="Fenced"}[15m]) > 0',
        "critical",
        "被隔离的写入 a fenced writer was refused",
        "有任务因不知道最新纪元而被存储拒绝：旧中心仍在写，或本程序落后。 A vault has refused runs that do not know "
        "its epoch: an old centre still writes, or this orchestrator is behind.",
        "fenced",
    ),
    Alert(
        "TricenterAuditBroken",
        "(tricenter_audit_broken == 1)\nor\n(tricenter_audit_head_entries < tricenter_audit_head_entries offset 10m)",
        "critical",
        "审计链断裂 the audit chain is broken",
        "有审计记录被改动，或链的末端被截断。 An entry of the audit chain was changed, or its end was cut off.",
        "audit-broken",
    ),
    Alert(
        "TricenterAuditUnsealed",
        "(time() - tricenter_audit_unsealed_timestamp_seconds) > 900",
        "warning",
        "审计记录未封存 audit entries are not sealed",
        "最早的未封记录写于 {{ $value | humanizeDuration }} 之前。 The oldest entry that is not sealed was written "
        "{{ $value | humanizeDuration }} ago.",
        "audit-broken",
        hold=timedelta(minutes=5),
    ),
    Alert(
        "TricenterViewStale",
        "(time() - tricenter_view_timestamp_seconds) > 120",
        "critical",
        "指标已过时 what is shown is old",
        "指标所依据的目录视图是 {{ $value | humanizeDuration }} 之前的；目录数据库可能不应答。 The metrics show the "
        "catalogue as it was {{ $value | humanizeDuration }} ago: its database may not answer.",
        "view-stale",
        hold=timedelta(minutes=1),
        cause="engine",
    ),
    Alert(
        "TricenterAbsent",
        "absent(tricenter_build_info)",
        "critical",
        "没有任何指标 there are no metrics at all",
        "Prometheus 抓不到任何指标：没有告警不代表一切正常。 Prometheus gets no metrics: that nothing else alerts "
        "says nothing.",
        "metrics-absent",
        hold=timedelta(minutes=2),
        cause="engine",
    ),
    Alert(
        "TricenterSystemsVanished",
        f"({SYSTEMS} < 0.9 * {SYSTEMS_BEFORE})\nor\n({SYSTEMS_BEFORE} unless {SYSTEMS})",
        "warning",
        "受保护系统骤减 systems have vanished",
        "一小时内有一成以上的系统不再有指标：站点改动有误，或视图从未读成。 More than a tenth of the systems have no "
        "metrics any more, of those an hour ago: the site was changed by mistake, or its view was never read.",
        "metrics-absent",
        hold=timedelta(minutes=5),
    ),
)
