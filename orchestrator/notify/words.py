"""What a message says: a title, and lines in Chinese, English or both. Pure.

A storm is one message: of each event so many are told line by line, and the rest are counted. What says the most is
said first, for a messenger may cut off the end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from orchestrator.catalogue.notices import Notice
from policies.notifications import SEVERITIES, Language
from policies.values import format_duration

#: So many notices of an event are told one by one.
MOST = 10
CENTRES = {"production": "生产中心", "same-city": "同城中心", "provincial": "省级中心"}
VERDICTS = {"met": ("达标", "objectives met"), "missed": ("未达标", "objectives missed"), "failed": ("失败", "failed")}
MARKS = {"critical": "🔴", "warning": "🟠", "info": "🟢"}

#: Of an event: what it is called, and of several.
EVENT_NAMES = {
    "approval": ("待批准", "waiting for approval"),
    "drill": ("演练结果", "drills"),
    "failover": ("切换与隔离", "failovers and fences"),
    "objective": ("RPO 目标", "recovery point objectives"),
    "run-failed": ("任务失败", "failed runs"),
    "corruption": ("数据损坏", "corruption"),
}

Words = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Style:
    """How a site's messages are written: whose they are, in which zone times are, where reports are read."""

    site: str
    local: tzinfo
    report_link: str | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    title: str
    body: str
    severity: str


def render(message: str, notices: Sequence[Notice], style: Style, language: Language, most_bytes: int) -> Rendered:
    """Return what a message of these notices says, in no more than so many bytes of UTF-8."""
    ranked = sorted(notices, key=lambda each: (-SEVERITIES.index(each.severity), each.at, each.id))
    severity = ranked[0].severity
    title = f"{MARKS[severity]} [{style.site}] {_title(ranked, language)}"
    foot = f"\n\n{_pick(('编号', 'id'), language)} {message}"
    lines = "\n\n".join(_paragraphs(ranked, style, language))
    room = most_bytes - len(title.encode()) - len(foot.encode()) - 2
    return Rendered(title, _cut(lines, room) + foot, severity)


def _title(notices: Sequence[Notice], language: Language) -> str:
    if len(notices) == 1:
        return _pick(_headline(notices[0]), language)
    counts = Counter(each.event for each in notices)
    zh = "，".join(f"{EVENT_NAMES[event][0]} {count}" for event, count in counts.items())
    en = ", ".join(f"{count} {EVENT_NAMES[event][1]}" for event, count in counts.items())
    return _pick((f"{len(notices)} 项通知：{zh}", f"{len(notices)} notices: {en}"), language)


def _paragraphs(notices: Sequence[Notice], style: Style, language: Language) -> Iterator[str]:
    by_event: defaultdict[str, list[Notice]] = defaultdict(list)
    for each in notices:
        by_event[each.event].append(each)
    for event, found in by_event.items():
        for each in found[:MOST]:
            heading = f"{MARKS[each.severity]} {_pick(_headline(each), language)}"
            yield "\n".join([heading, *(_pick(line, language) for line in _lines(each, style))])
        if (more := len(found) - MOST) > 0:
            zh, en = EVENT_NAMES[event]
            yield _pick((f"……另有 {more} 项{zh}", f"… and {more} more: {en}"), language)


def _pick(words: Words, language: Language) -> str:
    zh, en = words
    if language == "both":
        return zh if zh == en else f"{zh} {en}"
    return zh if language == "zh" else en


def _cut(text: str, most_bytes: int) -> str:
    """Return what fits of a text, whole characters only."""
    encoded = text.encode()
    if len(encoded) <= most_bytes:
        return text
    return encoded[: max(most_bytes - len("…".encode()), 0)].decode(errors="ignore") + "…"


# --- of one notice


def _headline(each: Notice) -> Words:
    return HEADLINES[each.event](each.facts, each.over)


def _approval(facts: Mapping[str, Any], over: bool) -> Words:
    return f"待批准：{facts['about']}", f"waiting for approval: {facts['flow']} {facts['about']}"


def _drill(facts: Mapping[str, Any], over: bool) -> Words:
    zh, en = VERDICTS[facts["verdict"]]
    return f"演练{zh}：{facts['plan']}（{facts['kind']}）", f"drill of {facts['plan']} ({facts['kind']}): {en}"


def _failover(facts: Mapping[str, Any], over: bool) -> Words:
    if "epoch" in facts:
        return f"纪元升至 {facts['epoch']}：业务已转移", f"epoch {facts['epoch']}: production has moved"
    if "drill" in facts:
        zh, en = VERDICTS[facts["verdict"]]
        return f"实际切换{zh}：{facts['plan']}（{facts['kind']}）", f"{facts['kind']} of {facts['plan']}: {en}"
    return f"已隔离：{facts['about']}", f"fenced: {facts['flow']} {facts['about']}"


def _objective(facts: Mapping[str, Any], over: bool) -> Words:
    where, centre = facts["system"], CENTRES[facts["centre"]]
    if over:
        return f"RPO 恢复达标：{where} {centre}", f"RPO met again: {where} at {facts['centre']}"
    return f"RPO 未达标：{where} {centre}", f"RPO missed: {where} at {facts['centre']}"


def _run_failed(facts: Mapping[str, Any], over: bool) -> Words:
    return f"任务失败：{facts['flow']} {facts['about']}", f"run failed: {facts['flow']} {facts['about']}"


def _corruption(facts: Mapping[str, Any], over: bool) -> Words:
    where, centre = facts["system"], CENTRES[facts["centre"]]
    if over:
        return f"损坏已修复：{where} {centre}", f"corruption healed: {where} at {facts['centre']}"
    return f"发现数据损坏：{where} {centre}", f"corruption found: {where} at {facts['centre']}"


HEADLINES: Mapping[str, Callable[[Mapping[str, Any], bool], Words]] = {
    "approval": _approval,
    "drill": _drill,
    "failover": _failover,
    "objective": _objective,
    "run-failed": _run_failed,
    "corruption": _corruption,
}


def _lines(each: Notice, style: Style) -> Iterator[Words]:
    facts = each.facts
    if "lasted_seconds" in facts:
        lasted = format_duration(facts["lasted_seconds"])
        yield f"持续 {lasted}", f"it lasted {lasted}"
    elif "rpo_objective_seconds" in facts:
        yield from _exposure(facts, style)
    if "objects" in facts and not each.over:
        yield (
            f"对象 {facts['objects']} 个；查看：tricenter backup faults",
            f"{facts['objects']} objects; look: tricenter backup faults",
        )
    yield from _of_run(facts)
    yield from _of_drill(facts, style)
    yield from _of_epoch(facts)
    at = _moment(each.at, style)
    yield f"时间 {at}", f"at {at}"


def _exposure(facts: Mapping[str, Any], style: Style) -> Iterator[Words]:
    actual, objective = (format_duration(facts[name]) for name in ("rpo_seconds", "rpo_objective_seconds"))
    yield f"RPO 实际 {actual}，目标 {objective}", f"RPO {actual}, objective {objective}"
    if facts["data_time"]:
        data = _moment(datetime.fromisoformat(facts["data_time"]), style)
        yield f"最新数据 {data}", f"newest data {data}"
    else:
        yield "从无恢复点", "never any recovery point"


def _of_run(facts: Mapping[str, Any]) -> Iterator[Words]:
    if "run" not in facts:
        return
    by = facts["requested_by"]
    if "error" in facts:
        yield f"{facts['error_type']}: {facts['error']}", f"{facts['error_type']}: {facts['error']}"
        if facts["hint"]:
            yield f"下一步 {facts['hint']}", f"next: {facts['hint']}"
        yield f"任务 {facts['run']}，由 {by} 发起", f"run {facts['run']}, asked for by {by}"
        return
    yield f"由 {by} 发起：{facts['reason'] or '未说明'}", f"asked for by {by}: {facts['reason'] or 'no reason given'}"
    yield f"批准：tricenter run approve {facts['run']}", f"approve: tricenter run approve {facts['run']}"


def _of_drill(facts: Mapping[str, Any], style: Style) -> Iterator[Words]:
    if "drill" not in facts:
        return
    for each in facts["systems"]:
        zh, en = VERDICTS[each["verdict"]]
        measured = "，".join(_measured(each, name) for name in ("rpo", "rto"))
        yield f"{each['system']}：{zh}，{measured}", f"{each['system']}: {en}, {measured.replace('，', ', ')}"
    if facts["more_systems"]:
        yield f"另有 {facts['more_systems']} 个系统", f"and {facts['more_systems']} more systems"
    report = style.report_link.format(drill=facts["drill"]) if style.report_link else facts["report"]
    if report:
        yield f"报告 {report}", f"report {report}"


def _measured(system: Mapping[str, Any], name: str) -> str:
    measured, objective = (system[f"{name}{end}"] for end in ("_seconds", "_objective_seconds"))
    shown = "-" if measured is None else format_duration(measured)
    return f"{name.upper()} {shown}" + ("" if objective is None else f" / {format_duration(objective)}")


def _of_epoch(facts: Mapping[str, Any]) -> Iterator[Words]:
    if "epoch" not in facts:
        return
    for system, centre in facts["moved"].items():
        yield f"{system} 现由{CENTRES[centre]}承载", f"{system} is active at {centre}"
    if facts["more_systems"]:
        yield f"另有 {facts['more_systems']} 个系统", f"and {facts['more_systems']} more systems"
    yield (
        f"发起 {facts['declared_by']}，批准 {facts['approved_by']}",
        f"declared by {facts['declared_by']}, approved by {facts['approved_by']}",
    )
    if facts["forced"]:
        yield f"强制：{facts['forced']}", f"forced: {facts['forced']}"


def _moment(at: datetime, style: Style) -> str:
    return f"{at.astimezone(style.local):%Y-%m-%d %H:%M}"
