"""Neutron's security groups and their rules. A rule is known by what it lets through, never by its id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.cloud.calls import created, listed, sent
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import SDK_ERRORS, explained, is_conflict, repeat
from orchestrator.cloud.marks import SUFFIX, is_ours, marked


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """What one rule lets through. None means any; `same_group` means the members of the rule's own group."""

    direction: str
    ethertype: str = "IPv4"
    protocol: str | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote: str | None = None
    same_group: bool = False

    def __str__(self) -> str:
        family = "" if self.ethertype == "IPv4" else f" {self.ethertype}"
        ports = "" if self.port_min is None else f" {self.port_min}"
        if self.port_max != self.port_min:
            ports += f"-{self.port_max}"
        whom = "the same group" if self.same_group else self.remote or "anywhere"
        preposition = "from" if self.direction == "ingress" else "to"
        return f"{self.direction}{family} {self.protocol or 'all'}{ports} {preposition} {whom}"


#: What Neutron puts into every new group by itself: everything may leave.
AUTOMATIC = frozenset({Rule("egress", "IPv4"), Rule("egress", "IPv6")})


@dataclass(frozen=True, slots=True)
class SeenRule:
    """A rule of a group in the cloud. `ours` also for those that Neutron added when we created the group."""

    id: str
    rule: Rule
    ours: bool


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    id: str
    name: str
    project_id: str
    description: str
    tags: tuple[str, ...]
    rules: tuple[SeenRule, ...]
    ours: bool


def security_groups(connection: Connection) -> list[SecurityGroup]:
    """Return all security groups with their rules, in one request."""
    found = listed(connection, "list security groups", connection.network.security_groups)
    return [_group(each) for each in found]


def create_security_group(connection: Connection, name: str, project_id: str, description: str) -> str:
    """Create a group with the mark and return its id. Neutron adds its AUTOMATIC rules."""
    network = connection.network
    return created(
        connection,
        f"create security group {name}",
        lambda: network.create_security_group(name=name, project_id=project_id, description=marked(description)),
        lambda: network.security_groups(name=name, project_id=project_id),
    )


def create_rule(connection: Connection, group_id: str, project_id: str, rule: Rule) -> None:
    """Add a rule with the mark to a group. One that is there already is fine: Neutron keeps no rule twice."""
    remote: dict[str, str] = {}
    if rule.same_group:
        remote["remote_group_id"] = group_id
    elif rule.remote:
        remote["remote_ip_prefix"] = rule.remote

    def add() -> None:
        try:
            connection.network.create_security_group_rule(
                security_group_id=group_id,
                project_id=project_id,
                direction=rule.direction,
                ether_type=rule.ethertype,
                protocol=rule.protocol,
                port_range_min=rule.port_min,
                port_range_max=rule.port_max,
                description=SUFFIX,
                **remote,
            )
        except SDK_ERRORS as error:
            there = {each.rule for each in _rules_of(connection, group_id)} if is_conflict(error) else ()
            if rule not in there:
                raise

    with explained(cloud_name(connection), f"add the rule {rule}"):
        repeat(add)


def delete_rule(connection: Connection, rule_id: str) -> None:
    """Take a rule away. One that is gone already is fine."""
    sent(connection, "network", "DELETE", f"/security-group-rules/{rule_id}", "delete a security group rule")


def delete_automatic_rules(connection: Connection, group_id: str) -> None:
    """Delete the rules that Neutron has put into a new group by itself."""
    for each in _rules_of(connection, group_id):
        if each.rule in AUTOMATIC and each.ours:
            delete_rule(connection, each.id)


def _rules_of(connection: Connection, group_id: str) -> list[SeenRule]:
    found = listed(
        connection,
        "list security group rules",
        lambda: connection.network.security_group_rules(security_group_id=group_id),
    )
    return [_seen_rule(each.to_dict(original_names=True), group_id) for each in found]


def _group(found: Any) -> SecurityGroup:
    tags = tuple(found.tags or ())
    rules = tuple(_seen_rule(each, found.id) for each in found.security_group_rules or ())
    return SecurityGroup(
        found.id,
        found.name,
        found.project_id,
        found.description or "",
        tags,
        rules,
        is_ours(found.description, tags),
    )


def _seen_rule(found: Mapping[str, Any], group_id: str) -> SeenRule:
    """Read a rule as the SDK gives it alone, or as it stands within its group: the keys of the API in both."""
    rule = Rule(
        found["direction"],
        found["ethertype"],
        found["protocol"],
        found["port_range_min"],
        found["port_range_max"],
        found["remote_ip_prefix"],
        found["remote_group_id"] == group_id,
    )
    automatic = rule in AUTOMATIC and not found.get("description")
    return SeenRule(found["id"], rule, automatic or is_ours(found.get("description")))
