"""What verification and retention show: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape

from orchestrator.backups.retention import ExpiryPlan
from orchestrator.backups.show import local, print_json, table
from orchestrator.backups.verify import Foreseen, SystemVerified
from orchestrator.batch import Ended
from orchestrator.catalogue.verifications import Finding
from policies.retention import Decision, Ground, Reason
from policies.site import SystemRef
from policies.suspicion import Signal
from policies.values import Text, format_size

REASONS = {
    Reason.NEWEST: Text(zh="最新可信", en="the newest good one"),
    Reason.NEWEST_PROVED: Text(zh="最新且已验证", en="the newest that was proved"),
    Reason.YOUNG: Text(zh="未到期", en="not old enough"),
    Reason.HOURLY: Text(zh="每时", en="hourly"),
    Reason.DAILY: Text(zh="每日", en="daily"),
    Reason.WEEKLY: Text(zh="每周", en="weekly"),
    Reason.MONTHLY: Text(zh="每月", en="monthly"),
    Reason.YEARLY: Text(zh="每年", en="yearly"),
    Reason.SUSPECT: Text(zh="可疑未裁定", en="suspect, not settled"),
    Reason.JUST_SETTLED: Text(zh="刚裁定为不可用", en="settled as bad a moment ago"),
    Reason.NONE_GOOD: Text(zh="此处无可信恢复点", en="no point here is good"),
    Reason.HELD_BY_SUSPECT: Text(zh="因可疑点而保留", en="held by a suspect point"),
    Reason.LOCKED: Text(zh="对象锁未到期", en="under object lock"),
    Reason.IN_USE: Text(zh="正在使用", en="in use by a run"),
    Reason.NOT_FARTHER: Text(zh="尚未复制到", en="not yet at"),
    Reason.INCOMPLETE: Text(zh="尚未到齐", en="not whole here yet"),
    Reason.UNKNOWN: Text(zh="目录中没有", en="not in the catalogue"),
    Reason.EXPIRED: Text(zh="已过期", en="older than kept"),
    Reason.BAD: Text(zh="已裁定为不可用", en="settled as bad"),
    Reason.LEFTOVER: Text(zh="未完成的备份", en="left by a backup that made no point"),
}

_BUCKET = Text(zh="更新的可信点占其位", en="enough newer ones, or a newer good point of the same one")
_SETTLE = Text(zh="裁定可疑点", en="tricenter backup settle")
#: What would end each reason that keeps a point.
FREED = {
    Reason.NEWEST: Text(zh="有更新的可信点", en="a newer good point"),
    Reason.NEWEST_PROVED: Text(zh="更新的点经验证", en="a drill of a newer point"),
    Reason.YOUNG: Text(zh="最新点晚于此时", en="a newest point of after then"),
    **dict.fromkeys((Reason.HOURLY, Reason.DAILY, Reason.WEEKLY, Reason.MONTHLY, Reason.YEARLY), _BUCKET),
    **dict.fromkeys((Reason.SUSPECT, Reason.HELD_BY_SUSPECT), _SETTLE),
    Reason.JUST_SETTLED: Text(zh="时间", en="time"),
    Reason.NONE_GOOD: Text(zh="有可信点", en="a good point"),
    Reason.LOCKED: Text(zh="时间", en="time"),
    Reason.IN_USE: Text(zh="任务结束", en="the end of the run"),
    Reason.NOT_FARTHER: Text(zh="复制", en="tricenter replicate"),
    Reason.INCOMPLETE: Text(zh="复制到齐，或过期", en="the rest of it, or age"),
    Reason.UNKNOWN: Text(zh="重建目录库", en="tricenter catalogue rebuild"),
}


class At(NamedTuple):
    """A system at a centre."""

    ref: SystemRef
    centre: str

    def __str__(self) -> str:
        return f"{self.ref}@{self.centre}"


class Seen(NamedTuple):
    """How the verification of a system at a centre ended, and what is known to be wrong there."""

    verified: SystemVerified | None
    findings: Sequence[Finding]
    error: Exception | None


def foreseen(console: Console, ended: Sequence[Ended[At, Foreseen]], output: str) -> None:
    if output == "json":
        print_json(console, [_failure(e) if e.result is None else _foreseen(e.subject, e.result) for e in ended])
        return
    rows = table("系统 system", "中心 centre", "将读取 to read ", "共有 of ", "文档 documents ")
    for each in ended:
        if each.result is None:
            rows.add_row(str(each.subject.ref), each.subject.centre, "[red]失败 failed", "", "")
            continue
        done = each.result
        sizes = format_size(done.size_bytes), format_size(done.total_bytes)
        rows.add_row(str(each.subject.ref), each.subject.centre, *sizes, str(done.documents))
    console.print(rows)


def verifications(console: Console, seen: Sequence[tuple[At, Seen]], output: str) -> None:
    if output == "json":
        print_json(console, [_verification(at, each) for at, each in seen])
        return
    rows = table("系统 system", "中心 centre", "结果 result", "已读 read ", "共有 of ", "最久未读自 unread since")
    for at, each in seen:
        done = each.verified
        if done is None:
            result = f"[red]{len(each.findings)} 处问题 findings" if each.findings else "[red]失败 failed"
            rows.add_row(str(at.ref), at.centre, result, "", "", "")
            continue
        unread = local(done.unread_since) if done.unread_since else ""
        sizes = format_size(done.looked.size_bytes), format_size(done.total_bytes)
        rows.add_row(str(at.ref), at.centre, "[green]✓ 完好 good", *sizes, unread)
    console.print(rows)
    for at, each in seen:
        for finding in each.findings:
            fault, since = finding.fault, local(finding.found_at)
            console.print(f"[red]✗[/] {at} {fault.key} [red]{fault.kind}[/] {fault.detail} (自 since {since})")


def expiry_plans(console: Console, plans: Iterable[tuple[SystemRef, ExpiryPlan]]) -> None:
    rows = table(
        "系统 system", "中心 centre", "恢复点 recovery point", "数据时间 data time", "决定 decision",
        "原因 → 至 why → until (如何解除 what ends it)",
    )  # fmt: skip
    suspects: dict[str, tuple[Signal, ...]] = {}
    for ref, plan in plans:
        for each in (*plan.points, *plan.remains):
            mark = "保留 keep" if each.kept else "[yellow]清除 forget"
            why = "\n".join(_reason(ground) for ground in each.grounds)
            rows.add_row(str(ref), plan.centre, each.id, local(each.data_time), mark, why)
        if plan.open_findings:
            refused = f"{plan.open_findings} 处问题未愈 open findings"
            rows.add_row(str(ref), plan.centre, "", "", "[red]拒绝 refused", refused)
        suspects |= plan.suspects
    console.print(rows)
    for point, signals in suspects.items():
        for signal in signals:
            console.print(f"[yellow]可疑 suspect[/] {point} {escape(str(signal))}")


def expiries_as_json(plans: Iterable[tuple[SystemRef, ExpiryPlan]], state: str) -> list[dict[str, Any]]:
    """Return the plans as plain values; `state` is planned or done."""
    return [
        {
            "system": str(ref),
            "centre": plan.centre,
            "state": state,
            "decisions": [_decision(each) for each in (*plan.points, *plan.remains)],
            "snapshots": len(plan.snapshots),
            "prune": plan.prune,
            "suspects": {point: [each.as_json() for each in signals] for point, signals in plan.suspects.items()},
            "too_many": plan.too_many,
            "open_findings": plan.open_findings,
        }
        for ref, plan in plans
    ]


def _decision(each: Decision) -> dict[str, Any]:
    grounds = [_ground(ground) for ground in each.grounds]
    return {
        "point": each.id,
        "data_time": each.data_time.isoformat(),
        "standing": str(each.standing),
        "kept": each.kept,
        **{key: grounds[0][key] for key in ("reason", "until", "centre")},
        "reasons": grounds,
    }


def _ground(ground: Ground) -> dict[str, Any]:
    freed = FREED.get(ground.reason)
    return {
        "reason": str(ground.reason),
        "until": ground.until.isoformat() if ground.until else None,
        "centre": ground.centre,
        "bucket": ground.bucket,
        "freed_by": freed.en if freed else None,
    }


def _reason(ground: Ground) -> str:
    told = " ".join(filter(None, (str(REASONS[ground.reason]), ground.centre, ground.bucket)))
    until = f" → {local(ground.until)}" if ground.until else ""
    freed = f" [dim]({FREED[ground.reason]})[/]" if ground.reason in FREED else ""
    return f"{told}{until}{freed}"


def _failure(ended: Ended[At, Any]) -> dict[str, Any]:
    at = ended.subject
    return {"system": str(at.ref), "centre": at.centre, "state": "failed", "error": str(ended.error)}


def _foreseen(at: At, done: Foreseen) -> dict[str, Any]:
    return {
        "system": str(at.ref),
        "centre": at.centre,
        "state": "planned",
        "bytes": done.size_bytes,
        "total_bytes": done.total_bytes,
        "documents": done.documents,
    }


def _verification(at: At, each: Seen) -> dict[str, Any]:
    value: dict[str, Any] = {
        "system": str(at.ref),
        "centre": at.centre,
        "state": "done" if each.verified else "failed",
        "findings": [
            {
                "key": finding.fault.key,
                "kind": str(finding.fault.kind),
                "detail": finding.fault.detail,
                "found_at": finding.found_at.isoformat(),
            }
            for finding in each.findings
        ],
    }
    if each.verified is None:
        return value | {"error": str(each.error)}
    done = each.verified
    return value | {
        "depth": done.depth,
        "objects": done.looked.objects,
        "bytes": done.looked.size_bytes,
        "total_bytes": done.total_bytes,
        "unread_since": done.unread_since.isoformat() if done.unread_since else None,
    }
