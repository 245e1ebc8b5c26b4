"""Rebuilding what a definition says and a centre lacks: made through the same plan and acts as any other apply.

A definition is what a backup has read of the tenant at a cloud (`orchestrator.cloud.definition`). Here it becomes
items, the planner finds what is missing, and of its actions only those that create something new are kept: nothing
that stands at the centre is changed or deleted. Who may log in, quotas and the vault are the site's to say
(`tenant apply`); servers and volumes come back by a recovery.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from orchestrator.cloud.definition import Definition, Fields, digests
from orchestrator.cloud.security import AUTOMATIC, Rule
from orchestrator.errors import CheckFailed, Refused
from orchestrator.tenants import items
from orchestrator.tenants.desired import Desired, Target, interface_item, rule_item
from orchestrator.tenants.items import Item
from orchestrator.tenants.looking import Look
from orchestrator.tenants.planning import Action

#: What is rebuilt. Of the rest of a definition it is only told what the centre lacks.
REBUILT = ("networks", "subnets", "routers", "security_groups", "key_pairs")
TOLD = ("flavors", "volumes", "servers", "floating_ips")

#: The group that Neutron makes for every project by itself.
DEFAULT = "default"


def moved(definition: Definition, networks: Mapping[str, IPv4Network]) -> Definition:
    """Return a definition with the addresses that its networks have elsewhere. Pure.

    Hosts keep their place in a network; a rule that names a whole network names the one that it became.
    """
    new = {
        each["cidr"]: networks[each["network"]]
        for each in definition["subnets"]
        if each["network"] in networks and str(networks[each["network"]]) != each["cidr"]
    }
    if not new:
        return definition
    changed: Definition = json.loads(json.dumps(definition))
    for each in changed["subnets"]:
        if each["cidr"] in new:
            _move(each, IPv4Network(each["cidr"]), new[each["cidr"]])
    for group in changed["security_groups"]:
        for rule in group["rules"]:
            if rule["remote"] in new:
                rule["remote"] = str(new[rule["remote"]])
    return changed


def _move(subnet: Fields, old: IPv4Network, new: IPv4Network) -> None:
    def there(address: str) -> str:
        return str(IPv4Address(int(new.network_address) + int(IPv4Address(address)) - int(old.network_address)))

    subnet["cidr"] = str(new)
    if subnet["gateway"]:
        subnet["gateway"] = there(subnet["gateway"])
    subnet["pools"] = [{end: there(address) for end, address in pool.items()} for pool in subnet["pools"]]


def wanted_from(definition: Definition, target: Target, external_network: str | None) -> Desired:
    """Return what must be at a centre so that it has what a definition says. Pure.

    `external_network` is the centre's own. Raises CheckFailed for names that stand twice: what is what cannot be told.
    """
    for kind in REBUILT:
        if twice := sorted(name for name, number in Counter(e["name"] for e in definition[kind]).items() if number > 1):
            raise CheckFailed(
                f"the definition has two {kind.replace('_', ' ')} named {', '.join(twice)}",
                hint="rename one of the two in a copy of the file, and rebuild from that",
            )
    return Desired(target, tuple(_items(definition, external_network)))


def _items(definition: Definition, external_network: str | None) -> Iterator[Item]:
    for each in definition["routers"]:
        gateway = external_network if each["external_network"] else None
        yield items.Router(each["name"], each["description"], gateway)
    for each in definition["networks"]:
        yield items.Network(each["name"], each["description"])
    for each in definition["subnets"]:
        if each["ip_version"] == 4:
            dns = tuple(each["dns"])
            yield items.Subnet(each["name"], each["network"], each["cidr"], dns, each["description"])
    for router in definition["routers"]:
        for subnet in router["subnets"]:
            yield interface_item(subnet, router["name"])
    for group in definition["security_groups"]:
        if group["name"] == DEFAULT:
            continue
        rules = {rule for each in group["rules"] if (rule := _rule(each, group["name"]))}
        yield items.SecurityGroup(group["name"], group["description"], open_egress=rules >= AUTOMATIC)
        for rule in sorted(rules, key=str):
            yield rule_item(group["name"], rule)


def _rule(fields: Fields, group: str) -> Rule | None:
    """Return a rule, None for one about the members of another group: those are made by hand, and told as missing."""
    if fields["remote_group"] not in (None, group):
        return None
    same_group = fields["remote_group"] == group
    ports = fields["port_min"], fields["port_max"]
    return Rule(fields["direction"], fields["ethertype"], fields["protocol"], *ports, fields["remote"], same_group)


def only_new(found: Look) -> Look:
    """Return a look with what is to be created only. Raises Refused where the tenant has no project yet. Pure."""
    target = found.target
    if (items.Project.noun, target.tenant) not in found.observed:
        raise Refused(
            f"{target} has no project to rebuild in",
            hint=f"tricenter tenant apply {target.tenant} --centre {target.centre}",
        )
    made: dict[items.Key, Action] = {}
    for each in found.actions:
        if each.kind == "create" and all(_stands(found, made, key) for key in _needed_by(each.item)):
            made[each.item.key] = each
    return replace(found, actions=tuple(made.values()), left=())


def _needed_by(item: Item) -> tuple[items.Key, ...]:
    """Return what an item is a part of, or added to."""
    match item:
        case items.Subnet():
            return ((items.Network.noun, item.network),)
        case items.Interface() | items.LinkInterface():
            return ((items.Subnet.noun, item.subnet), (items.Router.noun, item.router))
        case items.SecurityRule():
            return ((items.SecurityGroup.noun, item.group),)
    return ()


def _stands(found: Look, made: Collection[items.Key], key: items.Key) -> bool:
    """Whether something may be added to: it is made here, or Tricenter has made it. Nobody else's is changed."""
    there = found.observed.get(key)
    return all(each.ours for each in there) if there else key in made


def missing_key_pairs(definition: Definition, there: Definition) -> list[Fields]:
    """Return the key pairs of a definition that a centre lacks. Pure."""
    known = {each["name"] for each in there["key_pairs"]}
    return [each for each in definition["key_pairs"] if each["name"] not in known]


def differences(definition: Definition, there: Definition) -> tuple[str, ...]:
    """Return what a centre has otherwise than a definition says, of what is rebuilt: one line each. Pure.

    Ids are in neither. Aside are the external network, which is the centre's own, and its largest packet.
    """
    want, got = (digests(_normal(each)) for each in (definition, there))
    lines = [f"missing {key}" for key in sorted(want.keys() - got.keys())]
    return (*lines, *(f"{key} differs" for key in sorted(want.keys() & got.keys()) if want[key] != got[key]))


def lacking(definition: Definition, there: Definition) -> tuple[str, ...]:
    """Return what a definition lists beside that, and a centre does not have: for people to know. Pure."""
    have = {(kind, each["name"]) for kind in TOLD for each in there[kind]}
    return tuple(
        f"{kind}/{each['name']}" for kind in TOLD for each in definition[kind] if (kind, each["name"]) not in have
    )


def _normal(definition: Definition) -> Definition:
    value: dict[str, Any] = {"project": None, "quotas": None, **{kind: [] for kind in TOLD}}
    value |= {kind: definition[kind] for kind in REBUILT}
    value["networks"] = [{**each, "mtu": None} for each in definition["networks"]]
    value["routers"] = [
        {**each, "external_network": each["external_network"] is not None} for each in definition["routers"]
    ]
    return value
