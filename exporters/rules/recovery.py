"""Alerts on whether a recovery would work: drills, plans, room at the other centre, drift."""

from __future__ import annotations

from datetime import timedelta

from exporters.rules.protection import HERE
from exporters.rules.rule import Alert

DAY = 86400
#: Quotas that fill up as work grows. The others are as the site lays the tenant out, and often full by intent.
GROWING = "instances|cores|ram|ports|floating_ips|volumes|gigabytes|snapshots|backups"
PLAN = "{{ $labels.plan }} · {{ $labels.centre }}"

RECOVERY = (
    Alert(
        "TricenterDrillOverdue",
        "(time() - tricenter_drill_due_timestamp_seconds) > 0",
        "warning",
        f"{HERE}: 演练逾期 a drill is overdue",
        "应由人员进行的演练已逾期 {{ $value | humanizeDuration }}。 The drill that people must hold is "
        "{{ $value | humanizeDuration }} overdue.",
        "drill-overdue",
        hold=timedelta(hours=1),
    ),
    Alert(
        "TricenterDrillFailed",
        'tricenter_drill_verdict{verdict="failed"} == 1',
        "critical",
        f"{HERE}: 最近一次演练失败 the last drill failed",
        "最近一次演练没能恢复该系统。 The last drill did not recover the system.",
        "drill-failed",
    ),
    Alert(
        "TricenterPlanNeedsVerification",
        f"((time() - tricenter_plan_due_timestamp_seconds) > {DAY})\n"
        f'and ignoring (state) (tricenter_plan_state{{state="needs-verify"}} == 1)',
        "warning",
        f"预案 plan {PLAN}: 待验证 needs verification",
        "预案改动或逾期 {{ $value | humanizeDuration }} 后仍未演练。 It changed, or its drill became overdue, "
        "{{ $value | humanizeDuration }} ago, and it was not drilled since.",
        "plan-needs-verification",
    ),
    Alert(
        "TricenterPlanNotReady",
        "tricenter_plan_check_failed_items > 0",
        "warning",
        f"预案 plan {PLAN}: 就绪检查不通过 is not ready",
        "最近一次就绪检查有 {{ $value }} 项不通过。 {{ $value }} items stood in the way at the last look.",
        "plan-not-ready",
        hold=timedelta(minutes=10),
        follows="vault",
    ),
    Alert(
        "TricenterCapacityShort",
        "tricenter_plan_capacity_short_tenants > 0",
        "critical",
        f"预案 plan {PLAN}: 接管容量不足 no room for a failover",
        "{{ $value }} 个租户的云主机与云硬盘在该中心放不下。 The servers and volumes of {{ $value }} tenants do not "
        "fit at this centre.",
        "capacity-short",
        hold=timedelta(minutes=10),
    ),
    Alert(
        "TricenterDrift",
        "tricenter_tenant_pending_actions > 0",
        "warning",
        "{{ $labels.tenant }} · {{ $labels.centre }}: 租户漂移 the tenant drifts",
        "该中心的租户与站点相差 {{ $value }} 项，已超过一天。 For more than a day the tenant has differed from the "
        "site in {{ $value }} things at this centre.",
        "drift",
        hold=timedelta(days=1),
    ),
    Alert(
        "TricenterTenantParityLow",
        'tricenter_tenant_parity_ratio{centre!="production"} < 1',
        "warning",
        "{{ $labels.tenant }} · {{ $labels.centre }}: 接管所需不齐 lacks what a takeover needs",
        "齐备 {{ $value | humanizePercentage }}，持续一天。 {{ $value | humanizePercentage }} of what the tenant needs "
        "there is as it must be, for a day.",
        "parity-low",
        hold=timedelta(days=1),
    ),
    Alert(
        "TricenterQuotaNearlyUsed",
        f'(tricenter_tenant_quota_used{{resource=~"{GROWING}"}} / tricenter_tenant_quota_limit) > 0.9',
        "warning",
        "{{ $labels.tenant }} · {{ $labels.centre }}: 配额 quota {{ $labels.resource }} 将满 is nearly used up",
        "已用 {{ $value | humanizePercentage }}，持续一小时。 "
        "{{ $value | humanizePercentage }} of it is used, for an hour.",
        "quota-nearly-used",
        hold=timedelta(hours=1),
    ),
    Alert(
        "TricenterDriftNotLooked",
        f"(time() - tricenter_tenant_looked_timestamp_seconds) > {3 * DAY}",
        "warning",
        "{{ $labels.tenant }} · {{ $labels.centre }}: 漂移检查停滞 was not compared with the site",
        "上次与站点比对是 {{ $value | humanizeDuration }} 之前。 It was last compared with the site "
        "{{ $value | humanizeDuration }} ago.",
        "drift",
        hold=timedelta(hours=1),
    ),
)
