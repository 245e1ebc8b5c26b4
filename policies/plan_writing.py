"""A plan written from the description of its systems, to be edited by people: steps, probes, order, addresses.

The text is made line by line and not dumped: what a reader needs most are the comments, and dumps have none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from policies.plan import Plan, Recovery, StepKind, effective_steps
from policies.site import SystemRef
from policies.tenant import SecurityGroup, Server, System

#: Ports of HTTP and HTTPS: a probe of these asks for a page.
HTTP_PORTS: Mapping[int, bool] = {80: False, 8080: False, 443: True, 8443: True}
#: A range of ports wider than this is no list of services.
WIDEST = 4

_COUNT = "SELECT count(*) FROM TABLE"

_STEPS: Mapping[StepKind, str] = {
    "restore": "恢复数据 data from the recovery point",
    "network": "网络 networks of the servers, at the addresses below",
    "servers": "云主机 servers from their volumes",
    "start": "按先后启动 start them in their order",
    "probe": "校验 proofs of all sources, and the probes below",
    "switch": "切换域名 names in the DNS",
}

_HEAD = """\
# {title} · made from the description of the systems; edit it: what is written here is what is run.
#
# 改动之后预案状态变为"待验证",需再演练一次。After a change the plan is NEEDS-VERIFY until it is drilled again.
# 检查 tricenter validate · 就绪 tricenter plan check {plan} --centre … · 演练 tricenter drill run {plan} --centre …

plan: {plan}
title: {{zh: {zh}, en: {en}}}
# owner: 姓名 电话                # 负责人 who answers for it
# duty: [login-1, login-2]       # 值班人员,至少两人 people on duty: who declares may not approve
# deadline: 4h                   # 最长时间 the drill is stopped after it; twice the longest RTO when not given
# undo_window: 1h                # 切换后可撤销的时间 a switch may be undone for so long
"""


def written_plan(name: str, systems: Iterable[SystemRef], group: str | None = None) -> str:
    """Return the text of a plan file for these systems (one at least), in Chinese and English. Pure."""
    refs = list(systems)
    several = len(refs) > 1
    zh = refs[0].system.title.zh if not several else name
    en = refs[0].system.title.en if not several else name
    lines = [_HEAD.format(title=name, plan=name, zh=_quoted(f"{zh}恢复预案"), en=_quoted(f"Recovery of {en}"))]
    if group:
        lines.append(f"groups: [{group}]              # 分组按先后恢复 groups are recovered in this order\n")
    lines.append("systems:")
    for ref in refs:
        lines += _system(ref, [str(each) for each in refs if each is not ref], group)
    lines += _networks(refs)
    lines += _names(refs)
    if several:
        lines += _reconcile(refs)
    return "\n".join(lines) + "\n"


def open_ports(server: Server, groups: Mapping[str, SecurityGroup]) -> list[int]:
    """Return the TCP ports that a server's security groups let in, the lowest first. Wide ranges are left out."""
    found: set[int] = set()
    for name in server.security_groups:
        for rule in groups[name].rules if name in groups else ():
            ports = rule.port_range
            if rule.direction == "ingress" and rule.protocol == "tcp" and ports and ports[1] - ports[0] < WIDEST:
                found.update(range(ports[0], ports[1] + 1))
    return sorted(found)


def _system(ref: SystemRef, others: Collection[str], group: str | None) -> Iterator[str]:
    name = str(ref)
    title = ref.system.title
    yield f"  {name}:                # {title.zh} {title.en} · {ref.tier.tier}"
    if group:
        yield f"    group: {group}"
    if others:
        yield f"    # after: [{', '.join(others)}]  # 须先恢复的系统 what must have been recovered before"
    yield "    steps:"
    plan = Plan(plan="draft", systems={name: Recovery()})
    for step in effective_steps(plan, name, ref.system):
        yield f"      - {{do: {step.do}}}{' ' * (20 - len(step.do))}# {_STEPS[step.do]}"
    yield "      # - {do: script, name: warm-cache, command: [/usr/local/bin/warm-cache], timeout: 5m, retries: 1}"
    yield "      # - {do: prompt, name: tell-citizens, say: {zh: 发布公告, en: tell the citizens}}"
    yield from _probes(ref)


def _probes(ref: SystemRef) -> Iterator[str]:
    yield "    # 每个部分的校验总会执行 The proof of every source is always there: files, tables, volumes."
    found = [line for name in start_order(ref.system) for line in _server_probes(ref, name)]
    databases = [name for name, source in ref.system.sources.items() if source.kind == "postgresql"]
    if found:
        yield "    probes:"
        yield from found
    lead = "      # " if found else "    # probes:\n      # "
    if databases:
        query = "SELECT (count(*) > 0)::int FROM TABLE"
        yield f"{lead}- {{kind: sql, source: {databases[0]}, query: '{query}', expect: '1'}}"


def _server_probes(ref: SystemRef, name: str) -> Iterator[str]:
    for port in open_ports(ref.system.servers[name], ref.tenant.security_groups):
        if port in HTTP_PORTS:
            tls = ", tls: true" if HTTP_PORTS[port] else ""
            yield f"      - {{kind: http, server: {name}, port: {port}{tls}}}  # path, status, contains"
        else:
            yield f"      - {{kind: tcp, server: {name}, port: {port}}}"


def start_order(system: System) -> list[str]:
    """Return the servers of a system so that each stands behind those that it waits for. Pure."""
    done: dict[str, None] = {}

    def take(name: str) -> None:
        for other in system.servers[name].after:
            if other not in done:
                take(other)
        done.setdefault(name)

    for name in system.servers:
        take(name)
    return list(done)


def _networks(refs: Iterable[SystemRef]) -> Iterator[str]:
    used = {
        f"{ref.tenant.tenant}/{server.network}": ref.tenant.networks[server.network].cidr
        for ref in refs
        for server in ref.system.servers.values()
        if server.network in ref.tenant.networks
    }
    if not used:
        return
    yield ""
    yield "# 其他中心的网段,主机位置不变;不写即与生产相同"
    yield "# Addresses elsewhere: hosts keep their place, the prefix is as long; the same network when not given."
    yield "# networks:"
    for name, cidr in used.items():
        yield f"#   {name}: {{same-city: {cidr}, provincial: {cidr}}}"


def _names(refs: Iterable[SystemRef]) -> Iterator[str]:
    served = [(ref, next(iter(ref.system.servers))) for ref in refs if ref.system.servers]
    if served:
        ref, server = served[0]
        yield ""
        yield "# 随系统切换的域名 Names in the DNS that follow the system; they add a step `switch`."
        yield "# names:"
        yield f"#   www.example.gov.cn: {{system: {ref}, server: {server}, ttl: 60s}}"


def _reconcile(refs: Iterable[SystemRef]) -> Iterator[str]:
    figures = [
        (str(ref), name) for ref in refs for name, source in ref.system.sources.items() if source.kind == "postgresql"
    ]
    if len({system for system, _ in figures}) == 1 or not figures:
        return
    (left, one), (right, other) = figures[0], next(each for each in figures if each[0] != figures[0][0])
    yield ""
    yield "# 恢复后系统之间必须一致的数字 What must agree between systems after recovery."
    yield "# reconcile:"
    yield f"#   - left: {{system: {left}, source: {one}, query: {_COUNT}}}"
    yield f"#     right: {{system: {right}, source: {other}, query: {_COUNT}}}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
