"""The security that every tenant gets without asking, as data.

The group `baseline` is meant for every server of a bureau:

* everything may leave;
* servers in the group reach each other on every port;
* ICMP comes in from anywhere, because path MTU discovery and fault finding die without it;
* SSH comes in from the bureau's own networks only.

What the public or other bureaus may reach is for the bureau's own groups to say. Neutron's group `default` is left
as it is: Tricenter did not create it.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network

from orchestrator.cloud.security import AUTOMATIC, Rule
from policies.tenant import SecurityRule

GROUP = "baseline"
DESCRIPTION = "what every server of the tenant needs"

SSH_PORT = 22


def baseline_rules(networks: Iterable[IPv4Network]) -> frozenset[Rule]:
    """Return the rules of the baseline group of a tenant with these networks."""
    always = {
        *AUTOMATIC,
        Rule("ingress", same_group=True),
        Rule("ingress", protocol="icmp"),
    }
    ssh = {Rule("ingress", protocol="tcp", port_min=SSH_PORT, port_max=SSH_PORT, remote=str(each)) for each in networks}
    return frozenset(always | ssh)


def own_rules(rules: Iterable[SecurityRule]) -> frozenset[Rule]:
    """Return the rules of a group that the tenant wrote. Everything may leave, unless it says what may."""
    written = {_rule(each) for each in rules}
    names_egress = any(each.direction == "egress" for each in written)
    return frozenset(written if names_egress else written | AUTOMATIC)


def _rule(written: SecurityRule) -> Rule:
    low, high = written.port_range or (None, None)
    remote = str(written.remote) if written.remote else None
    return Rule(written.direction, "IPv4", written.protocol, low, high, remote)
