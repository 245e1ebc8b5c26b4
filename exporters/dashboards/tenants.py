"""租户与容量 Tenants and capacity: which bureaus are not as their files say, and how many systems each has."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from exporters import copy_metrics as c
from exporters import metrics as m
from exporters import parity_metrics as p
from exporters import quota_metrics as q
from exporters.dashboards import frame, parts
from exporters.dashboards.overview import worst_exposures
from exporters.dashboards.parts import Column, Query
from exporters.dashboards.promql import (
    NOW,
    age,
    count,
    exposure_share,
    least,
    mean,
    most,
    of,
    only,
    or_zero,
    top,
    total,
)

CHOSEN = ("tenant", "centre")
BUREAU = {"tenant": "委办局 Tenant"}
BUREAU_AT = {"tenant": "委办局 Tenant", "centre": "中心 Centre"}


def dashboard() -> model.Dashboard:
    return frame.board(
        frame.TENANTS,
        "租户与容量 Tenants and capacity",
        "各委办局的配置是否落实、保护得如何、占多少。"
        "Whether bureaus are as their files say, how well they are protected, and how much they hold.",
        [
            frame.Row(4, [(6, each) for each in _headlines()]),
            frame.Row(9, [(8, _pending()), (8, _stale()), (8, _protected())]),
            frame.Row(8, [(12, worst_exposures(*CHOSEN)), (12, _compliance())], title="保护 Protection"),
            frame.Row(
                8, [(6, _stored()), (6, _most_stored()), (6, _quotas()), (6, _parities())], title="用量 Holdings"
            ),
        ],
        [
            frame.choice("tenant", "委办局 Tenant", "tenant", many=True),
            frame.choice("centre", "中心 Centre", "centre", many=True),
        ],
    )


def _headlines() -> list[model.Panel]:
    bureaus = of(m.RPO_OBJECTIVE, *CHOSEN, by=("tenant",))
    pending = of(m.TENANT_PENDING, "tenant")
    return [
        parts.number("委办局 Tenants", "有受保护系统的委办局数。Bureaus that have protected systems.", count(bureaus)),
        parts.number(
            "系统 Systems",
            "受保护系统数。Protected systems.",
            count(of(m.RPO_OBJECTIVE, *CHOSEN, by=("tenant", "system"))),
        ),
        parts.number(
            "待办操作 Pending actions",
            "最近一次配置后仍未完成的租户操作总数：tricenter tenant plan 列出。"
            "Actions that the last provisioning left undone; tricenter tenant plan lists them.",
            or_zero(total(pending)),
            steps=parts.FEW_WANTED,
        ),
        parts.number(
            "最久未配置 Longest not applied",
            "最久未与配置文件核对的租户距今多久。"
            "How long ago a tenant was last provisioned, of the one where that is longest.",
            f"{NOW} - {least(of(m.TENANT_APPLIED, 'tenant'))}",
            unit=parts.SECONDS,
        ),
    ]


def _pending() -> model.Panel:
    return parts.offenders(
        "待办最多 Most pending",
        "未完成操作最多的租户与中心；空表示全部落实。Tenants with the most actions left undone. Empty: none.",
        BUREAU_AT,
        [
            Column(
                "待办 Pending",
                top(parts.OFFENDERS, f"{of(m.TENANT_PENDING, 'tenant')} > 0"),
                parts.PLAIN,
                parts.FEW_WANTED,
            )
        ],
    )


def _stale() -> model.Panel:
    return parts.offenders(
        "最久未核对 Longest not looked at",
        "最久未与配置文件核对的租户与中心。Tenants that were longest not compared with the site.",
        BUREAU_AT,
        [Column("距今 Ago", top(parts.OFFENDERS, age(c.TENANT_LOOKED, "tenant")), parts.SECONDS)],
    )


def _protected() -> model.Panel:
    unmet = f"{of(m.PROTECTION, *CHOSEN, verdict='missed|never')} == 1"
    return parts.offenders(
        "不达标最多 Most unprotected",
        "不达标或无备份的“系统×中心”最多的委办局。"
        "Bureaus with the most systems that miss an objective or have no backup.",
        BUREAU,
        [Column("不达标 Unmet", top(parts.OFFENDERS, count(unmet, "tenant")), parts.PLAIN, parts.NONE_ALLOWED)],
    )


def _compliance() -> model.Panel:
    ratio = mean(of(m.RPO_COMPLIANCE, *CHOSEN), "tenant")
    return parts.course(
        "最差委办局七日达标 Compliance of the worst bureaus",
        f"近 7 天达标占比最低的 {parts.OFFENDERS} 个委办局。"
        "Share of 7 days within the objective, of the bureaus where it is lowest.",
        [Query(f"bottomk({parts.OFFENDERS}, {ratio})", "{{tenant}}")],
        unit=parts.SHARE,
        top=1,
    )


def _stored() -> model.Panel:
    return parts.course(
        "存储占用 Stored",
        "各中心占用的字节数随时间的变化；突然下降值得追查。"
        "Bytes in the vault of each centre; a sudden fall wants to be explained.",
        [Query(total(of(c.STORED_BYTES, *CHOSEN), "centre"), "{{centre}}")],
        unit=parts.BYTES,
    )


def _quotas() -> model.Panel:
    used, limit = (of(each, *CHOSEN, by=None) for each in (q.QUOTA_USED, q.QUOTA_LIMIT))
    return parts.offenders(
        "配额最满 Fullest quotas",
        "用去比例最高的配额（最近一次查看漂移时）；达到 100% 则不能再建。"
        "Quotas of which the largest share is used, when drift was last looked for; at 100% nothing more can be made.",
        {**BUREAU_AT, "resource": "配额 Quota"},
        [Column("已用 Used", top(parts.OFFENDERS, f"{used} / ({limit} > 0)"), parts.SHARE, parts.OF_OBJECTIVE)],
    )


def _parities() -> model.Panel:
    worst = f"bottomk({parts.OFFENDERS}, {of(p.PARITY, *CHOSEN, by=None)} < 1)"
    return parts.offenders(
        "孪生最不齐 Least ready twins",
        "接管所需最不齐备的租户与中心（最近一次查看漂移时）。"
        "Where the least of what a takeover needs is there, when drift was last looked for.",
        BUREAU_AT,
        [Column("齐备 Parity", worst, parts.SHARE)],
    )


def _most_stored() -> model.Panel:
    worst = top(parts.OFFENDERS, total(of(c.STORED_BYTES, *CHOSEN), "tenant"))
    return parts.offenders(
        "占用最多 Most stored",
        "占用最多的委办局、其恢复点数、最差系统的暴露占目标的比例。"
        "Bureaus that take most, their recovery points, and the exposure of the worst system of each by its objective.",
        BUREAU,
        [
            Column("占用 Stored", worst, parts.BYTES),
            Column("恢复点 Points", only(total(of(m.POINTS, *CHOSEN), "tenant"), worst)),
            Column(
                "最差暴露 Worst",
                f"{most(exposure_share(*CHOSEN), 'tenant')} and {worst}",
                parts.SHARE,
                parts.OF_OBJECTIVE,
            ),
        ],
    )
