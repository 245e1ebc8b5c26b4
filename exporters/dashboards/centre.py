"""中心与存储 Centre and vault: what one centre holds, how far it lags, and whether it still is what was written."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from exporters import copy_metrics as c
from exporters import metrics as m
from exporters import upkeep_metrics as u
from exporters.dashboards import frame, parts
from exporters.dashboards.overview import PLACE_HERE, TO_SYSTEM, VAULT, VERDICTS, worst_exposures
from exporters.dashboards.parts import Column, Query
from exporters.dashboards.promql import NOW, age, age_share, exposure_share, least, most, of, only, or_zero, top, total

CHOSEN = ("tenant", "centre")
#: A share of what was promised: below 1 too little is left.
PROMISED: parts.Steps = ((None, parts.RED), (1, parts.GREEN))


def dashboard() -> model.Dashboard:
    return frame.board(
        frame.CENTRE,
        "中心与存储 Centre and vault",
        "一个中心的副本、滞后、校验、对象锁与救援包。"
        "The copies at a centre: how far they lag, whether they were read, until when they are locked.",
        [
            frame.Row(5, [(12, _verdicts()), (12, _holdings())]),
            frame.Row(8, [(12, _exposure()), (12, worst_exposures(*CHOSEN, place=PLACE_HERE))]),
            frame.Row(8, [(12, _lag()), (6, _stored()), (6, _cycle())], title="复制与容量 Replication and storage"),
            frame.Row(8, [(8, _unread()), (8, _locks()), (8, _damaged())], title="校验与锁定 Verification and locks"),
            frame.Row(5, [(6, each) for each in _upkeep()], title="清理、修复与密钥 Retention, healing, keys"),
        ],
        [
            frame.choice("centre", "中心 Centre", "centre", many=False),
            frame.choice("tenant", "委办局 Tenant", "tenant", many=True),
        ],
    )


def _verdicts() -> model.Panel:
    return parts.number(
        "各系统结论 Systems by verdict",
        "所选中心各结论的系统数；右方表格列出最差者。Systems of the centre by what holds of them now.",
        [Query(total(of(m.PROTECTION, *CHOSEN, verdict=verdict)), name, steps) for name, verdict, steps in VERDICTS],
        beside=True,
    )


def _holdings() -> model.Panel:
    return parts.number(
        "副本 Copies",
        "恢复点总数；可疑未裁定；绕过该中心写入而尚未补来；损坏待修；存储是否应答。"
        "Points; suspect ones; those written past the centre and owed to it; objects to heal; does its vault answer.",
        [
            Query(total(of(m.POINTS, *CHOSEN)), "恢复点 Points", parts.SOME_NEEDED),
            Query(total(of(m.POINTS_SUSPECT, *CHOSEN)), "可疑 Suspect", parts.FEW_WANTED),
            Query(total(of(m.POINTS_OWED, *CHOSEN)), "欠缺 Owed", parts.FEW_WANTED),
            Query(total(of(u.FINDINGS, *CHOSEN)), "损坏 Findings", parts.NONE_ALLOWED),
            VAULT.of("centre"),
        ],
        beside=True,
    )


def _exposure() -> model.Panel:
    return parts.course(
        "各等级最差暴露 / 目标 Worst exposure by tier",
        "每个等级中最差系统的暴露时长占目标的比例；越过红色虚线即不达标；纵轴止于 300%。"
        "Exposure of the worst system of each tier by its objective; red is the objective. Cut off at 300%.",
        [Query(most(exposure_share(*CHOSEN), "tier"), "{{tier}}")],
        unit=parts.SHARE,
        steps=((None, parts.GREEN), (1, parts.RED)),
        top=3,
    )


def _lag() -> model.Panel:
    ratio = f"{of(c.LAG, *CHOSEN)} / {of(m.EXPECTED_INTERVAL, *CHOSEN)}"
    return parts.course(
        "最差复制滞后 / 备份间隔 Worst replication lag",
        "各等级最滞后系统比最新中心旧多少，占备份间隔的比例；复制前会到 100%，超过 200% 即积压。纵轴止于 500%。"
        "How much older the data here is than where it is newest, by the interval of backups: 100% before each copy, "
        "beyond 200% copies pile up. Cut off at 500%.",
        [Query(most(ratio, "tier"), "{{tier}}")],
        unit=parts.SHARE,
        steps=((None, parts.GREEN), (2, parts.RED)),
        top=5,
    )


def _stored() -> model.Panel:
    size, points = of(c.STORED_BYTES, *CHOSEN), of(c.DEDUPLICATION, *CHOSEN)
    return parts.number(
        "占用 Stored",
        "该中心存储中的字节数与对象数（最近一次校验时）；还原总量与占用之比。"
        "Bytes and objects in the vault when it was last verified; what all points would be restored to, by that.",
        [
            Query(f"{total(size)} / 1e9", "GB", parts.NEUTRAL),
            Query(total(of(c.STORED_OBJECTS, *CHOSEN)), "对象 Objects", parts.NEUTRAL),
            Query(f"{total(f'{points} * {size}')} / {total(size)}", "去重 Dedup ×", parts.NEUTRAL),
        ],
        decimals=1,
    )


def _cycle() -> model.Panel:
    worst = f"bottomk({parts.OFFENDERS}, {of(c.READ_RATIO, *CHOSEN)})"
    return parts.offenders(
        "校验周期 Verification cycle",
        "在规定期限内读取过（或新到）的字节占比，最低者；100% 即全部读过。"
        "Share of the bytes that were read within the time that the tier allows, where it is lowest.",
        {"system": "系统 System"},
        [Column("已读 Read", worst, parts.SHARE, ((None, parts.RED), (0.9, parts.ORANGE), (1, parts.GREEN)))],
        ascending=True,
    )


def _unread() -> model.Panel:
    worst = top(parts.OFFENDERS, age_share(u.UNREAD, u.READ_OBJECTIVE, *CHOSEN))
    return parts.offenders(
        "最久未读 Longest unread",
        "最久未读取校验的数据占规定期限的比例；超过 100% 表示校验停滞。"
        "The systems with the data that was longest not read, by what their tier allows.",
        PLACE_HERE,
        [
            Column("占期限 Share", worst, parts.SHARE, parts.OF_OBJECTIVE),
            Column("未读 Unread for", only(age(u.UNREAD, *CHOSEN), worst), parts.SECONDS),
        ],
        link=TO_SYSTEM,
    )


def _locks() -> model.Panel:
    left = f"{of(u.LOCK_FLOOR, *CHOSEN)} - {NOW}"
    worst = f"bottomk({parts.OFFENDERS}, ({left}) / {of(u.LOCK_OBJECTIVE, *CHOSEN)})"
    return parts.offenders(
        "锁定最短 Shortest locks",
        "在用对象最早到期的对象锁的剩余时间占承诺的比例；低于 100% 即不足，大幅为负表示有对象未锁定。"
        "Time until the earliest lock ends by what was promised; far below 0: something is not locked at all.",
        PLACE_HERE,
        [
            Column("占承诺 Share", worst, parts.SHARE, PROMISED),
            Column("承诺 Promised", only(of(u.LOCK_OBJECTIVE, *CHOSEN), worst), parts.SECONDS),
        ],
        link=TO_SYSTEM,
        ascending=True,
    )


def _damaged() -> model.Panel:
    worst = top(parts.OFFENDERS, f"{of(u.FINDINGS, *CHOSEN)} > 0")
    return parts.offenders(
        "损坏与修复 Damaged and healed",
        "有损坏待修对象的系统；旁为累计已修复数。空表示没有损坏。"
        "Systems with objects to heal, and how many were healed; empty: none is damaged.",
        PLACE_HERE,
        [
            Column("待修 Open", worst, parts.PLAIN, parts.NONE_ALLOWED),
            Column("已修复 Healed", only(of(u.HEALED, *CHOSEN), worst), parts.PLAIN),
        ],
        link=TO_SYSTEM,
    )


def _upkeep() -> list[model.Panel]:
    return [
        parts.number(
            "最久未清理 Retention",
            "各系统中最久未完成过期清理者距今多久。"
            "How long ago retention last ended, of the system where that is longest.",
            f"{NOW} - {least(of(u.RETAINED, *CHOSEN))}",
            unit=parts.SECONDS,
        ),
        parts.number(
            "最久未校验 Verification",
            "各系统中最久未校验者距今多久：结构与数据。"
            "How long ago the last verification was, of the system where that is longest: structure and data.",
            [Query(f"{NOW} - {least(of(u.VERIFIED, *CHOSEN), 'kind')}", "{{kind}}")],
            unit=parts.SECONDS,
            named=True,
        ),
        parts.number(
            "救援包 / 期限 Rescue bundle",
            "该中心最新救援包的制作时间距今，占规定期限的比例。"
            "Age of the newest rescue bundle at the centre as a share of what is allowed.",
            f"({age(u.ESCROW_BUNDLE, *CHOSEN)}) / on() group_left() {of(u.ESCROW_BUNDLE_OBJECTIVE)}",
            unit=parts.SHARE,
            steps=parts.OF_OBJECTIVE,
        ),
        parts.number(
            "密钥 Keys",
            "租户口令最久未验证距今多久；救援包中缺少的口令数。"
            "How long ago the password that was longest not tried was; secrets that the bundle lacks.",
            [
                Query(f"({NOW} - {least(of(u.KEY_CHECKED, *CHOSEN))}) / 86400", "天未验证 Days", parts.NEUTRAL),
                Query(or_zero(total(of(u.ESCROW_MISSING, *CHOSEN))), "缺少 Missing", parts.NONE_ALLOWED),
            ],
            beside=True,
            decimals=0,
        ),
    ]
