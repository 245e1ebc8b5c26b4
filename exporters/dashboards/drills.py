"""演练与 RTO Drills: which plans can be trusted, what recovery really took, and what must be drilled next."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from exporters import copy_metrics as c
from exporters import metrics as m
from exporters.dashboards import frame, parts
from exporters.dashboards.overview import PLACE, TO_SYSTEM, worst_recoveries
from exporters.dashboards.parts import Column, Query
from exporters.dashboards.promql import NOW, count, of, only, or_zero, top, total
from exporters.metric import SYSTEM

CHOSEN = ("tenant", "centre", "plan")
PLAN_STATES = (
    ("已验证 Verified", "verified", ((None, parts.GREY), (1, parts.GREEN))),
    ("待验证 Needs verify", "needs-verify", ((None, parts.GREY), (1, parts.ORANGE))),
    ("失败 Failed", "failed", ((None, parts.GREY), (1, parts.RED))),
)
DRILL_VERDICTS = (
    ("达标 Met", "met", ((None, parts.GREY), (1, parts.GREEN))),
    ("不达标 Missed", "missed", ((None, parts.GREY), (1, parts.ORANGE))),
    ("失败 Failed", "failed", ((None, parts.GREY), (1, parts.RED))),
    ("从未 Never", "never", ((None, parts.GREY), (1, parts.ORANGE))),
)
STAGES = {
    "detect": "发现",
    "decide": "决策",
    "wait": "排队",
    "restore": "恢复",
    "start": "启动",
    "verify": "验证",
    "switch": "切换",
}
PLAN_PLACE = {"plan": "预案 Plan", "centre": "中心 Centre"}
REPORT = """```
tricenter drill list
tricenter drill show DRILL
tricenter drill report DRILL --help
```

- [报告与证据 Reports and evidence]({docs}/evidence.md)
- [演练 Drills]({docs}/drills.md) · [预案 Plans]({docs}/plans.md)
- [切换安全 Failover]({docs}/failover-safety.md)
"""


def dashboard() -> model.Dashboard:
    return frame.board(
        frame.DRILLS,
        "演练与 RTO Drills and RTO",
        "预案状态、演练结论、实测与估算的恢复时间、逾期。"
        "States of plans, verdicts of drills, measured and estimated recovery times, what is overdue.",
        [
            frame.Row(5, [(9, _plans()), (9, _verdicts()), (6, _overdue())]),
            frame.Row(8, [(12, worst_recoveries(*CHOSEN)), (12, _due())]),
            frame.Row(8, [(14, _stages()), (10, _recoveries())], title="恢复时间 Recovery time"),
            frame.Row(8, [(10, _estimates()), (9, _unready()), (5, _report())], title="可信与就绪 Trust and readiness"),
        ],
        [
            frame.plan_choice(),
            frame.choice("tenant", "委办局 Tenant", "tenant", many=True),
            frame.choice("centre", "中心 Centre", "centre", many=True),
        ],
        back="now-90d",
        refresh="5m",
    )


def _plans() -> model.Panel:
    return parts.number(
        "预案状态 Plans by state",
        "按状态计的“预案×中心”数；改动或逾期后回到待验证。"
        "Plans by centres; a change or a due date puts one back to verify.",
        [Query(total(of(m.PLAN_STATE, *CHOSEN, state=state)), name, steps) for name, state, steps in PLAN_STATES],
        beside=True,
    )


def _verdicts() -> model.Panel:
    return parts.number(
        "最近演练结论 Verdicts of last drills",
        "各“系统×中心”最近一次演练的结论。What the last drill of each system at each centre came to.",
        [
            Query(total(of(m.DRILL_VERDICT, *CHOSEN, verdict=verdict)), name, steps)
            for name, verdict, steps in DRILL_VERDICTS
        ],
        beside=True,
    )


def _overdue() -> model.Panel:
    due = of(m.DRILL_DUE, *CHOSEN)
    return parts.number(
        "演练到期 Due",
        "已逾期数与 30 天内到期数。Drills that are overdue, and those due within 30 days.",
        [
            Query(or_zero(count(f"{due} < {NOW}")), "逾期 Overdue", parts.FEW_WANTED),
            Query(or_zero(count(f"({due} - {NOW} < 30 * 86400) >= 0")), "三十天内 Soon", parts.NEUTRAL),
        ],
        beside=True,
    )


def _due() -> model.Panel:
    return parts.offenders(
        "最先到期 Next drills",
        f"最先到期（或逾期最久）的 {parts.OFFENDERS} 个“系统×中心”；负数为已逾期。"
        "What must be drilled first; negative: overdue for so long.",
        PLACE,
        [
            Column(
                "还有 Due in",
                f"bottomk({parts.OFFENDERS}, {of(m.DRILL_DUE, *CHOSEN)} - {NOW})",
                parts.SECONDS,
                parts.AHEAD,
            )
        ],
        link=TO_SYSTEM,
        ascending=True,
    )


def _stages() -> model.Panel:
    def took(stage: str) -> str:
        return of(m.RTO_MEASURED, *CHOSEN, by=("plan", "kind"), stage=stage)

    slowest = top(parts.OFFENDERS, took("total"))
    return parts.offenders(
        "最慢演练的阶段 Stages of the slowest",
        f"最近演练中恢复时间最长的 {parts.OFFENDERS} 个预案与类型，及各阶段时长；“—”为没有该阶段。"
        "The slowest of the last drills of plans and kinds, and what each stage took; none: it has no such stage.",
        {"plan": "预案 Plan", "kind": "类型 Kind"},
        [
            Column("合计 Total", slowest, parts.SECONDS),
            *(Column(f"{zh} {stage}", only(took(stage), slowest), parts.SECONDS) for stage, zh in STAGES.items()),
        ],
    )


def _recoveries() -> model.Panel:
    measured = of(m.RTO_MEASURED, *CHOSEN, by=SYSTEM, stage="total")
    objective = of(m.RTO_OBJECTIVE, *CHOSEN)
    return parts.course(
        "实测恢复时间 / 目标 Measured recovery over time",
        "最慢的 10 个系统历次演练实测恢复时间占目标的比例；红线为目标。"
        "Recovery time of drill after drill by its objective, the 10 slowest; red is the objective.",
        [Query(top(parts.OFFENDERS, f"{measured} / {objective}"), "{{system}} · {{centre}}")],
        unit=parts.SHARE,
        steps=((None, parts.GREEN), (1, parts.RED)),
    )


def _estimates() -> model.Panel:
    estimated, objective = of(m.RTO_ESTIMATED, *CHOSEN), of(m.RTO_OBJECTIVE, *CHOSEN)
    worst = top(parts.OFFENDERS, f"{estimated} / {objective}")
    return parts.offenders(
        "估算恢复时间 Estimated recovery",
        "按当前数据量估算的恢复时间占目标的比例，最高者；误差为最近一次演练中估算偏离实测的比例。"
        "What recovery would take today by its objective; the error is how far the last estimate was off.",
        PLACE,
        [
            Column("占目标 Share", worst, parts.SHARE, parts.OF_OBJECTIVE),
            Column("估算 Estimate", only(estimated, worst), parts.SECONDS),
            Column("误差 Error", only(of(m.RTO_ERROR, *CHOSEN), worst), parts.SHARE),
        ],
        link=TO_SYSTEM,
    )


def _unready() -> model.Panel:
    failed = of(m.PLAN_FAILED, *CHOSEN, by=m.PLAN)
    worst = top(parts.OFFENDERS, f"{failed} > 0")
    return parts.offenders(
        "未就绪预案 Plans that are not ready",
        "最近一次就绪检查中有不通过项的预案；空表示都通过。运行 tricenter plan check PLAN 看原因。"
        "Plans whose last check found faults (tricenter plan check PLAN says which), and of how many tenants "
        "the centre has no room or the twin differs. Empty: none.",
        PLAN_PLACE,
        [
            Column("不通过 Failed", worst, parts.PLAIN, parts.NONE_ALLOWED),
            Column("容量不足 No room", only(of(c.PLAN_CAPACITY, *CHOSEN), worst), parts.PLAIN, parts.NONE_ALLOWED),
            Column("孪生不符 Twin", only(of(c.PLAN_TWIN, *CHOSEN), worst), parts.PLAIN, parts.FEW_WANTED),
        ],
    )


def _report() -> model.Panel:
    return parts.words(
        "报告 Reports",
        "演练报告与证据包由命令行写出；图上的竖线是每次演练与切换。"
        "Reports and evidence are written by the command line; the marks in the graphs are drills and failovers.",
        REPORT.format(docs="${docs}"),
    )
