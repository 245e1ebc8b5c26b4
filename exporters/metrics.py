"""Every metric: its name, kind, labels and help. The collector writes no other; docs/metrics.md is printed from here.

python -m exporters.metrics > docs/metrics.md
"""

from __future__ import annotations

from exporters.archive_metrics import ARCHIVES
from exporters.copy_metrics import COPIES
from exporters.drift_metrics import DRIFTS
from exporters.engine_metrics import ENGINE
from exporters.metric import SYSTEM, Metric
from exporters.notice_metrics import NOTICES
from exporters.parity_metrics import PARITIES
from exporters.preamble import PREAMBLE
from exporters.quota_metrics import QUOTAS
from exporters.standing_metrics import STANDING
from exporters.upkeep_metrics import UPKEEP

DRILL_VERDICTS = ("met", "missed", "failed", "never")
PLAN = ("plan", "centre")
PLAN_STATES = ("needs-verify", "verified", "failed")
ROW_VERDICTS = ("met", "missed", "unproved", "never")


RPO_OBJECTIVE = Metric(
    "tricenter_rpo_objective_seconds",
    "gauge",
    SYSTEM,
    "Recovery point objective that the tier sets for the centre.",
    "等级为该中心规定的恢复点目标",
)
RPO_ACTUAL = Metric(
    "tricenter_rpo_actual_seconds",
    "gauge",
    SYSTEM,
    "Exposure now: time since the data time of the newest good recovery point at the centre, "
    "or since the system is known when there is none. Points that are suspect or bad do not count.",
    "当前暴露时长：距该中心最新可信恢复点数据时间（可疑与不可用的不计）；从无恢复点时自系统登记起算",
)
RPO_WORST = Metric(
    "tricenter_rpo_worst_seconds",
    "gauge",
    SYSTEM,
    "Highest exposure within the last 7 days (the peak of the saw-tooth).",
    "近 7 天最大暴露时长（锯齿峰值）",
)
RPO_COMPLIANCE = Metric(
    "tricenter_rpo_compliance_ratio",
    "gauge",
    SYSTEM,
    "Share of the last 7 days during which exposure was within the objective, 0 to 1.",
    "近 7 天内暴露时长不超过目标的时间占比",
)
EXPECTED_INTERVAL = Metric(
    "tricenter_expected_interval_seconds",
    "gauge",
    SYSTEM,
    "Time from one backup to the next that the tier sets.",
    "等级规定的备份间隔",
)
POINTS = Metric(
    "tricenter_points",
    "gauge",
    SYSTEM,
    "Recovery points that are at the centre.",
    "该中心现有恢复点数量",
)
POINTS_SUSPECT = Metric(
    "tricenter_points_suspect",
    "gauge",
    SYSTEM,
    "Recovery points at the centre that are suspect (emptied, shrunken, unusually changed, wrongly dated) and not "
    "settled by a person. They do not count for exposure, and retention lets nothing go meanwhile.",
    "该中心可疑而未裁定的恢复点数量；不计入暴露时长，期间不清理",
)
POINTS_OWED = Metric(
    "tricenter_points_owed",
    "gauge",
    SYSTEM,
    "Recovery points that were written past the centre while it did not answer, and have not come to it since.",
    "该中心无应答时绕过它写入、至今尚未复制到该中心的恢复点数量",
)
LAST_DATA = Metric(
    "tricenter_point_last_data_timestamp_seconds",
    "gauge",
    SYSTEM,
    "Data time of the newest good recovery point at the centre.",
    "该中心最新可信恢复点的数据时间",
    always=False,
)
LAST_LANDED = Metric(
    "tricenter_point_last_landed_timestamp_seconds",
    "gauge",
    SYSTEM,
    "When the newest good recovery point was complete at the centre.",
    "该中心最新可信恢复点到齐的时间",
    always=False,
)
LAST_PROVED = Metric(
    "tricenter_point_last_proved_timestamp_seconds",
    "gauge",
    SYSTEM,
    "Data time of the newest recovery point at the centre that a restore has proved.",
    "该中心最新的经恢复验证的恢复点的数据时间",
    always=False,
)
RTO_OBJECTIVE = Metric(
    "tricenter_rto_objective_seconds",
    "gauge",
    SYSTEM,
    "Recovery time objective that the tier sets for the centre.",
    "等级为该中心规定的恢复时间目标",
)
RTO_MEASURED = Metric(
    "tricenter_rto_measured_seconds",
    "gauge",
    (*SYSTEM, "plan", "kind", "stage"),
    "Recovery time that the last drill of the plan and kind measured. Stage `total` is the whole, from the outage's "
    "start to the last probe that passed; the other stages are its parts. Absent when that drill did not recover.",
    "该预案与类型最近一次演练实测的恢复时间；stage=total 为总时长，其余为各阶段",
    always=False,
)
DRILL_LAST = Metric(
    "tricenter_drill_last_timestamp_seconds",
    "gauge",
    (*SYSTEM, "plan", "kind"),
    "End of the last drill of the plan and kind, whatever its verdict.",
    "该预案与类型最近一次演练结束时间（不论结果）",
    always=False,
)
DRILL_DUE = Metric(
    "tricenter_drill_due_timestamp_seconds",
    "gauge",
    SYSTEM,
    "When people must hold the next drill at the centre: the tier's interval after the last one of theirs that "
    "recovered the system, or after the system became known. Scheduled restore tests do not count.",
    "人员下次演练到期时间：自上次由人发起且成功恢复的演练（或系统登记）起按等级间隔推算；定时恢复测试不计",
)
DRILL_VERDICT = Metric(
    "tricenter_drill_verdict",
    "gauge",
    (*SYSTEM, "verdict"),
    f"1 for the verdict of the last drill at the centre, 0 for the others: {', '.join(DRILL_VERDICTS)}.",
    "该中心最近一次演练结论（当前结论为 1，其余为 0）",
)
RTO_ESTIMATED = Metric(
    "tricenter_rto_estimated_seconds",
    "gauge",
    SYSTEM,
    "How long the recovery of the newest point at the centre is likely to take, from measured drills and today's size. "
    "Absent when nothing was ever measured.",
    "按实测演练与当前数据量估算的恢复时间；从未实测则不存在",
    always=False,
)
RTO_ERROR = Metric(
    "tricenter_rto_estimate_error_ratio",
    "gauge",
    SYSTEM,
    "Error of the estimate of the last drill at the centre: (estimated - measured) / measured, from the drills before "
    "it. Below 0: it took longer than expected.",
    "最近一次演练的估算误差：(估算 − 实测) / 实测；小于 0 表示比预计慢",
    always=False,
)
RESTORE_TREND = Metric(
    "tricenter_restore_trend_ratio",
    "gauge",
    SYSTEM,
    "By which share of the usual time each of the last drills at the centre took longer than the one before, the "
    "amount of data set aside. Needs three drills.",
    "恢复时间趋势：每次演练比前一次变慢的比例（已扣除数据量变化）；至少三次演练",
    always=False,
)
PLAN_STATE = Metric(
    "tricenter_plan_state",
    "gauge",
    (*PLAN, "state"),
    f"1 for the state of the plan at the centre, 0 for the others: {', '.join(PLAN_STATES)}. Back to needs-verify "
    "when the plan, its systems, their tiers or the site change, and when its drill is overdue.",
    "预案在该中心的状态：待验证、已验证、失败；改动或逾期后回到待验证",
)
PLAN_DUE = Metric(
    "tricenter_plan_due_timestamp_seconds",
    "gauge",
    PLAN,
    "When the plan falls back to needs-verify, or since when it has.",
    "预案何时回到待验证（或自何时起）",
)
PLAN_FAILED = Metric(
    "tricenter_plan_check_failed_items",
    "gauge",
    (*PLAN, "kind"),
    "Items that stood in the way at the last look at whether the plan is ready for a run of the kind. "
    "Absent before the first look.",
    "最近一次就绪检查中的不通过项数；首次检查前不存在",
    always=False,
)
PLAN_WARNED = Metric(
    "tricenter_plan_check_warned_items",
    "gauge",
    (*PLAN, "kind"),
    "Items that were warned of at the last look at whether the plan is ready.",
    "最近一次就绪检查中的提醒项数",
    always=False,
)
PLAN_CHECKED = Metric(
    "tricenter_plan_check_timestamp_seconds",
    "gauge",
    (*PLAN, "kind"),
    "When it was last looked at whether the plan is ready.",
    "最近一次就绪检查的时间",
    always=False,
)
PROTECTION = Metric(
    "tricenter_protection_verdict",
    "gauge",
    (*SYSTEM, "verdict"),
    f"1 for what holds of the system at the centre now, 0 for the others: {', '.join(ROW_VERDICTS)}.",
    "系统在该中心的当前结论：达标、不达标、未验证、无备份",
)
RUNS = Metric(
    "tricenter_runs",
    "gauge",
    ("flow", "state"),
    "Runs in the catalogue by flow and state (queued, running, waiting; done, failed, aborted, interrupted). "
    "A gauge: a run changes its state, and old rows are forgotten.",
    "目录中各流程各状态的运行数：排队、运行、等待；完成、失败、已中止、已中断",
    always=False,
)
WORKERS = Metric(
    "tricenter_workers",
    "gauge",
    ("kind",),
    "Processes that execute runs now (server, worker, one-shot). 0 for server and worker: nothing runs by itself.",
    "当前执行任务的进程数：server、worker、one-shot；server 与 worker 都为 0 时无人执行定时任务",
)
QUEUE_OLDEST = Metric(
    "tricenter_queue_oldest_timestamp_seconds",
    "gauge",
    (),
    "When the run that waits longest in the queue was asked for; absent when nothing waits.",
    "排队最久的任务的提出时刻；无排队时不存在",
    always=False,
)
RUN_SECONDS = Metric(
    "tricenter_run_last_duration_seconds",
    "gauge",
    ("flow",),
    "Duration of the flow's last run that was done to its end.",
    "该流程最近一次完成的运行耗时",
    always=False,
)
RUN_END = Metric(
    "tricenter_run_last_timestamp_seconds",
    "gauge",
    ("flow",),
    "End of the flow's last run that was done to its end.",
    "该流程最近一次完成的运行结束时间",
    always=False,
)
FAILURES = Metric(
    "tricenter_attempts_failed",
    "gauge",
    ("error_type",),
    "Attempts at steps in the catalogue that failed, by type of error. A gauge: rows may be expired.",
    "目录中失败的步骤尝试数，按错误类型",
    always=False,
)
TENANT_PENDING = Metric(
    "tricenter_tenant_pending_actions",
    "gauge",
    ("tenant", "centre"),
    "Actions that the last apply of the tenant at the centre left undone.",
    "最近一次租户配置后在该中心仍未完成的操作数",
    always=False,
)
TENANT_APPLIED = Metric(
    "tricenter_tenant_applied_timestamp_seconds",
    "gauge",
    ("tenant", "centre"),
    "When the tenant was last applied at the centre.",
    "租户在该中心最近一次配置的时间",
    always=False,
)
BUILD = Metric(
    "tricenter_build_info",
    "gauge",
    ("version", "site"),
    "Always 1; the program's version and the site that it shows.",
    "恒为 1；程序版本与站点",
)
VIEW_TIME = Metric(
    "tricenter_view_timestamp_seconds",
    "gauge",
    (),
    "When the view that these metrics show was read from the catalogue. Absent before the first was read.",
    "本次指标所依据的目录视图的读取时间",
)
VIEW_ERRORS = Metric(
    "tricenter_view_errors_total",
    "counter",
    (),
    "Times that reading the catalogue failed, so that the last good view was shown instead.",
    "读取目录失败（改为展示上一次成功视图）的次数",
)

METRICS = (
    RPO_OBJECTIVE,
    RPO_ACTUAL,
    RPO_WORST,
    RPO_COMPLIANCE,
    EXPECTED_INTERVAL,
    POINTS,
    POINTS_SUSPECT,
    POINTS_OWED,
    LAST_DATA,
    LAST_LANDED,
    LAST_PROVED,
    RTO_OBJECTIVE,
    RTO_MEASURED,
    DRILL_LAST,
    DRILL_DUE,
    DRILL_VERDICT,
    RTO_ESTIMATED,
    RTO_ERROR,
    RESTORE_TREND,
    PLAN_STATE,
    PLAN_DUE,
    PLAN_FAILED,
    PLAN_WARNED,
    PLAN_CHECKED,
    PROTECTION,
    RUNS,
    WORKERS,
    QUEUE_OLDEST,
    RUN_SECONDS,
    RUN_END,
    FAILURES,
    TENANT_PENDING,
    TENANT_APPLIED,
    *QUOTAS,
    *STANDING,
    *PARITIES,
    *DRIFTS,
    *UPKEEP,
    *ARCHIVES,
    *COPIES,
    *ENGINE,
    *NOTICES,
    BUILD,
    VIEW_TIME,
    VIEW_ERRORS,
)


def document() -> str:
    """Return the text of docs/metrics.md."""
    rows = (
        f"| `{each.name}` | {each.kind} | {', '.join(each.labels) or '-'} | {'是 yes' if each.always else '否 no'} "
        f"| {each.zh}。{each.help} |"
        for each in METRICS
    )
    return PREAMBLE + "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(document(), end="")
