"""The calendar of drills for people: on the screen, as JSON and iCalendar, and as the annual plan in its usual form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from html import escape as in_html
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from policies.calendar import PlannedDrill, by_month
from policies.site import Site
from policies.values import Text

#: What is done in a drill of each kind: its title, its purpose, and its form (演练方式).
KINDS: dict[str, tuple[Text, Text, Text]] = {
    "tabletop": (
        Text(zh="桌面推演", en="tabletop"),
        Text(zh="检验预案与职责分工", en="examine the plan and who does what"),
        Text(zh="桌面推演、单项、检验性", en="talk, single, examining"),
    ),
    "restore": (
        Text(zh="数据恢复演练", en="restore drill"),
        Text(zh="证明备份可恢复，实测 RPO 与 RTO", en="prove that data comes back; measure RPO and RTO"),
        Text(zh="实操演练、单项、检验性", en="hands-on, single, examining"),
    ),
    "sandbox": (
        Text(zh="隔离环境接管演练", en="sandbox drill"),
        Text(zh="证明业务可在灾备中心运行", en="prove that the application runs at the centre"),
        Text(zh="实操演练、综合、检验性", en="hands-on, comprehensive, examining"),
    ),
    "switchover": (
        Text(zh="切换与回切演练", en="switchover and failback"),
        Text(zh="证明业务可切换并回切，零丢失", en="prove that users can be moved there and back without loss"),
        Text(zh="实操演练、综合、检验性", en="hands-on, comprehensive, examining"),
    ),
}
KINDS |= {"failover": KINDS["switchover"], "failback": KINDS["switchover"]}

CENTRES = {
    "same-city": Text(zh="同城灾备中心", en="same-city centre"),
    "provincial": Text(zh="省级灾备中心", en="provincial centre"),
}

#: 演练过程安排: what goes before and after, in days from the day of the drill.
ARRANGEMENTS = (
    (-14, Text(zh="预案评审", en="review of the plan")),
    (-7, Text(zh="演练通知", en="notice")),
    (-1, Text(zh="环境部署（plan check）", en="preparation (plan check)")),
    (0, Text(zh="执行演练方案", en="the drill")),
    (7, Text(zh="演练报告编写", en="report")),
    (14, Text(zh="更新预案", en="the plan is mended")),
)

HEADINGS = (
    Text(zh="序号", en="No."),
    Text(zh="演练项目", en="item"),
    Text(zh="目的/要求", en="purpose"),
    Text(zh="演练方式", en="form"),
    Text(zh="演练时间", en="time"),
    Text(zh="参演机构或部门", en="units"),
    Text(zh="演练过程安排", en="arrangements"),
    Text(zh="经费是否纳入预算", en="in the budget"),
)


class Row(NamedTuple):
    """One row of the annual plan (GB/T 38645, table A.1). Whether the money is there, people fill in."""

    number: str
    item: str
    purpose: str
    form: str
    time: str
    units: str
    arrangements: str
    budget: str


def as_json(each: PlannedDrill) -> dict[str, Any]:
    """Return a drill as plain JSON; days in the site's time, times in UTC."""
    return {
        "id": each.id,
        "day": each.day.isoformat(),
        "plan": each.plan.plan,
        "centre": each.centre,
        "kind": each.kind,
        "systems": [str(ref) for ref in each.systems],
        "tenants": _tenants(each),
        "last_at": each.last.isoformat() if each.last else None,
        "due_at": each.due_at.isoformat(),
        "overdue": each.overdue,
        "late": each.late,
    }


def show_calendar(console: Console, drills: Sequence[PlannedDrill]) -> None:
    """Print the drills, month by month."""
    if not drills:
        console.print("没有需要安排的演练 no drill falls into this time")
    for month, several in by_month(drills).items():
        console.print(f"[bold]{month}[/]  {len(several)} 项 drills")
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("日期 day", "预案 plan", "演练 kind", "中心 centre", "单位 unit", "上次 last", "到期 due"):
            table.add_column(heading, overflow="fold")
        for each in several:
            table.add_row(
                f"{each.day:%m-%d %a}",
                each.plan.plan,
                str(KINDS[each.kind][0]),
                each.centre,
                ", ".join(_tenants(each)),
                f"{each.last:%Y-%m-%d}" if each.last else "从未 never",
                _due(each),
            )
        console.print(table)


def _due(each: PlannedDrill) -> str:
    day = f"{each.due_at:%Y-%m-%d}"
    if each.overdue:
        return f"[red]{day} 逾期 overdue[/]"
    return f"[yellow]{day} 届时无工作日 no open day before[/]" if each.late else day


def as_ics(site: Site, drills: Iterable[PlannedDrill], made_at: datetime) -> str:
    """Return an iCalendar (RFC 5545) of whole-day events, whose ids stay the same from one export to the next."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tricenter//drills//ZH", "CALSCALE:GREGORIAN"]
    for each in drills:
        title = each.plan.title or each.systems[0].system.title
        what = f"{KINDS[each.kind][0]} {title.zh} @ {CENTRES[each.centre].zh}"
        lines += [
            "BEGIN:VEVENT",
            f"UID:{each.id}@{site.site}",
            f"DTSTAMP:{made_at:%Y%m%dT%H%M%SZ}",
            f"DTSTART;VALUE=DATE:{each.day:%Y%m%d}",
            f"DTEND;VALUE=DATE:{each.day + timedelta(days=1):%Y%m%d}",
            f"SUMMARY:{_ics(what)}",
            f"DESCRIPTION:{_ics(f'tricenter drill run {each.plan.plan} --kind {each.kind} --centre {each.centre}')}",
            "TRANSP:TRANSPARENT",
            "END:VEVENT",
        ]
    folded = (part for line in (*lines, "END:VCALENDAR") for part in _folded(line))
    return "\r\n".join(folded) + "\r\n"


def _ics(text: str) -> str:
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(line: str) -> Iterator[str]:
    """Yield the line in parts of 75 bytes at most, cut between characters; parts after the first begin with a space."""
    part, room = "", 75
    for letter in line:
        if len((part + letter).encode()) > room:
            yield part
            part, room = " ", 75
        part += letter
    yield part


def rows(drills: Iterable[PlannedDrill]) -> Iterator[Row]:
    """Yield the rows of the annual plan."""
    for number, each in enumerate(drills, 1):
        name, purpose, form = KINDS[each.kind]
        title = each.plan.title or each.systems[0].system.title
        owner = f"；{each.plan.owner}" if each.plan.owner else ""
        units = "、".join(dict.fromkeys(ref.tenant.title.zh for ref in each.systems))
        yield Row(
            number=str(number),
            item=f"{title.zh}{name.zh}（{CENTRES[each.centre].zh}） {title.en}: {name.en}, {CENTRES[each.centre].en}",
            purpose=str(purpose),
            form=str(form),
            time=f"{each.day:%Y-%m-%d}",
            units=f"{units}{owner}",
            arrangements="；".join(f"{each.day + timedelta(days=days):%m-%d} {what.zh}" for days, what in ARRANGEMENTS),
            budget="□ 是 yes □ 否 no",
        )


def annual_plan(site: Site, drills: Sequence[PlannedDrill], year: int, *, html: bool) -> str:
    """Return the annual plan of drills as Markdown or as one HTML page."""
    title = f"{site.title.zh} {year} 年度应急演练计划表"
    english = f"{site.title.en}: plan of drills for {year}"
    found = list(rows(drills))
    if html:
        return _html(title, english, found)
    head = " | ".join(str(each) for each in HEADINGS)
    lines = [f"# {title}", "", english, "", f"| {head} |", f"|{' --- |' * len(HEADINGS)}"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in found]
    return "\n".join((*lines, "", SIGNATURES)) + "\n"


SIGNATURES = "编制 prepared: ________  审核 reviewed: ________  批准 approved: ________  单位盖章 seal:"

_STYLE = """body{font:14px/1.5 "Noto Sans CJK SC","Source Han Sans SC",sans-serif;margin:2em}h1{font-size:20px}
table{border-collapse:collapse;width:100%}th,td{border:1px solid #666;padding:4px 6px;vertical-align:top}
th,td{text-align:left}
th{background:#eee}@page{size:A4 landscape;margin:12mm}"""


def _html(title: str, english: str, found: Iterable[Row]) -> str:
    head = "".join(f"<th>{in_html(each.zh)}<br>{in_html(each.en)}</th>" for each in HEADINGS)
    body = "\n".join("<tr>" + "".join(f"<td>{in_html(cell)}</td>" for cell in row) + "</tr>" for row in found)
    return (
        f'<!doctype html>\n<html lang="zh"><meta charset="utf-8"><title>{in_html(title)}</title>\n'
        f"<style>{_STYLE}</style>\n<h1>{in_html(title)}</h1>\n<p>{in_html(english)}</p>\n"
        f"<table>\n<tr>{head}</tr>\n{body}\n</table>\n<p>{in_html(SIGNATURES)}</p>\n</html>\n"
    )


def _tenants(each: PlannedDrill) -> list[str]:
    return list(dict.fromkeys(ref.tenant.tenant for ref in each.systems))
