"""城市总览 City overview: for the wall.

Is the city protected, where is it worst, and can what this shows be believed.
"""

from __future__ import annotations

from collections.abc import Mapping

from grafana_foundation_sdk.models import dashboard as model

from exporters import copy_metrics as c
from exporters import engine_metrics as e
from exporters import metrics as m
from exporters import upkeep_metrics as u
from exporters.dashboards import frame, parts
from exporters.dashboards.parts import Column, Query, State
from exporters.dashboards.promql import NOW, age, count, exposure_share, mean, most, of, only, or_zero, top, total
from exporters.metric import SYSTEM

#: What a table of systems shows of each, in this order.
PLACE = {"tenant": "委办局 Tenant", "system": "系统 System", "centre": "中心 Centre"}
#: The same where the centre is chosen.
PLACE_HERE = {"tenant": "委办局 Tenant", "system": "系统 System"}
TO_SYSTEM = frame.to(frame.SYSTEM, tenant="tenant", system="system")
VAULT = State("存储 Vault", e.VAULT_AWAY, {0: ("正常 up", parts.GREEN), 1: ("失联 away", parts.RED)})
VERDICTS = (
    ("达标 Met", "met", ((None, parts.GREY), (1, parts.GREEN))),
    ("不达标 Missed", "missed", ((None, parts.GREY), (1, parts.RED))),
    ("未验证 Unproved", "unproved", ((None, parts.GREY), (1, parts.ORANGE))),
    ("无备份 Never", "never", ((None, parts.GREY), (1, parts.RED))),
)


def dashboard() -> model.Dashboard:
    return frame.board(
        frame.CITY,
        "城市总览 City overview",
        "两地三中心一屏：达标与否、最差的系统、各中心状态。适合大屏。"
        "The three centres on one screen: objectives kept or missed, the worst systems. For the wall.",
        [
            frame.Row(4, [(3, each) for each in _headlines()]),
            frame.Row(6, [(8, _production()), (8, _centre("② 同城中心 Same city", "same-city")), (8, _far())]),
            frame.Row(6, [(8, _tiers()), (16, _share())]),
            frame.Row(10, [(10, worst_exposures()), (10, worst_recoveries()), (4, _alerts())]),
        ],
    )


def _headlines() -> list[model.Panel]:
    def verdict(name: str) -> str:
        return total(of(m.PROTECTION, verdict=name))

    far = f"/d/{frame.CENTRE}?{frame.KEPT}"
    return [
        parts.number(
            "不达标 Missed",
            "恢复点或恢复时间目标未达到的“系统×中心”数。先看下方最差的系统。"
            "Systems by centres that miss an objective now. Look at the worst ones below.",
            verdict("missed"),
            steps=parts.NONE_ALLOWED,
            link=far,
        ),
        parts.number(
            "无备份 Never protected",
            "在该中心从未有过可信恢复点的“系统×中心”数。Systems by centres that have no good recovery point at all.",
            verdict("never"),
            steps=parts.NONE_ALLOWED,
            link=far,
        ),
        parts.number(
            "未验证 Unproved",
            "有恢复点、但没有一个经恢复验证的“系统×中心”数。Systems by centres whose points no restore has proved.",
            verdict("unproved"),
            steps=parts.FEW_WANTED,
            link=f"/d/{frame.DRILLS}?{frame.KEPT}",
        ),
        parts.number(
            "七日 RPO 达标 Compliance",
            "近 7 天暴露时长在目标内的时间占比，各系统平均。"
            "Share of the last 7 days within the objective, the mean of all systems and centres.",
            mean(of(m.RPO_COMPLIANCE)),
            unit=parts.SHARE,
            steps=parts.WHOLE,
            decimals=2,
        ),
        parts.number(
            "演练逾期 Drills overdue",
            "超过等级规定间隔仍未由人员演练的“系统×中心”数。Systems by centres whose next drill is overdue.",
            or_zero(count(f"{of(m.DRILL_DUE)} < {NOW}")),
            steps=parts.FEW_WANTED,
            link=f"/d/{frame.DRILLS}?{frame.KEPT}",
        ),
        parts.number(
            "损坏待修 Open findings",
            "校验发现、尚未由另一中心修复的损坏或缺失对象数。Corrupt or lost objects that are not healed yet.",
            total(of(u.FINDINGS)),
            steps=parts.NONE_ALLOWED,
            link=far,
        ),
        parts.number(
            "执行者 Workers",
            "正在执行任务的 server 与 worker 进程数；为 0 时无人备份。"
            "Processes that do the work; at 0 nobody backs anything up.",
            or_zero(total(of(m.WORKERS, kind="server|worker"))),
            steps=parts.SOME_NEEDED,
            link=f"/d/{frame.ENGINE}?{frame.KEPT}",
        ),
        parts.number(
            "数据时延 Age of this view",
            "本屏数据的读取时间距今多久；变红时屏上所见已过时。"
            "How old the reading is that this screen shows; when red, do not trust the rest.",
            age(m.VIEW_TIME),
            unit=parts.SECONDS,
            steps=((None, parts.GREEN), (120, parts.ORANGE), (300, parts.RED)),
            decimals=0,
            link=f"/d/{frame.ENGINE}?{frame.KEPT}",
        ),
    ]


def _production() -> model.Panel:
    pending, faults, suspects, active = (
        total(of(m.TENANT_PENDING, centre="production")),
        total(of(u.SPOT_FAULTS)),
        total(of(m.POINTS_SUSPECT)),
        total(of(c.ACTIVE, centre="production")),
    )
    return parts.number(
        "① 生产中心 Production →",
        "在此运行的系统数；抽查与现行数据不一致的项数；可疑而未裁定的恢复点；未完成的租户操作。"
        "Systems that run here; faults of the last spot checks; suspect points; actions that tenants still wait for.",
        [
            Query(active, "运行 Active", parts.NEUTRAL),
            Query(or_zero(faults), "抽查异常 Faults", parts.NONE_ALLOWED),
            Query(suspects, "可疑点 Suspect", parts.FEW_WANTED),
            Query(or_zero(pending), "待办 Pending", parts.FEW_WANTED),
        ],
        beside=True,
        link=f"/d/{frame.TENANTS}?{frame.KEPT}",
    )


def _far() -> model.Panel:
    return _centre("→ ③ 省级中心 Province", "provincial")


def _centre(title: str, centre: str) -> model.Panel:
    return parts.number(
        title,
        "按当前结论计的系统数：达标、不达标、未验证、无备份；最后为该中心存储是否应答。"
        "Systems by what holds of them at this centre now; last, whether its vault answers.",
        [
            *(
                Query(total(of(m.PROTECTION, centre=centre, verdict=verdict)), name, steps)
                for name, verdict, steps in VERDICTS
            ),
            VAULT.of(centre=centre),
        ],
        beside=True,
        link=f"/d/{frame.CENTRE}?{frame.KEPT}&var-centre={centre}",
    )


def _tiers() -> model.Panel:
    return parts.bars(
        "各等级最差暴露 / 目标 Worst exposure by tier",
        "每个中心每个等级中最差系统的暴露时长占目标的比例，100% 即到达目标。"
        "Exposure of the worst system of each tier at each centre as a share of its objective.",
        [Query(most(exposure_share(), "centre", "tier"), "{{centre}} · {{tier}}")],
        unit=parts.SHARE,
        steps=parts.OF_OBJECTIVE,
        most=1.5,
    )


def _share() -> model.Panel:
    return parts.course(
        "目标内系统占比 Share of systems within their RPO",
        "各中心暴露时长在目标内的系统占比；竖线为演练与真实切换。"
        "Share of systems whose exposure is within the objective, by centre; marks are drills and failovers.",
        [Query(mean(f"({of(m.RPO_ACTUAL)} <= bool {of(m.RPO_OBJECTIVE)})", "centre"), "{{centre}}")],
        unit=parts.SHARE,
        top=1,
    )


def _alerts() -> model.Panel:
    firing = 'count by (alertname) (ALERTS{alertname=~"Tricenter.+",alertstate="firing"})'
    return parts.offenders(
        "正在告警 Alerts",
        "正在触发的告警及其对象数；点名称看处置手册。空表示没有。"
        "What the rules say now, and of how many; the name leads to the page of runbooks. Empty: nothing fires.",
        {"alertname": "告警 Alert"},
        [Column("对象 Of", top(parts.OFFENDERS, firing))],
        link="${docs}/monitoring.md",
    )


def worst_exposures(*chosen: str, place: Mapping[str, str] = PLACE) -> model.Panel:
    """Return the systems whose exposure is the highest by its objective."""
    worst = top(parts.OFFENDERS, exposure_share(*chosen))
    return parts.offenders(
        "最差恢复点 Worst exposure (RPO)",
        f"暴露时长占目标比例最高的 {parts.OFFENDERS} 个“系统×中心”；超过 100% 即不达标。点系统名看详情。"
        "The systems whose newest good point is oldest by their objective. Follow the name.",
        place,
        [
            Column("占目标 Share", worst, parts.SHARE, parts.OF_OBJECTIVE),
            Column("暴露 Exposure", only(of(m.RPO_ACTUAL, *chosen), worst), parts.SECONDS),
            Column("目标 Objective", only(of(m.RPO_OBJECTIVE, *chosen), worst), parts.SECONDS),
        ],
        link=TO_SYSTEM,
    )


def worst_recoveries(*chosen: str) -> model.Panel:
    """Return the systems whose last measured recovery was the slowest by its objective."""
    measured = of(m.RTO_MEASURED, *chosen, by=SYSTEM, stage="total")
    objective = of(m.RTO_OBJECTIVE, *chosen)
    worst = top(parts.OFFENDERS, f"{measured} / {objective}")
    return parts.offenders(
        "最差恢复时间 Slowest recovery (RTO)",
        f"最近演练实测恢复时间占目标比例最高的 {parts.OFFENDERS} 个。未演练的见“演练与 RTO”。"
        "The systems whose last drills were slowest by their objective; those without any are on the drills' board.",
        PLACE,
        [
            Column("占目标 Share", worst, parts.SHARE, parts.OF_OBJECTIVE),
            Column("实测 Measured", only(measured, worst), parts.SECONDS),
            Column("目标 Objective", only(objective, worst), parts.SECONDS),
        ],
        link=TO_SYSTEM,
    )
