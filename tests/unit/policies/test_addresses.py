"""Addresses elsewhere: every host keeps its place, no two become one, and what does not fit is told."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.addresses import AddressMisfit, address_at, network_at, networks_at
from policies.plan import Plan
from policies.tenant import Tenant

CENTRES = ("production", "same-city", "provincial")


def bureau(cidr: str) -> Tenant:
    return Tenant.model_validate(
        {
            "tenant": "bureau",
            "title": {"zh": "局", "en": "Bureau"},
            "unit_code": "T-1",
            "mlps_level": 2,
            "contact": "nobody",
            "networks": {"office": {"zone": "public", "cidr": cidr}},
            "systems": {
                "registry": {
                    "title": {"zh": "登记", "en": "Registry"},
                    "tier": "remote-dr",
                    "sources": {"disk": {"kind": "volume", "volume": "disk"}},
                }
            },
        }
    )


def plan(**elsewhere: str) -> Plan:
    networks = {"bureau/office": {name.replace("_", "-"): cidr for name, cidr in elsewhere.items()}}
    return Plan.model_validate({"plan": "registry", "systems": {"bureau/registry": {}}, "networks": networks})


def test_a_network_that_is_not_mapped_is_the_same_everywhere() -> None:
    tenant, address = bureau("10.20.1.0/24"), IPv4Address("10.20.1.17")
    for centre in CENTRES:
        assert address_at(plan(), tenant, "office", address, centre) == address


def test_a_tenant_has_its_networks_as_the_plans_map_them() -> None:
    tenant, mapped = bureau("10.20.1.0/24"), plan(same_city="10.120.1.0/24")
    assert [networks_at([plan(), mapped], tenant, centre)["office"] for centre in CENTRES] == [
        IPv4Network("10.20.1.0/24"),
        IPv4Network("10.120.1.0/24"),
        IPv4Network("10.20.1.0/24"),
    ]


def test_each_centre_has_its_own_mapping_and_production_none() -> None:
    tenant, mapped = bureau("10.20.1.0/24"), plan(same_city="10.120.1.0/24")
    assert address_at(mapped, tenant, "office", IPv4Address("10.20.1.17"), "same-city") == IPv4Address("10.120.1.17")
    assert address_at(mapped, tenant, "office", IPv4Address("10.20.1.17"), "provincial") == IPv4Address("10.20.1.17")
    assert network_at(mapped, tenant, "office", "production") == IPv4Network("10.20.1.0/24")


@given(own=st.integers(24, 31), there=st.integers(24, 31), base=st.integers(0, 255))
def test_hosts_are_mapped_one_to_one_or_refused(own: int, there: int, base: int) -> None:
    source = IPv4Network((int(IPv4Address("10.0.0.0")) + (base << 16), own))
    target = IPv4Network((int(IPv4Address("172.16.0.0")), there))
    tenant, mapped = bureau(str(source)), plan(same_city=str(target))
    found: dict[IPv4Address, IPv4Address] = {}
    for host in source.hosts():
        try:
            found[host] = address_at(mapped, tenant, "office", host, "same-city")
        except AddressMisfit:
            assert (
                there > own or own >= 31
            )  # only what is smaller, or has hosts at its very ends, cannot be mapped to all
            continue
    assert len(set(found.values())) == len(found)
    assert set(found.values()) <= set(target.hosts())
    if own == there:
        assert sorted(found) == sorted(source.hosts())
        assert sorted(found.values()) == sorted(target.hosts())


@pytest.mark.parametrize("address", ["10.20.2.1", "10.20.1.0", "10.20.1.255"])
def test_what_is_no_host_of_the_network_is_refused(address: str) -> None:
    with pytest.raises(AddressMisfit, match="no host of bureau/office"):
        address_at(plan(), bureau("10.20.1.0/24"), "office", IPv4Address(address), "same-city")


def test_a_network_that_is_too_small_is_told_with_what_would_do() -> None:
    tenant, mapped = bureau("10.20.1.0/24"), plan(provincial="10.9.0.0/26")
    with pytest.raises(AddressMisfit, match=r"no place in 10\.9\.0\.0/26 at provincial") as caught:
        address_at(mapped, tenant, "office", IPv4Address("10.20.1.63"), "provincial")
    assert "10.20.1.0/24" in caught.value.hint
