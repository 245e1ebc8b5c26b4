"""Do the plans fit the systems that they recover: names, probes, steps, addresses elsewhere, people on duty?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network

from policies.document import Node
from policies.draft import Draft, fault_at, listed, network_of, unknown_name
from policies.findings import Finding, did_you_mean
from policies.probe import PROOF_OF_KIND

#: Which kinds of source a probe can look at.
KINDS_OF_PROBE: dict[str, tuple[str, ...]] = {"sql": ("postgresql", "mysql")} | {
    proof.model_fields["kind"].default: tuple(kind for kind, other in PROOF_OF_KIND.items() if other is proof)
    for proof in PROOF_OF_KIND.values()
}
#: Where a probe looks that is given no port.
PORT_OF_PROBE = {"tcp": None, "http": 80, "server-sql": 5432}

#: Steps that are about servers, which a system must have.
SERVER_STEPS = ("servers", "start")

_DNS_NAME = re.compile(r"^(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}\.?$")


def plans_misfits(draft: Draft) -> Iterator[Finding]:
    """Yield what does not fit in the plans."""
    systems = {f"{tenant}/{name}": system for tenant, name, system in draft.systems()}
    known = _Known(draft, systems)
    for plan, node in draft.plans:
        path = f"plans[{plan}]"
        for system, recovery in node.items("systems"):
            yield from _recovery_fits(f"{path}.systems.{system}", system, recovery, node, known)
        yield from _networks_fit(path, node, draft)
        yield from _names_fit(path, node, known)
        yield from _figures_fit(path, node, known)
        yield from _people_fit(path, node)
    yield from _mapped_alike(draft, systems)
    yield from _default_plans_named(draft)


class _Known:
    """The systems that there are. One of a tenant whose file could not be read is not called unknown."""

    def __init__(self, draft: Draft, systems: Mapping[str, Node]) -> None:
        self.systems, self.tenants = systems, dict(draft.tenants)
        self._unread = "tenants" in draft.unread

    def is_none(self, system: str) -> bool:
        """Whether there is surely no such system."""
        tenant, slash, _ = system.partition("/")
        hidden = self._unread and tenant not in self.tenants
        return bool(slash) and system not in self.systems and not hidden


def _recovery_fits(path: str, system: str, recovery: Node, plan: Node, known: _Known) -> Iterator[Finding]:
    if known.is_none(system):
        yield fault_at(recovery, path, system, "a system of this site", did_you_mean(system, known.systems))
    planned = [name for name, _ in plan.items("systems")]
    for each in listed(recovery.at("after")):
        for finding in unknown_name(each, f"{path}.after", "a system of this plan", planned):
            yield fault_at(recovery.at("after") or recovery, finding.path, finding.got, finding.want, finding.hint)
    groups = [str(each.value) for each in listed(plan.at("groups"))]
    if group := recovery.at("group"):
        yield from unknown_name(group, f"{path}.group", "one of the plan's groups", groups)
    if system in known.systems:
        yield from _steps_fit(path, system, recovery, plan, known.systems[system])
        yield from _probes_fit(path, system, recovery, known)


def _steps_fit(where: str, name: str, recovery: Node, plan: Node, system: Node) -> Iterator[Finding]:
    switched = any(each.text("system") == name for _, each in plan.items("names"))
    for index, step in enumerate(listed(recovery.at("steps"))):
        kind, place, path = step.text("do"), step.at("do") or step, f"{where}.steps[{index}].do"
        if kind in SERVER_STEPS and not system.items("servers"):
            hint = f"write the servers of {name} in its tenant's file, or leave the step out"
            yield fault_at(place, path, f"{kind}, and {name} has no servers", "a step that has something to do", hint)
        if kind == "switch" and not switched:
            hint = "write the name under the plan's `names`, or leave the step out"
            yield fault_at(
                place, path, f"switch, and no name points to {name}", "a step that has something to do", hint
            )


def _probes_fit(where: str, name: str, recovery: Node, known: _Known) -> Iterator[Finding]:
    system = known.systems[name]
    for index, probe in enumerate(listed(recovery.at("probes"))):
        kind, path = probe.text("kind"), f"{where}.probes[{index}]"
        if kind in KINDS_OF_PROBE:
            yield from _source_fits(path, name, probe, KINDS_OF_PROBE[kind], system)
        elif kind in PORT_OF_PROBE:
            yield from _server_fits(path, name, probe, system, known.tenants[name.partition("/")[0]])


def _source_fits(where: str, name: str, probe: Node, wanted: tuple[str, ...], system: Node) -> Iterator[Finding]:
    sources, source, path = dict(system.items("sources")), probe.text("source"), f"{where}.source"
    place = probe.at("source") or probe
    if source is None:
        return
    if source not in sources:
        fitting = [each for each, node in sources.items() if node.text("kind") in wanted]
        yield fault_at(place, path, source, f"a source of {name}", did_you_mean(source, fitting or sources))
    elif (kind := sources[source].text("kind")) in PROOF_OF_KIND and kind not in wanted:
        want = f"a {' or '.join(wanted)} source, which a probe of kind {probe.text('kind')} looks at"
        yield fault_at(place, path, f"{source}, a {kind} source", want)


def _server_fits(where: str, name: str, probe: Node, system: Node, tenant: Node) -> Iterator[Finding]:
    servers, server = dict(system.items("servers")), probe.text("server")
    if server is None:
        return
    if server not in servers:
        place = probe.at("server") or probe
        yield fault_at(place, f"{where}.server", server, f"a server of {name}", did_you_mean(server, servers))
        return
    written = probe.at("port")
    port = written.value if written else PORT_OF_PROBE[probe.text("kind") or ""]
    names = [each.value for each in listed(servers[server].at("security_groups"))]
    groups = [node for group, node in tenant.items("security_groups") if group in names]
    if isinstance(port, int) and port <= 65535 and groups and not any(_opens(group, port) for group in groups):
        got, want = f"{port}, which no security group of {server} opens", "a port that a probe can reach"
        hint = "open it in one of the server's security groups, or probe another port"
        yield fault_at(written or probe, f"{where}.port", got, want, hint, "warning")


def _opens(group: Node, port: int) -> bool:
    """Whether a rule of the group lets a connection to a port in."""
    for rule in listed(group.at("rules")):
        ports = rule.at("ports")
        low, _, high = str(ports.value if ports else "1-65535").partition("-")
        inward = rule.text("direction") in (None, "ingress") and rule.text("protocol") in (None, "tcp")
        if inward and low.isdigit() and (high or low).isdigit() and int(low) <= port <= int(high or low):
            return True
    return False


def _networks_fit(where: str, plan: Node, draft: Draft) -> Iterator[Finding]:
    home = {
        f"{tenant}/{name}": network_of(network.text("cidr"))
        for tenant, node in draft.tenants
        for name, network in node.items("networks")
    }
    tenants = dict(draft.tenants)
    placed: dict[str, list[tuple[IPv4Network, str]]] = {}
    for name, elsewhere in plan.items("networks"):
        path = f"{where}.networks.{name}"
        if name not in home:
            if "tenants" not in draft.unread or name.partition("/")[0] in tenants:
                yield fault_at(
                    elsewhere, path, name, "a network of this site: TENANT/NETWORK", did_you_mean(name, home)
                )
            continue
        for centre, node in elsewhere.items():
            there, here = network_of(node.value if isinstance(node.value, str) else None), home[name]
            if there is None or here is None:
                continue  # told by the model
            if there.prefixlen != here.prefixlen:
                want = f"a network of /{here.prefixlen}, as {here} at production"
                yield fault_at(node, f"{path}.{centre}", str(there), want, "hosts keep their place in the network")
            others = placed.setdefault(centre, [])
            if other := next((each for cidr, each in others if cidr.overlaps(there)), None):
                hint = f"{other} has addresses of it at {centre}"
                yield fault_at(node, f"{path}.{centre}", str(there), "addresses that no other network has", hint)
            others.append((there, name))


def _mapped_alike(draft: Draft, systems: Mapping[str, Node]) -> Iterator[Finding]:
    """Yield where plans map a network otherwise than another does: at a centre it has one set of addresses."""
    for centre in ("same-city", "provincial"):
        mapped: dict[str, tuple[str, str]] = {}
        for plan, node in draft.plans:
            for name, elsewhere in node.items("networks"):
                if there := elsewhere.text(centre):
                    mapped.setdefault(name, (there, plan))
        for plan, node in draft.plans:
            own = dict(node.items("networks"))
            for name in sorted(mapped.keys() & (own.keys() | _used(node, systems))):
                there, (want, first) = own[name].text(centre) if name in own else None, mapped[name]
                if there != want:
                    path, place = f"plans[{plan}].networks.{name}.{centre}", own.get(name) or node
                    yield fault_at(place, path, there or "nothing", want, f"the plan {first} maps it so")


def _used(plan: Node, systems: Mapping[str, Node]) -> set[str]:
    """Return the networks in which the servers of a plan's systems stand: TENANT/NETWORK."""
    return {
        f"{name.partition('/')[0]}/{server.text('network')}"
        for name, _ in plan.items("systems")
        if name in systems
        for _, server in systems[name].items("servers")
    }


def _names_fit(where: str, plan: Node, known: _Known) -> Iterator[Finding]:
    planned = [name for name, _ in plan.items("systems")]
    for name, node in plan.items("names"):
        path = f"{where}.names.{name}"
        if not _DNS_NAME.match(name):
            yield fault_at(node, path, name, "a whole name in the DNS such as www.example.gov.cn")
        if system := node.at("system"):
            yield from unknown_name(system, f"{path}.system", "a system of this plan", planned)
        server, of = node.at("server"), known.systems.get(node.text("system") or "")
        if server and of:
            servers = [each for each, _ in of.items("servers")]
            yield from unknown_name(server, f"{path}.server", f"a server of {node.text('system')}", servers)


def _figures_fit(where: str, plan: Node, known: _Known) -> Iterator[Finding]:
    planned = [name for name, _ in plan.items("systems")]
    for index, node in enumerate(listed(plan.at("reconcile"))):
        for side in ("left", "right"):
            figure, path = node.at(side), f"{where}.reconcile[{index}].{side}"
            if figure is None:
                continue
            if system := figure.at("system"):
                yield from unknown_name(system, f"{path}.system", "a system of this plan", planned)
            name = figure.text("system") or ""
            if name in known.systems:
                yield from _figure_source_fits(path, name, figure, known.systems[name])


def _figure_source_fits(path: str, name: str, figure: Node, system: Node) -> Iterator[Finding]:
    sources = dict(system.items("sources"))
    databases = [source for source, each in sources.items() if each.text("kind") in KINDS_OF_PROBE["sql"]]
    if (source := figure.at("source")) and isinstance(source.value, str) and source.value not in databases:
        kind = sources[source.value].text("kind") if source.value in sources else None
        got = f"{source.value}, a {kind} source" if kind else source.value
        yield fault_at(
            source, f"{path}.source", got, f"a database source of {name}", did_you_mean(source.value, databases)
        )


def _people_fit(where: str, plan: Node) -> Iterator[Finding]:
    people = [each for each in listed(plan.at("duty")) if isinstance(each.value, str)]
    seen: set[str] = set()
    for index, each in enumerate(people):
        if str(each.value) in seen:
            yield fault_at(each, f"{where}.duty[{index}]", f"{each.value} a second time", "each person once")
        seen.add(str(each.value))
    if len(seen) == 1:
        hint = "who declares a failover may not approve it"
        duty = plan.at("duty")
        assert duty
        yield fault_at(duty, f"{where}.duty", "one person", "two different persons or more", hint, "warning")


def _default_plans_named(draft: Draft) -> Iterator[Finding]:
    planned = {system for _, node in draft.plans for system, _ in node.items("systems")}
    taken = {plan: next((system for system, _ in node.items("systems")), "") for plan, node in draft.plans}
    for tenant, name, system in draft.systems():
        if f"{tenant}/{name}" in planned:
            continue
        plan = f"{tenant}-{name}"
        if taken.setdefault(plan, f"{tenant}/{name}") != f"{tenant}/{name}":
            got = f"a default plan named {plan}"
            want = f"a name that the plan of {taken[plan]} does not have"
            hint = "write a plan file of another name for this system"
            yield fault_at(system, f"tenants[{tenant}].systems.{name}", got, want, hint)
