"""The loss statement for people: what is gone first, then who comes back where, with which data, in what order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.text import Text

from orchestrator.catalogue.scenario import CentreLeft, Statement
from orchestrator.server.columns import Column, grid, least_width, titles
from orchestrator.server.show import CENTRES, NOTHING
from policies.scenarios import Basis, Choice, Estimate, Fate, Outcome, Recovery, Standing, Totals, totals
from policies.site import Site
from policies.values import format_duration
from policies.windows import zone

BASES = {
    Basis.OWN: ("本系统", "own"),
    Basis.ELSEWHERE: ("他中心", "elsewhere"),
    Basis.OTHERS: ("他系统", "others"),
}
STYLES = {Standing.MET: "green", Standing.MISSED: "bold red", Standing.UNKNOWN: "yellow"}
GONE = "bold white on red"
RED = "bold red"
ALL = "全部 all"

BASIS_NOTE = (
    "依据 basis: 几次演练 how many drills · 本系统 own: 该系统在该中心 of the system there\n"
    "  他中心 elsewhere: 该系统在别处 of the system at another centre · 他系统 others: 该中心的其他系统 of others there"
)
TIME_NOTE = (
    "用时取自演练的恢复、启动、校验；发现与决策另计 times are those of drills: restore, start, verify; noticing and "
    "deciding come on top"
)


TURNS = (
    Column("数据截至", "data to", 15),
    Column("丢失", "lost", 7),
    Column("RPO目标", "target", 7),
    Column("已证明", "proved", 10),
    Column("等待", "waits", 7),
    Column("用时", "takes", 7),
    Column("恢复于", "back", 13),
    Column("RTO目标", "target", 7),
    Column("依据", "basis", 20, "left"),
    Column("结论", "verdict", 14, "left"),
)
SUMS = (
    Column("委办局", "bureau", 36, "left", wraps=True),
    Column("系统", "systems", 7),
    Column("达标", "hold", 6),
    Column("无法恢复", "lost", 8),
    Column("无副本", "no copy", 7),
    Column("RPO超", "missed", 6),
    Column("RTO超", "missed", 6),
    Column("RTO未知", "unknown", 7),
    Column("最大丢失", "worst", 8),
    Column("全部恢复", "all back", 13),
)
WIDTH = max(least_width(TURNS), least_width(SUMS))


def render(statement: Statement, site: Site) -> RenderableType:
    """Return the statement for a terminal of WIDTH columns or more; its times are in the site's zone."""
    statement = replace(statement, at=statement.at.astimezone(zone(site.timezone)))
    parts: list[RenderableType] = [*_heading(statement, site), Text(""), *_worst(statement, site)]
    turns = [each for each in statement.outcomes if each.fate is Fate.RECOVERED]
    if turns:
        parts += [
            _title("恢复次序", "the order of recovery", "最急者先 the most urgent first"),
            grid(TURNS, [titles(TURNS)]),
        ]
        for each in turns:
            parts += _turn(each, statement, site)
        parts.append(Text(""))
    parts += _running(statement, site)
    parts += [*_sums(statement, site), Text(""), *_notes(statement, turns)]
    return Group(*parts)


# --- the top: what is lost, what is left, how bad it is


def _heading(statement: Statement, site: Site) -> Iterator[Text]:
    yield Text.assemble(
        ("灾损测算 Loss statement", "bold"),
        f"   {site.title}   ",
        (f"{statement.at:%Y-%m-%d %H:%M:%S %z}", "dim"),
    )
    for centre in statement.lost:
        yield Text.assemble((" 失守 lost ", GONE), " ", _centre(centre), (f"  {_centre_title(site, centre)}", "dim"))
    for left in statement.left:
        yield Text.assemble((" 尚存 left ", "bold green"), " ", _centre(left.centre), "  ", _can(left))
    if statement.at > statement.read_at:
        yield Text(
            "时刻在未来：假定其间没有新的恢复点 TIME lies ahead: nothing is expected to land until then", "yellow"
        )
    if statement.no_vault_left:
        yield _nothing_left(statement)


def _can(left: CentreLeft) -> Text:
    if left.centre == "production":
        return Text("系统照常运行，无需恢复 systems go on running; nothing has to be recovered")
    if not left.has_vault:
        return Text("没有备份库，无从恢复 no vault: nothing can be recovered there", "red")
    room = "不限 no limit" if left.room is None else f"同时 {left.room} 项 at once"
    if left.has_cloud:
        return Text(f"可恢复数据，可运行服务器 restores data, can run servers; {room}")
    return Text.assemble(
        ("只能恢复数据，无云可运行服务器 restores data; no cloud, cannot run servers", "yellow"), f"; {room}"
    )


def _nothing_left(statement: Statement) -> Text:
    if statement.home_stands:
        return Text(
            " 没有副本了：系统在运行，但毫无保护 no copy is left: systems run, and nothing protects them ", GONE
        )
    return Text(" 全部失守：没有任何数据可以恢复 everything is lost: no vault is left to recover from ", GONE)


def _worst(statement: Statement, site: Site) -> Iterator[RenderableType]:
    """The sums; what cannot be recovered, and whose objectives are missed, by name."""
    outcomes = statement.outcomes
    yield _summary(totals(outcomes), statement.at)
    if gone := [each for each in outcomes if each.fate is Fate.LOST]:
        yield Text(f" ✖ 无法恢复 cannot be recovered: {len(gone)} ", GONE)
        for each in gone:
            yield Text.assemble(("   ✖ ", RED), _name(each, site, RED), (f"  {_why_lost(each)}", "red"))
        yield Text("")
    missed = [
        ("RPO", [each for each in outcomes if each.recovery and each.choice and each.choice.rpo is Standing.MISSED]),
        ("RTO", [each for each in outcomes if each.recovery and each.recovery.rto is Standing.MISSED]),
    ]
    for objective, those in missed:
        if those:
            names = ", ".join(f"{each.system}" for each in those)
            yield Text.assemble((f" ▲ {objective} 不达标 missed {len(those)}: ", RED), names)
    if unknown := [each for each in outcomes if each.recovery and each.recovery.rto is Standing.UNKNOWN]:
        names = ", ".join(f"{each.system}" for each in unknown)
        yield Text.assemble((f" ◐ RTO 未知 unknown {len(unknown)}: ", "yellow"), names)
    if statement.holds and statement.home_stands:
        yield Text(" ● 生产仍在，每个系统都还有副本 production stands, and every system still has a copy", "bold green")
    elif statement.holds:
        yield Text(" ● 全部达标 every objective would hold", "bold green")
    yield Text("")


def _summary(each: Totals, at: datetime) -> Text:
    line = Text.assemble(
        (f"{each.systems}", "bold"),
        " 个系统 systems · ",
        (f"达标 hold {each.hold}", "green" if each.hold == each.systems else ""),
        (f" · 无法恢复 lost {each.lost}", RED if each.lost else "dim"),
        (f" · 无副本 no copy {each.unprotected}" if each.unprotected else "", RED),
        " · 最大丢失 worst loss ",
        (ALL, RED) if each.lost else (_length(each.worst_loss), "bold"),
    )
    if each.recovered:
        line.append(" · 全部恢复 all back ").append_text(_back(each.last_back, at, "bold"))
    return line


def _why_lost(outcome: Outcome) -> str:
    held = [f"{zh} {en}" for copy in outcome.system.copies if copy.newest for zh, en in [CENTRES[copy.centre]]]
    if held:
        return f"副本只在 its only copies were at {', '.join(held)}"
    return "从未落地任何恢复点 no recovery point has ever landed"


# --- the turns


def _turn(outcome: Outcome, statement: Statement, site: Site) -> Iterator[RenderableType]:
    choice, recovery = outcome.choice, outcome.recovery
    assert choice is not None
    assert recovery is not None
    without_cloud = {left.centre for left in statement.left if not left.has_cloud}
    yield Text.assemble(
        (f"{recovery.order:>3} ", "bold"),
        _name(outcome, site, "bold"),
        (f"  {outcome.system.tier}", "dim"),
        " → ",
        _centre(choice.centre, "cyan"),
        (" 仅数据 data only" if choice.centre in without_cloud else "", "yellow"),
        (f"  {_others(outcome, choice)}", "dim"),
    )
    yield grid(TURNS, [list(_cells(choice, recovery, statement.at))])
    for warning in _warnings(choice):
        yield Text(f"    ⚠ {warning}", "yellow")


def _others(outcome: Outcome, choice: Choice) -> str:
    said = []
    for each in outcome.alternatives:
        more = each.loss - choice.loss
        price = (
            f"多丢 +{_length(more)}" if more > timedelta(0) else "数据相同 same data" if not more else "数据较新 newer"
        )
        said.append(f"{' '.join(CENTRES[each.centre])} {price}")
    return f"或 or {'; '.join(said)}" if said else "别无副本 no other copy"


def _cells(choice: Choice, recovery: Recovery, at: datetime) -> Iterator[Text]:
    takes = recovery.estimate.takes
    yield Text(_moment(choice.data_time, at))
    yield Text(_length(choice.loss), STYLES[choice.rpo])
    yield Text(_length(choice.copy.rpo), "dim")
    yield _proved(choice)
    yield Text("?", "yellow") if recovery.waits is None else _nonzero(recovery.waits)
    yield Text("未知 ?", "yellow") if takes is None else Text(_length(takes))
    yield _back(recovery.back_after, at, STYLES[recovery.rto])
    yield Text(_length(recovery.rto_objective), "dim")
    yield _basis(recovery.estimate)
    yield _verdict(choice.rpo, recovery.rto)


def _proved(choice: Choice) -> Text:
    """Say whether the newest point is the newest proved one, and if not, what using that one would cost."""
    if choice.proved_price is None:
        return Text("从未 never", "yellow")
    return Text(f"+{_length(choice.proved_price)}") if choice.proved_price else Text("最新 this", "green")


def _basis(estimate: Estimate) -> Text:
    if estimate.basis is Basis.NONE:
        return Text("未演练 never drilled", "yellow")
    zh, en = BASES[estimate.basis]
    return Text(f"{zh} {en} ×{estimate.drills}", "yellow" if estimate.basis is Basis.OTHERS else "")


def _verdict(rpo: Standing, rto: Standing) -> Text:
    missed = [name for name, standing in (("RPO", rpo), ("RTO", rto)) if standing is Standing.MISSED]
    if missed:
        return Text(f"▲ 超 {' '.join(missed)}", RED)
    return Text("◐ RTO未知", "yellow") if rto is Standing.UNKNOWN else Text("● 达标 holds", "green")


def _warnings(choice: Choice) -> Iterator[str]:
    centre = " ".join(CENTRES[choice.centre])
    if choice.copy.faults:
        yield f"{centre} 有未修复的校验问题 {choice.copy.faults} open findings of verification: may not be recoverable"
    if choice.copy.drill_failed:
        yield f"{centre} 最近一次演练失败 the last drill there failed"


# --- what goes on running, and the sums


def _running(statement: Statement, site: Site) -> Iterator[RenderableType]:
    outcomes = [each for each in statement.outcomes if each.fate in (Fate.UNPROTECTED, Fate.RUNNING)]
    if not outcomes:
        return
    yield _title(
        "照常运行", "go on running", "余下的副本与其数据年龄 the copies that are left, and how old their data is"
    )
    for each in outcomes:
        line = Text.assemble("    ", _name(each, site, ""), "  ")
        if each.choice is None:
            yield line.append("✖ 没有副本了 no copy is left", RED)
            continue
        for one in (each.choice, *each.alternatives):
            line.append(f"  {' '.join(CENTRES[one.centre])} ", "dim").append(_length(one.loss), STYLES[one.rpo])
        yield line
    yield Text("")


def _sums(statement: Statement, site: Site) -> Iterator[RenderableType]:
    bureaus = bureau_totals(statement)
    rows = [_sum(f"{site.tenants[tenant].title.zh} {tenant}", each, statement.at) for tenant, each in bureaus.items()]
    total = _sum("合计 total", totals(statement.outcomes), statement.at)
    yield _title("合计", "totals", "")
    yield grid(SUMS, [titles(SUMS), *rows, [Text.assemble((cell.plain, f"bold {cell.style}")) for cell in total]])


def bureau_totals(statement: Statement) -> dict[str, Totals]:
    """Return the totals of each bureau, in the order of their names."""
    tenants = sorted({each.system.tenant for each in statement.outcomes})
    return {tenant: totals([each for each in statement.outcomes if each.system.tenant == tenant]) for tenant in tenants}


def _sum(title: str, each: Totals, at: datetime) -> list[Text]:
    return [
        Text(title),
        Text(f"{each.systems}"),
        Text(f"{each.hold}", "green" if each.hold == each.systems else ""),
        *(Text(f"{count}", RED if count else "dim") for count in (each.lost, each.unprotected)),
        *(Text(f"{count}", RED if count else "dim") for count in (each.rpo_missed, each.rto_missed)),
        Text(f"{each.rto_unknown}", "yellow" if each.rto_unknown else "dim"),
        Text(ALL, RED) if each.lost else _nonzero(each.worst_loss),
        _back(each.last_back, at, "") if each.recovered else NOTHING,
    ]


def _notes(statement: Statement, turns: Sequence[Outcome]) -> Iterator[Text]:
    if not turns:
        return
    yield Text(
        "已证明 proved: 改用恢复测试证明过的点，数据再旧多少 how much older the newest point proved by a restore is",
        "dim",
    )
    yield Text(BASIS_NOTE, "dim")
    yield Text(TIME_NOTE, "dim")
    without_cloud = {left.centre for left in statement.left if not left.has_cloud}
    if any(each.choice and each.choice.centre in without_cloud for each in turns):
        yield Text(
            "无云的中心：用时只到数据恢复完毕 at a centre without a cloud the time is that of the data alone", "dim"
        )


# --- words


def _title(zh: str, en: str, note: str) -> Text:
    return Text.assemble((f"{zh} {en}", "bold cyan"), (f"  {note}", "dim"))


def _name(outcome: Outcome, site: Site, style: str) -> Text:
    ref = site.system(outcome.system.tenant, outcome.system.system)
    title = ref.system.title.zh if ref else ""
    return Text.assemble((title, style), f" {outcome.system}")


def _centre(centre: str, style: str = "bold") -> Text:
    zh, en = CENTRES[centre]
    return Text.assemble((zh, style), f" {en}")


def _centre_title(site: Site, centre: str) -> str:
    return next(str(each.title) for name, each in site.centres.items() if name == centre)


def _length(value: timedelta) -> str:
    return format_duration(value.total_seconds())


def _nonzero(value: timedelta) -> Text:
    return Text(_length(value)) if value else NOTHING


def _back(after: timedelta | None, at: datetime, style: str) -> Text:
    if after is None:
        return Text("未知 unknown", "yellow")
    clock = f"{at + after:%H:%M} " if (at + after).date() == at.date() else ""
    return Text(f"{clock}+{_length(after)}", style)


def _moment(moment: datetime, at: datetime) -> str:
    local = moment.astimezone(at.tzinfo)
    return f"{local:%H:%M:%S}" if local.date() == at.date() else f"{local:%m-%d %H:%M}"
