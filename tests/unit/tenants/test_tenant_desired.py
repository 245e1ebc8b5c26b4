"""What a tenant must be, from the site alone."""

from __future__ import annotations

from typing import Any, cast

import pytest

from orchestrator.cloud.security import Rule
from orchestrator.errors import InvalidInput
from orchestrator.tenants import items
from orchestrator.tenants.baseline import baseline_rules
from orchestrator.tenants.desired import Target, all_desired, desired
from policies.plan import Plan
from policies.site import Site


def site_of(**tenant: Any) -> Site:
    """Return a site with one tenant named `land`; keywords change the tenant."""
    place = {"title": {"zh": "中心", "en": "centre"}, "location": {"latitude": 1, "longitude": 2}}
    cloud = {"name": "c", "external_network": "public"}
    vault = {"endpoint": "http://v", "credential": "file:a", "admin_credential": "file:b"}
    source = {"kind": "path", "path": "/x"}
    system = {"title": {"zh": "系统", "en": "system"}, "sources": {"tree": source}}
    retention = {"keep_within": "30d", "lock": "36h"}
    copy = {"rpo": "1d", "rto": "1d", "retention": retention}
    far = {**copy, "retention": {"keep_within": "90d", "lock": "30d"}}
    tier = {"title": {"zh": "级", "en": "tier"}, "backup_every": "12h", "drill": {"every": "90d"}, "gbt20988_level": 2}
    return Site.model_validate(
        {
            "site": "city",
            "title": {"zh": "市", "en": "City"},
            "centres": {
                "production": {**place, "cloud": cloud},
                "same-city": {**place, "cloud": cloud, "vault": vault},
                "provincial": {**place, "vault": vault},
            },
            "zones": {"office": {"title": {"zh": "办公", "en": "office"}, "kind": "shared"}},
            "repository_password": "file:p",
            "tiers": {
                "near": {"tier": "near", **tier, "copies": {"same-city": copy}},
                "both": {"tier": "both", **tier, "copies": {"same-city": copy, "provincial": far}},
            },
            "tenants": {
                "land": {
                    "tenant": "land",
                    "title": {"zh": "国土局", "en": "Land Bureau"},
                    "unit_code": "1",
                    "mlps_level": 3,
                    "contact": "x",
                    "systems": {"files": {**system, "tier": "near"}},
                    **tenant,
                }
            },
        }
    )


def names(site: Site, centre: Any, noun: str) -> list[str]:
    wanted = desired(site, site.tenants["land"], centre)
    return [each.name for each in wanted.items if each.noun == noun] if wanted else []


def test_each_centre_gets_what_stands_there() -> None:
    site = site_of()
    found = all_desired(site, ["land"])
    assert [each.target for each in found] == [Target("land", "production"), Target("land", "same-city")]
    assert names(site, "production", "bucket") == []
    assert names(site, "same-city", "bucket") == ["dr-land"]


def test_a_vault_without_a_copy_of_the_tenant_gets_no_bucket() -> None:
    assert names(site_of(), "provincial", "bucket") == []


def test_the_lock_is_the_longest_of_the_systems_in_whole_days() -> None:
    system = {"title": {"zh": "s", "en": "s"}, "sources": {"tree": {"kind": "path", "path": "/x"}}}
    site = site_of(systems={"one": {**system, "tier": "near"}, "two": {**system, "tier": "both"}})
    locks = {
        want.target.centre: item.lock_days
        for want in all_desired(site, ["land"])
        for item in want.items
        if isinstance(item, items.Bucket)
    }
    assert locks == {"same-city": 2, "provincial": 30}


def test_quotas_that_are_not_named_are_not_wanted_and_zero_and_unlimited_are() -> None:
    site = site_of(quota={"compute": {"cores": 0, "ram": "unlimited"}})
    wanted = desired(site, site.tenants["land"], "production")
    assert wanted
    (quota,) = [each for each in wanted.items if isinstance(each, items.Quota)]
    assert quota.name == "compute"
    assert quota.limits == {"cores": 0, "ram": -1}


def test_a_quota_is_the_class_with_the_tenants_own_limits_over_it_and_tells_where_each_is_written() -> None:
    site = site_of(quota_class="small", quota_multiplier=2, quota={"compute": {"ram": 0}})
    classes = {"small": {"compute": {"cores": 4, "ram": 8}, "network": {"routers": "unlimited"}}}
    site = Site.model_validate({**site.model_dump(by_alias=True), "quota_classes": classes})
    wanted = desired(site, site.tenants["land"], "production")
    assert wanted
    compute, network = [each for each in wanted.items if isinstance(each, items.Quota)]
    assert (compute.limits, network.limits) == ({"cores": 8, "ram": 0}, {"routers": -1})
    assert compute.origins == {"cores": "class small × 2", "ram": "tenant"}


def test_networks_of_different_zones_do_not_share_a_router() -> None:
    site = site_of(
        networks={
            "aa": {"zone": "office", "cidr": "10.0.1.0/24"},
            "bb": {"zone": "inner", "cidr": "10.0.2.0/24"},
            "cc": {"zone": "inner", "cidr": "10.0.3.0/24"},
        }
    )
    assert names(site, "production", "router") == ["inner", "office"]
    assert names(site, "production", "router interface") == ["aa on office", "bb on inner", "cc on inner"]


def test_a_network_has_the_addresses_that_a_plan_maps_it_to() -> None:
    lan = {"aa": {"zone": "office", "cidr": "10.0.1.0/24"}}
    mapped = {"plan": "files", "systems": {"land/files": {}}, "networks": {"land/aa": {"same-city": "10.9.1.0/24"}}}
    site = site_of(networks=lan).model_copy(update={"plans": {"files": Plan.model_validate(mapped)}})
    for centre, cidr in (("production", "10.0.1.0/24"), ("same-city", "10.9.1.0/24")):
        wanted = desired(site, site.tenants["land"], cast(Any, centre))
        assert wanted
        assert [each.cidr for each in wanted.items if isinstance(each, items.Subnet)] == [cidr]
        sources = {each.rule.remote for each in wanted.items if isinstance(each, items.SecurityRule)}
        assert cidr in sources


def test_what_others_need_comes_first() -> None:
    site = site_of(
        members={"zhang": {"name": "张"}},
        quota={"compute": {"cores": 1}},
        networks={"aa": {"zone": "office", "cidr": "10.0.1.0/24"}},
        security_groups={"web": {"rules": [{"protocol": "tcp", "ports": 443}]}},
    )
    wanted = desired(site, site.tenants["land"], "production")
    assert wanted
    nouns = [each.noun for each in wanted.items]
    order = ["domain", "project", "group", "user", "quota", "router", "network", "subnet", "router interface"]
    assert [nouns.index(each) for each in order] == sorted(nouns.index(each) for each in order)
    assert nouns.index("security group") < nouns.index("security rule")
    assert nouns[-1] == "application credential"


def test_ssh_comes_from_the_tenants_own_networks_only() -> None:
    site = site_of(networks={"aa": {"zone": "office", "cidr": "10.0.1.0/24"}})
    ssh = [rule for rule in baseline_rules([site.tenants["land"].networks["aa"].cidr]) if rule.port_min == 22]
    assert ssh == [Rule("ingress", "IPv4", "tcp", 22, 22, "10.0.1.0/24")]


def test_a_group_that_says_what_may_leave_keeps_no_rule_that_lets_all_leave() -> None:
    site = site_of(
        security_groups={
            "shut": {"rules": [{"direction": "egress", "protocol": "udp", "ports": "53"}]},
            "open": {"rules": [{"protocol": "tcp", "ports": "80-81", "remote": "10.0.0.0/8"}]},
        }
    )
    rules = names(site, "production", "security rule")
    assert [each for each in rules if each.startswith("shut")] == ["shut: egress udp 53 to anywhere"]
    assert [each for each in rules if each.startswith("open")] == [
        "open: egress IPv6 all to anywhere",
        "open: egress all to anywhere",
        "open: ingress tcp 80-81 from 10.0.0.0/8",
    ]


@pytest.mark.parametrize(
    "taken",
    [
        {"members": {"tricenter": {"name": "x"}}},
        {"security_groups": {"baseline": {}}},
        {"security_groups": {"default": {}}},
    ],
)
def test_names_that_tricenter_needs_are_refused(taken: dict[str, Any]) -> None:
    site = site_of(**taken)
    with pytest.raises(InvalidInput, match="taken"):
        desired(site, site.tenants["land"], "production")
