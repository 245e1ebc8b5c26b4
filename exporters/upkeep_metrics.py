"""The metrics of protection: what was verified, healed, expired and locked, the spot check, keys and their escrow."""

from __future__ import annotations

from exporters.metric import SYSTEM, Metric

VERIFIED = Metric(
    "tricenter_verification_last_timestamp_seconds",
    "gauge",
    (*SYSTEM, "kind"),
    "End of the last verification of the kind (structure, data) at the centre, whatever it found.",
    "该中心最近一次校验（结构 structure 或数据 data）的结束时间（不论结果）",
    always=False,
)
UNREAD = Metric(
    "tricenter_data_unread_timestamp_seconds",
    "gauge",
    SYSTEM,
    "Since when the byte at the centre that was longest not read is unread: its upload, or the last read of it.",
    "该中心最久未读取校验的数据自何时起未读（上传或上次读取）",
    always=False,
)
READ_OBJECTIVE = Metric(
    "tricenter_data_read_objective_seconds",
    "gauge",
    SYSTEM,
    "Time within which the tier wants every byte at the centre read once.",
    "等级规定的全部数据读取一遍的期限",
)
FINDINGS = Metric(
    "tricenter_findings_open",
    "gauge",
    SYSTEM,
    "Objects at the centre that verification found corrupt, missing or unreadable, and not healed since.",
    "校验发现且尚未修复的损坏、缺失或不可读对象数",
)
SPOT_CHECKED = Metric(
    "tricenter_spot_check_timestamp_seconds",
    "gauge",
    ("tenant", "system", "tier"),
    "End of the last comparison of the newest recovery point with the live sources, whatever it found.",
    "最近一次将最新恢复点与现行数据比对（抽查）的结束时间（不论结果）",
    always=False,
)
SPOT_FAULTS = Metric(
    "tricenter_spot_check_faults",
    "gauge",
    ("tenant", "system", "tier"),
    "What the last comparison with the live sources found out of the tier's tolerance; 0 says that it held.",
    "最近一次抽查超出等级容差的项数，0 为一致",
    always=False,
)
SPOT_OBJECTIVE = Metric(
    "tricenter_spot_check_objective_seconds",
    "gauge",
    ("tenant", "system", "tier"),
    "Time from one comparison with the live sources to the next that the tier sets.",
    "等级规定的抽查间隔",
)
HEALED = Metric(
    "tricenter_objects_healed_total",
    "counter",
    SYSTEM,
    "Objects at the centre that were corrupt or lost and were healed from another centre.",
    "该中心已由另一中心修复的损坏或缺失对象累计数",
)
HEALED_AT = Metric(
    "tricenter_objects_healed_last_timestamp_seconds",
    "gauge",
    SYSTEM,
    "When the last object at the centre was healed from another centre.",
    "该中心最近一次由另一中心修复对象的时间",
    always=False,
)
RETAINED = Metric(
    "tricenter_retention_last_timestamp_seconds",
    "gauge",
    SYSTEM,
    "When retention last came to its end at the centre.",
    "该中心最近一次完成过期清理的时间",
    always=False,
)
LOCK_FLOOR = Metric(
    "tricenter_lock_floor_timestamp_seconds",
    "gauge",
    SYSTEM,
    "Earliest end of an object lock among all that is in use at the centre, as the vault said when it was last asked; "
    "0 while anything is not locked at all.",
    "该中心在用对象中最早到期的对象锁的到期时间（最近一次逐个向存储核实）；有未锁定的对象时为 0",
    always=False,
)
LOCK_OBJECTIVE = Metric(
    "tricenter_lock_objective_seconds",
    "gauge",
    SYSTEM,
    "How long everything in use at the centre shall stay locked, at any moment. Absent where no lock is asked for.",
    "等级承诺在任何时刻在用对象至少还锁定多久；未要求对象锁时没有",
)
LOCK_OVERWRITTEN = Metric(
    "tricenter_lock_overwritten_objects",
    "gauge",
    SYSTEM,
    "Objects at the centre that were overwritten with another content, which nothing of ours does.",
    "该中心被改写为其他内容的对象数（本程序从不改写）",
    always=False,
)
LOCK_MEASURED = Metric(
    "tricenter_lock_measured_timestamp_seconds",
    "gauge",
    SYSTEM,
    "When the vault was last asked for the locks of all that is in use at the centre.",
    "最近一次向该中心存储逐个核实对象锁的时间",
    always=False,
)
ESCROW_CHECKED = Metric(
    "tricenter_escrow_checked_timestamp_seconds",
    "gauge",
    (),
    "When custodians last proved that their shares open a bundle of today's key; 0: never.",
    "保管人最近一次证明份额可打开救援包的时间；0 为从未",
)
ESCROW_CHECK_OBJECTIVE = Metric(
    "tricenter_escrow_check_objective_seconds",
    "gauge",
    (),
    "At most so long from one such proof to the next: the site's escrow.check_every.",
    "两次验证的最长间隔",
)
ESCROW_BUNDLE = Metric(
    "tricenter_escrow_bundle_timestamp_seconds",
    "gauge",
    ("centre",),
    "When the newest rescue bundle in the vault of the centre was made; 0: there is none.",
    "该中心保险库中最新救援包的制作时间；0 为没有",
)
ESCROW_BUNDLE_OBJECTIVE = Metric(
    "tricenter_escrow_bundle_objective_seconds",
    "gauge",
    (),
    "At most so old is a bundle: the site's escrow.bundle_every.",
    "救援包的最长间隔",
)
ESCROW_MISSING = Metric(
    "tricenter_escrow_bundle_missing_secrets",
    "gauge",
    ("centre",),
    "Secrets that could not be read when the newest bundle was made, and are not in it.",
    "最新救援包中缺少的口令数",
    always=False,
)
KEY_CHECKED = Metric(
    "tricenter_key_checked_timestamp_seconds",
    "gauge",
    ("centre", "tenant"),
    "When all repositories of the tenant at the centre last opened with the password of the site. Absent: never asked.",
    "该租户在该中心的全部仓库最近一次以站点口令打开的时间；从未检查则不存在",
    always=False,
)

KEY_ACCESS = Metric(
    "tricenter_key_access_timestamp_seconds",
    "gauge",
    ("centre", "tenant"),
    "When a run of a plan (drill, restore test, failover) last opened a repository of the tenant at the centre with "
    "the password of the site. Absent: never.",
    "预案的运行（演练、恢复测试、接管）最近一次以站点口令打开该租户在该中心的备份库的时间；从未则不存在",
    always=False,
)

UPKEEP = (
    VERIFIED,
    UNREAD,
    READ_OBJECTIVE,
    FINDINGS,
    SPOT_CHECKED,
    SPOT_FAULTS,
    SPOT_OBJECTIVE,
    HEALED,
    HEALED_AT,
    RETAINED,
    LOCK_FLOOR,
    LOCK_OBJECTIVE,
    LOCK_OVERWRITTEN,
    LOCK_MEASURED,
    ESCROW_CHECKED,
    ESCROW_CHECK_OBJECTIVE,
    ESCROW_BUNDLE,
    ESCROW_BUNDLE_OBJECTIVE,
    ESCROW_MISSING,
    KEY_CHECKED,
    KEY_ACCESS,
)
