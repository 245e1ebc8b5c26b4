"""系统 System: one application of a bureau at all its centres, for whoever is asked about it at night."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from exporters import archive_metrics as a
from exporters import metrics as m
from exporters import upkeep_metrics as u
from exporters.dashboards import frame, parts
from exporters.dashboards.parts import Query
from exporters.dashboards.promql import NOW, age, age_share, exposure_share, most, of
from exporters.metric import SYSTEM

CHOSEN = ("tenant", "system", "centre")
STATES = {
    0: ("达标 Met", parts.GREEN),
    1: ("未验证 Unproved", parts.ORANGE),
    2: ("不达标 Missed", parts.RED),
    3: ("无备份 Never", parts.RED),
}


def dashboard() -> model.Dashboard:
    return frame.board(
        frame.SYSTEM,
        "系统 System",
        "一个系统在各中心的暴露、验证、演练与锁定。"
        "One system at its centres: exposure, proof, drills, locks, each beside its objective.",
        [
            frame.Row(4, [(6, each) for each in _objectives()]),
            frame.Row(9, [(16, _exposure()), (8, _verdicts())]),
            frame.Row(4, [(6, each) for each in _points()], title="恢复点 Recovery points"),
            frame.Row(4, [(6, each) for each in _upkeep()], title="校验与锁定 Verification and locks"),
            frame.Row(7, [(12, _stages()), (12, _archives())], title="演练与归档 Drills and archives"),
        ],
        [
            frame.choice("tenant", "委办局 Tenant", "tenant", many=False),
            frame.choice("system", "系统 System", "system", many=False, within=',tenant=~"$tenant"'),
            frame.choice("centre", "中心 Centre", "centre", many=True),
        ],
    )


def _at(title: str, about: str, query: str, steps: parts.Steps, unit: str = parts.PLAIN) -> model.Panel:
    """A number for every centre."""
    return parts.number(title, about, [Query(query, "{{centre}}")], unit=unit, steps=steps, named=True)


def _objectives() -> list[model.Panel]:
    measured = of(m.RTO_MEASURED, *CHOSEN, by=SYSTEM, stage="total")
    return [
        _at(
            "暴露 / 目标 Exposure of objective",
            "当前暴露时长占恢复点目标的比例，100% 即到达目标。Exposure now as a share of the recovery point objective.",
            exposure_share(*CHOSEN),
            parts.OF_OBJECTIVE,
            parts.SHARE,
        ),
        _at(
            "七日达标 Compliance",
            "近 7 天暴露时长在目标内的时间占比。Share of the last 7 days within the objective.",
            of(m.RPO_COMPLIANCE, *CHOSEN),
            parts.WHOLE,
            parts.SHARE,
        ),
        _at(
            "实测 RTO / 目标 Measured RTO",
            "最近演练实测恢复时间占目标的比例；“—”为尚无成功演练。"
            "The last drill's recovery time as a share of the objective; none: no drill has recovered it.",
            f"{measured} / {of(m.RTO_OBJECTIVE, *CHOSEN)}",
            parts.OF_OBJECTIVE,
            parts.SHARE,
        ),
        _at(
            "距下次演练 Next drill in",
            "距人员下次演练到期的时间；为负即已逾期。Time until people must drill it again; negative: overdue.",
            f"{of(m.DRILL_DUE, *CHOSEN)} - {NOW}",
            parts.AHEAD,
            parts.SECONDS,
        ),
    ]


def _exposure() -> model.Panel:
    return parts.course(
        "暴露时长与目标 Exposure and its objective",
        "锯齿线为各中心当前暴露时长，虚线为目标；越过虚线即不达标。竖线为演练与切换。"
        "The saw-tooth of exposure at each centre; dashed is its objective.",
        [
            Query(of(m.RPO_ACTUAL, *CHOSEN), "{{centre}}"),
            Query(of(m.RPO_OBJECTIVE, *CHOSEN), "{{centre}} 目标 objective"),
        ],
        unit=parts.SECONDS,
        limits="/objective/",
        points=1200,
    )


def _verdicts() -> model.Panel:
    def held(verdict: str) -> str:
        return of(m.PROTECTION, *CHOSEN, by=("centre",), verdict=verdict)

    return parts.states(
        "结论 Verdict",
        "该系统在各中心的结论随时间的变化。What held of the system at each centre, over time.",
        [Query(f"{held('unproved')} + 2 * {held('missed')} + 3 * {held('never')}", "{{centre}}")],
        STATES,
    )


def _points() -> list[model.Panel]:
    return [
        _at(
            "七日最大暴露 / 目标 Worst of 7 days",
            "近 7 天暴露时长的峰值占目标的比例。The peak of exposure within 7 days as a share of the objective.",
            f"{of(m.RPO_WORST, *CHOSEN)} / {of(m.RPO_OBJECTIVE, *CHOSEN)}",
            parts.OF_OBJECTIVE,
            parts.SHARE,
        ),
        _at(
            "恢复点 Points",
            "该中心现有恢复点数。Recovery points at the centre.",
            of(m.POINTS, *CHOSEN),
            parts.SOME_NEEDED,
        ),
        _at(
            "可疑与欠缺 Suspect or owed",
            "可疑而未裁定、以及绕过该中心写入尚未补来的恢复点数。"
            "Points that a person must settle, and points written past the centre that have not come to it.",
            f"{of(m.POINTS_SUSPECT, *CHOSEN)} + {of(m.POINTS_OWED, *CHOSEN)}",
            parts.FEW_WANTED,
        ),
        _at(
            "最近经验证点距今 Last proved point",
            "最新的经恢复验证的恢复点的数据时间距今多久；“—”为从未验证。"
            "Age of the newest point that a restore has proved; none: never.",
            age(m.LAST_PROVED, *CHOSEN),
            parts.NEUTRAL,
            parts.SECONDS,
        ),
    ]


def _upkeep() -> list[model.Panel]:
    return [
        _at(
            "最久未读 / 期限 Oldest unread",
            "最久未读取校验的数据占规定期限的比例。Age of the oldest unread data as a share of what the tier allows.",
            age_share(u.UNREAD, u.READ_OBJECTIVE, *CHOSEN),
            parts.OF_OBJECTIVE,
            parts.SHARE,
        ),
        _at(
            "损坏待修 Open findings",
            "校验发现且尚未修复的对象数。Objects found corrupt or lost and not healed yet.",
            of(u.FINDINGS, *CHOSEN),
            parts.NONE_ALLOWED,
        ),
        _at(
            "最短剩余锁定 / 承诺 Lock left",
            "在用对象中最早到期的对象锁的剩余时间，占等级承诺的比例；低于 100% 即不足。"
            "Time until the earliest lock ends, as a share of what the tier promises.",
            f"({of(u.LOCK_FLOOR, *CHOSEN)} - {NOW}) / {of(u.LOCK_OBJECTIVE, *CHOSEN)}",
            ((None, parts.RED), (1, parts.GREEN)),
            parts.SHARE,
        ),
        parts.number(
            "抽查异常 Spot-check faults",
            "最近一次与现行数据比对时超出容差的项数；旁为距上次抽查占间隔的比例。"
            "Faults of the last comparison with the live sources, and its age as a share of the interval.",
            [
                Query(of(u.SPOT_FAULTS, *CHOSEN), "异常 Faults", parts.NONE_ALLOWED),
                Query(
                    f"100 * {age_share(u.SPOT_CHECKED, u.SPOT_OBJECTIVE, *CHOSEN, by=u.SPOT_CHECKED.labels)}",
                    "距今占间隔 Age %",
                    ((None, parts.GREEN), (100, parts.ORANGE)),
                ),
            ],
            beside=True,
            decimals=0,
        ),
    ]


def _stages() -> model.Panel:
    stages = of(m.RTO_MEASURED, *CHOSEN, by=("centre", "kind", "stage"), stage="!total")
    return parts.bars(
        "最近演练各阶段 Stages of the last drills",
        "最近一次各类演练每一阶段的实测时长。How long each stage of the last drill of each kind took.",
        [Query(stages, "{{centre}} · {{kind}} · {{stage}}")],
        unit=parts.SECONDS,
        steps=parts.NEUTRAL,
    )


def _archives() -> model.Panel:
    return parts.number(
        "归档可恢复至距今 / 目标 Archive age",
        "各归档数据库可恢复到的最晚时刻距今，占目标的比例；无归档的系统显示“—”。"
        "Age of the latest moment that the archives can give back, as a share of the objective; "
        "nothing for systems without archives.",
        [Query(most(age_share(a.ARCHIVE_UNTIL, a.ARCHIVE_OBJECTIVE, *CHOSEN), "centre"), "{{centre}}")],
        unit=parts.SHARE,
        steps=parts.OF_OBJECTIVE,
        named=True,
    )
