"""Alerts on what keeps copies good: verification, object locks, retention, the spot check, keys and their escrow."""

from __future__ import annotations

from datetime import timedelta

from exporters.rules.protection import HERE
from exporters.rules.rule import Alert

DAY = 86400

UPKEEP = (
    Alert(
        "TricenterCorruptionFound",
        "tricenter_findings_open > 0",
        "critical",
        f"{HERE}: 发现损坏 corrupt or lost objects were found",
        "{{ $value }} 个对象损坏、缺失或不可读，尚未修复。 {{ $value }} objects are corrupt, missing or unreadable, "
        "and not healed.",
        "corruption-found",
        hold=timedelta(minutes=10),
    ),
    Alert(
        "TricenterVerificationStalled",
        "(time() - tricenter_data_unread_timestamp_seconds) > tricenter_data_read_objective_seconds",
        "warning",
        f"{HERE}: 数据校验停滞 data was not read in time",
        "最久的数据已 {{ $value | humanizeDuration }} 未读取校验，超过等级规定。 Some data was last read {{ $value | "
        "humanizeDuration }} ago: longer than the tier allows.",
        "verification-stalled",
        hold=timedelta(hours=1),
        follows="vault",
    ),
    Alert(
        "TricenterLockFloorLow",
        "(tricenter_lock_floor_timestamp_seconds - time()) < tricenter_lock_objective_seconds",
        "critical",
        f"{HERE}: 对象锁不足 object locks end too soon",
        "在用对象中最早的锁还剩 {{ $value | humanizeDuration }}，少于承诺（负数：已有未锁定的对象）。 The first lock "
        "among what is in use ends in {{ $value | humanizeDuration }}: sooner than promised. Far below 0: something "
        "is not locked at all.",
        "lock-floor-low",
        hold=timedelta(hours=1),
    ),
    Alert(
        "TricenterLockNotMeasured",
        f"tricenter_lock_objective_seconds\nand (tricenter_points > 0)\n"
        f"unless ((time() - tricenter_lock_measured_timestamp_seconds) < {3 * DAY})",
        "warning",
        f"{HERE}: 对象锁未核实 object locks were not looked at",
        "三天内没有向存储核实过对象锁。 The vault was not asked for its object locks for three days.",
        "lock-floor-low",
        hold=timedelta(hours=1),
        follows="vault",
    ),
    Alert(
        "TricenterObjectsOverwritten",
        "tricenter_lock_overwritten_objects > 0",
        "critical",
        f"{HERE}: 对象被改写 objects were overwritten",
        "{{ $value }} 个对象被改写为其他内容；本程序从不改写，请按入侵处理。 {{ $value }} objects were overwritten "
        "with another content. Nothing of ours does that: treat it as an attack.",
        "objects-overwritten",
    ),
    Alert(
        "TricenterRetentionStalled",
        f"(time() - tricenter_retention_last_timestamp_seconds) > {7 * DAY}",
        "warning",
        f"{HERE}: 到期清理停滞 retention has stalled",
        "上次完成到期清理是 {{ $value | humanizeDuration }} 之前。 Retention last came to its end "
        "{{ $value | humanizeDuration }} ago.",
        "retention-stalled",
        hold=timedelta(hours=1),
        follows="vault",
    ),
    Alert(
        "TricenterSpotCheckFailed",
        "tricenter_spot_check_faults > 0",
        "warning",
        "{{ $labels.tenant }}/{{ $labels.system }}: 抽查不符 the newest point is not what the source holds",
        "最近一次抽查有 {{ $value }} 项超出容差：备份的可能不是想要的数据。 The last comparison with the live "
        "sources found {{ $value }} things out of tolerance: what is backed up may not be what is meant.",
        "spot-check-failed",
    ),
    Alert(
        "TricenterKeyNotProved",
        "max without (system, tier) (tricenter_points > 0)\nunless "
        f"((time() - tricenter_key_checked_timestamp_seconds) < {35 * DAY})",
        "warning",
        "{{ $labels.tenant }} · {{ $labels.centre }}: 口令未验证 the password was not proved",
        "35 天内没有证明站点口令能打开该租户在该中心的仓库。 For 35 days nothing has proved that the site's password "
        "opens the repositories of this tenant there.",
        "key-not-proved",
        hold=timedelta(hours=1),
    ),
    Alert(
        "TricenterEscrowStale",
        "(time() - tricenter_escrow_bundle_timestamp_seconds)\n> ignoring (centre) group_left () "
        "(2 * tricenter_escrow_bundle_objective_seconds)",
        "warning",
        "{{ $labels.centre }}: 救援包过旧 the rescue bundle is stale",
        "该中心保险库中没有足够新的救援包。 The vault of this centre has no rescue bundle that is young enough.",
        "escrow-stale",
        hold=timedelta(hours=1),
        follows="vault",
    ),
    Alert(
        "TricenterEscrowUnproved",
        "(time() - tricenter_escrow_checked_timestamp_seconds) > tricenter_escrow_check_objective_seconds",
        "warning",
        "保管人份额到期未验证 custodians have not proved their shares in time",
        "保管人未在规定期限内证明份额能打开救援包。 Custodians have not proved in time that their shares open a "
        "rescue bundle.",
        "escrow-stale",
        hold=timedelta(hours=1),
    ),
    Alert(
        "TricenterEscrowIncomplete",
        "tricenter_escrow_bundle_missing_secrets > 0",
        "warning",
        "{{ $labels.centre }}: 救援包缺口令 secrets are missing in the rescue bundle",
        "制作最新救援包时有 {{ $value }} 个口令读不到，不在包内。 {{ $value }} secrets could not be read when the "
        "newest bundle was made.",
        "escrow-stale",
    ),
)
