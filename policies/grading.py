"""GB/T 20988: which level the things that a program can look at allow. Pure.

A level is earned by all seven elements together, the lowest of them counts, and without a drill there is none.
Several elements are a matter of people, contracts and rules, which no program sees: they are named as such, so what is
told here is the highest level that the rest allows, and never a grading.

Where the words of a requirement were read in no copy of the standard, no number of it is printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from policies.values import Text, format_duration

#: How a requirement is known: read in a copy of the standard, or not read (no number of it is printed).
Standing = Literal["read", "unread"]

IN_FORCE = date(2026, 1, 1)
WEEK, YEAR = timedelta(days=7), timedelta(days=366)

#: Our own reading of 每日若干次: a setting of this program and no number of the standard.
BATCHES_A_DAY = 2.0


@dataclass(frozen=True, slots=True)
class Profile:
    """An edition of the standard, and how its requirements are known here."""

    name: str
    title: Text
    note: Text


PROFILES = {
    "gbt20988-2007": Profile(
        "gbt20988-2007",
        Text(zh="GB/T 20988-2007 附录A（2026-01-01 起被代替）", en="GB/T 20988-2007 annex A (replaced 2026-01-01)"),
        Text(zh="依据二手文本", en="by secondary copies"),
    ),
    "gbt20988-2025": Profile(
        "gbt20988-2025",
        Text(zh="GB/T 20988-2025", en="GB/T 20988-2025"),
        Text(
            zh="2025 版条文数值尚未核实，按 2007 版要素判定",
            en="the figures of the 2025 edition are not verified; judged by the elements of 2007",
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Observed:
    """What the catalogue knows of one system, at the centre that is judged. What was never seen is None."""

    centre: str
    distance_km: float
    newest_point_age: timedelta | None
    #: Recovery points that reached the centre a day, over the days that were looked at.
    landed_a_day: float
    proved_age: timedelta | None
    restore_test_every: timedelta
    has_cloud: bool
    #: Age of the newest drill of each kind there that met its objectives.
    drilled: dict[str, timedelta]
    switches_names: bool


@dataclass(frozen=True, slots=True)
class Element:
    """One of the seven: the level that it allows (None: no program can say), why, and how the requirement is known."""

    name: str
    title: Text
    level: int | None
    reason: Text
    standing: Standing


@dataclass(frozen=True, slots=True)
class Grade:
    """The verdict: at most this level, by the elements that were looked at. 0: no drill on record, no level."""

    profile: Profile
    level: int
    elements: tuple[Element, ...]

    @property
    def unseen(self) -> tuple[Element, ...]:
        return tuple(each for each in self.elements if each.level is None)


def profile_of(day: date) -> Profile:
    """Return the edition in force on a day."""
    return PROFILES["gbt20988-2025" if day >= IN_FORCE else "gbt20988-2007"]


def grade(seen: Observed, profile: Profile) -> Grade:
    """Return the level that the elements allow."""
    elements = tuple(_elements(seen))
    levels = [each.level for each in elements if each.level is not None]
    return Grade(profile, min(levels), elements)


def _elements(seen: Observed) -> Iterator[Element]:
    yield _data(seen)
    yield _processing(seen)
    yield _network(seen)
    yield _organisational(
        "facility", "备用基础设施", "standby infrastructure", "机房、供电与场地", "rooms, power and premises"
    )
    yield _organisational(
        "support", "专业技术支持能力", "technical support", "人员、值守与技能", "people, duty and skills"
    )
    yield _organisational(
        "operation",
        "运行维护管理能力",
        "operation and maintenance",
        "管理制度及其执行",
        "rules, and that they are followed",
    )
    yield _plan(seen)


def _data(seen: Observed) -> Element:
    title = Text(zh="数据备份系统", en="data backup system")
    age = seen.newest_point_age
    if age is None:
        why = Text(zh="该中心没有恢复点", en="there is no recovery point at this centre")
        return Element("data", title, 0, why, "read")
    told = format_duration(age.total_seconds())
    far = f"{seen.distance_km:.0f} km"
    if age > WEEK:
        why = Text(zh=f"最近的恢复点已有 {told}", en=f"the newest recovery point is {told} old")
        return Element("data", title, 0, why, "read")
    if seen.proved_age is None or seen.proved_age > seen.restore_test_every:
        why = Text(
            zh=f"场外备份有效（{far}，{told}），但备份有效性验证未按期进行",
            en=f"off-site backups exist ({far}, {told} old), but their validity was not checked in due time",
        )
        return Element("data", title, 0, why, "read")
    rate = f"{seen.landed_a_day:.1f}"
    if seen.landed_a_day < BATCHES_A_DAY:
        why = Text(
            zh=f"场外备份有效并经验证；每日到达 {rate} 次，未达本系统对“定时批量传送”的判定口径",
            en=f"off-site and proved; {rate} points a day arrive, fewer than this program takes for timed batches",
        )
        return Element("data", title, 2, why, "read")
    why = Text(
        zh=f"经网络定时批量传送，每日到达 {rate} 次（{far}），已验证；恢复点为定时产生，不是实时复制",
        en=f"sent over the network in timed batches, {rate} a day ({far}), proved; points are timed, not replication "
        "in real time",
    )
    return Element("data", title, 4, why, "unread")


#: Kinds of drills in which the system's servers ran at the centre, and in which its users were switched there.
RAN = ("sandbox", "switchover", "failover")
SWITCHED = ("switchover", "failover")


def _recent(seen: Observed, kinds: tuple[str, ...]) -> str | None:
    return next((kind for kind in kinds if seen.drilled.get(kind, YEAR * 9) <= YEAR), None)


def _processing(seen: Observed) -> Element:
    title = Text(zh="备用数据处理系统", en="standby data processing system")
    if kind := _recent(seen, RAN):
        why = Text(
            zh=f"一年内 {kind} 演练中系统在该中心运行并通过校验",
            en=f"within a year the system ran at the centre in a {kind} drill and passed its probes",
        )
        return Element("processing", title, 4, why, "unread")
    if seen.has_cloud:
        why = Text(
            zh="该中心有云平台；未曾在其上演练整个系统的运行",
            en="the centre has a cloud; the whole system was never seen to run there",
        )
        return Element("processing", title, 3, why, "unread")
    why = Text(zh="该中心没有云平台，只有数据", en="the centre has no cloud, only data")
    return Element("processing", title, 1, why, "read")


def _network(seen: Observed) -> Element:
    title = Text(zh="备用网络系统", en="standby network system")
    kind = _recent(seen, SWITCHED)
    if kind and seen.switches_names:
        why = Text(
            zh=f"一年内 {kind} 演练中集中切换了域名，用户可达该中心；线路与运营商须人工核实",
            en=f"names were switched centrally in a {kind} drill within a year; people must check lines and carriers",
        )
        return Element("network", title, 5, why, "read")
    if seen.has_cloud:
        why = Text(
            zh="该中心有网络；未曾演练网络切换",
            en="the centre has networks; switching to them was never drilled",
        )
        return Element("network", title, 3, why, "unread")
    why = Text(zh="该中心没有供系统使用的网络", en="the centre has no network for the system")
    return Element("network", title, 1, why, "read")


def _organisational(name: str, zh: str, en: str, what_zh: str, what_en: str) -> Element:
    why = Text(zh=f"程序无法核实：{what_zh}", en=f"not checkable by program: {what_en}")
    return Element(name, Text(zh=zh, en=en), None, why, "unread")


def _plan(seen: Observed) -> Element:
    title = Text(zh="灾难恢复预案", en="disaster recovery plan")
    if not seen.drilled:
        why = Text(
            zh="没有达标的演练记录：不论设施如何，不具备任何等级",
            en="no drill that met its objectives is on record: no level, whatever the equipment",
        )
        return Element("plan", title, 0, why, "read")
    kind, age = min(seen.drilled.items(), key=lambda each: each[1])
    told = format_duration(age.total_seconds())
    if age > YEAR:
        why = Text(zh=f"最近一次达标的演练在 {told} 之前", en=f"the last drill that met its objectives was {told} ago")
        return Element("plan", title, 0, why, "unread")
    why = Text(zh=f"预案经 {kind} 演练，{told} 之前达标", en=f"the plan was drilled ({kind}) and met {told} ago")
    return Element("plan", title, 6, why, "read")
