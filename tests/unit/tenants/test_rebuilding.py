"""What a definition becomes elsewhere: its addresses, its items, and what it is compared by."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from orchestrator.cloud.definition import as_bytes, digests, from_bytes
from orchestrator.errors import CheckFailed, Refused
from orchestrator.tenants import items
from orchestrator.tenants.desired import Target
from orchestrator.tenants.items import Seen
from orchestrator.tenants.looking import Look
from orchestrator.tenants.planning import plan
from orchestrator.tenants.rebuilding import differences, lacking, moved, only_new, wanted_from

TARGET = Target("land", "same-city")


def definition() -> dict[str, Any]:
    described = {"name": "office", "description": ""}
    rule = {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_min": 22, "port_max": 22}
    return {
        "format": 1,
        "project": {"name": "land", "description": ""},
        "quotas": {},
        "networks": [{**described, "mtu": 1450, "shared": False, "port_security": True}],
        "subnets": [
            {
                **described, "network": "office", "cidr": "10.1.0.0/24", "ip_version": 4, "gateway": "10.1.0.1",
                "dhcp": True, "dns": [], "pools": [{"start": "10.1.0.2", "end": "10.1.0.254"}], "routes": [],
            }
        ],
        "routers": [{**described, "external_network": "wan", "subnets": ["office"], "routes": []}],
        "security_groups": [
            {
                "name": "web", "description": "",
                "rules": [
                    {**rule, "remote": "10.1.0.0/24", "remote_group": None},
                    {**rule, "remote": None, "remote_group": "other"},
                ],
            },
            {"name": "default", "description": "", "rules": []},
        ],
        "key_pairs": [], "floating_ips": [], "flavors": [{"name": "small"}], "volumes": [], "servers": [],
    }  # fmt: skip


def test_addresses_move_with_their_network_and_hosts_keep_their_place() -> None:
    there = moved(definition(), {"office": IPv4Network("10.9.4.0/24")})
    (subnet,) = there["subnets"]
    assert (subnet["cidr"], subnet["gateway"]) == ("10.9.4.0/24", "10.9.4.1")
    assert subnet["pools"] == [{"start": "10.9.4.2", "end": "10.9.4.254"}]
    assert there["security_groups"][0]["rules"][0]["remote"] == "10.9.4.0/24"
    assert moved(definition(), {"office": IPv4Network("10.1.0.0/24")}) == definition()
    assert moved(there, {"office": IPv4Network("10.1.0.0/24")}) == definition()


def test_a_definition_becomes_items_with_the_centres_own_way_out() -> None:
    wanted = wanted_from(definition(), TARGET, "wan-of-the-twin")
    assert [(each.noun, each.name) for each in wanted.items] == [
        ("router", "office"),
        ("network", "office"),
        ("subnet", "office"),
        ("router interface", "office on office"),
        ("security group", "web"),
        ("security rule", "web: ingress tcp 22 from 10.1.0.0/24"),
    ]
    (router,) = [each for each in wanted.items if isinstance(each, items.Router)]
    assert router.external_network == "wan-of-the-twin"
    (group,) = [each for each in wanted.items if isinstance(each, items.SecurityGroup)]
    assert not group.open_egress


def test_two_of_one_name_are_refused() -> None:
    value = definition()
    value["networks"] *= 2
    with pytest.raises(CheckFailed, match="two networks named office"):
        wanted_from(value, TARGET, None)
    assert {"networks/office", "networks/office#2"} <= digests(value).keys()


def look(*seen: Seen, project: bool = True) -> Look:
    wanted = wanted_from(definition(), TARGET, None)
    there = [Seen("p", True, items.Project("land", ""))] if project else []
    observed = {each.item.key: (each,) for each in (*there, *seen)}
    return Look(wanted, observed, plan(wanted, observed))


def test_only_what_is_new_is_made_and_nothing_of_anybody_else_is_added_to() -> None:
    everything = only_new(look())
    assert [each.kind for each in everything.actions] == ["create"] * 6
    theirs = Seen("g", False, items.SecurityGroup("web", "theirs"))
    network = Seen("n", False, items.Network("office", "theirs"))
    left = only_new(look(theirs, network))
    assert [each.item.noun for each in left.actions] == ["router"]
    ours = only_new(look(Seen("g", True, items.SecurityGroup("web", "ours, and another text"))))
    assert ("security rule", "create") in {(each.item.noun, each.kind) for each in ours.actions}
    assert not [each for each in ours.actions if each.kind != "create"]


def test_nothing_is_taken_away_that_the_definition_does_not_have() -> None:
    role = Seen("r", True, items.Role("user zhang: member", "user", "zhang", "member"))
    assert "remove" in {each.kind for each in look(role).actions}
    assert {each.kind for each in only_new(look(role)).actions} == {"create"}


def test_a_tenant_without_a_project_is_applied_first() -> None:
    with pytest.raises(Refused) as told:
        only_new(look(project=False))
    assert "tenant apply land --centre same-city" in told.value.hint


def test_definitions_are_compared_by_what_is_rebuilt() -> None:
    there = definition()
    there["networks"][0]["mtu"], there["routers"][0]["external_network"], there["flavors"] = 1500, "twin", []
    assert differences(definition(), there) == ()
    assert lacking(definition(), there) == ("flavors/small",)
    there["subnets"][0]["dns"], there["security_groups"] = ["10.0.0.53"], there["security_groups"][1:]
    assert differences(definition(), there) == ("missing security_groups/web", "subnets/office differs")


def test_a_definition_is_one_text_whatever_the_order() -> None:
    value = definition()
    assert as_bytes(value) == as_bytes(dict(reversed(value.items())))
    assert from_bytes(as_bytes(value)) == value
    for broken in (b"", b"[]", b"{}", as_bytes({**value, "format": 2}), as_bytes({**value, "servers": None})):
        with pytest.raises(CheckFailed):
            from_bytes(broken)
