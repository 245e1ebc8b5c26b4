"""The address plan: what is free in a block, and networks that lie where their zone has no addresses."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.address_plan import ZoneBlocks, next_free, next_free_of_zone
from policies.load import check_site

BLOCK = IPv4Network("10.1.0.0/24")


@st.composite
def networks(draw: st.DrawFn) -> IPv4Network:
    """A network in or around 10.1.0.0/24, small enough for every subnet to be counted."""
    address = draw(st.integers(int(IPv4Network("10.0.255.0/24")[0]), int(IPv4Network("10.1.1.0/24")[-1])))
    return IPv4Network((address, draw(st.integers(20, 32))), strict=False)


@given(taken=st.lists(networks(), max_size=12), prefix=st.integers(24, 30))
def test_the_lowest_free_network_is_found_as_by_looking_at_every_one(taken, prefix):
    every = BLOCK.subnets(new_prefix=prefix)
    assert next_free(BLOCK, taken, prefix) == next(
        (each for each in every if not any(each.overlaps(other) for other in taken)), None
    )


@pytest.mark.parametrize(("prefix", "wanted"), [(24, "10.1.0.0/24"), (32, "10.1.0.0/32"), (23, None), (0, None)])
def test_an_empty_block_gives_its_first_network_and_nothing_larger_than_itself(prefix, wanted):
    assert next_free(BLOCK, (), prefix) == (IPv4Network(wanted) if wanted else None)


def test_a_prefix_that_no_network_has_is_refused():
    with pytest.raises(ValueError, match="33 bits"):
        next_free(BLOCK, (), 33)


def test_the_whole_space_can_be_given_out_to_its_end():
    everything = IPv4Network("0.0.0.0/0")
    assert next_free(everything, (IPv4Network("0.0.0.0/1"),), 1) == IPv4Network("128.0.0.0/1")
    assert next_free(everything, (everything,), 32) is None


def test_a_zone_gives_from_its_first_block_with_room():
    plan = {"office": ZoneBlocks.model_validate({"blocks": ["10.1.0.0/30", "10.2.0.0/16"]})}
    assert next_free_of_zone(plan, "office", (), 24) == IPv4Network("10.2.0.0/24")
    assert next_free_of_zone(plan, "office", (IPv4Network("10.2.0.0/16"),), 24) is None
    assert next_free_of_zone(plan, "nowhere", (), 24) is None


PLAN = """\
zones:
  public: {title: {zh: 公用, en: Shared}, kind: shared}
  private: {title: {zh: 专用, en: Private}, kind: private}
address_plan:
  public:
    blocks: [10.1.0.0/16]
    centres:
      same-city: [10.2.0.0/16]
"""
ZONES = "zones:\n  public: {title: {zh: 公用, en: Shared}, kind: shared}\n"
MAPPING = "plan: his\nsystems: {health/his: {}}\nnetworks: {health/ward: {same-city: 10.3.0.0/24}}\n"


@pytest.fixture
def planned_site(site_folder: Path) -> Path:
    """The small site with an address plan in which its one network fits."""
    site = site_folder / "site.yaml"
    site.write_text(site.read_text("utf-8").replace(ZONES, PLAN), "utf-8")
    assert check_site(site_folder).findings == ()
    return site_folder


def faults(folder: Path) -> list[tuple[str, str, str]]:
    return [(each.path, each.got, each.want) for each in check_site(folder).findings]


def write(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def test_a_network_outside_its_zones_blocks_is_a_fault(planned_site):
    write(planned_site / "tenants" / "health.yaml", "10.1.0.0/24", "10.9.0.0/24")
    want = "a network within a block of the zone public: 10.1.0.0/16"
    assert faults(planned_site) == [("tenants[health].networks.ward.cidr", "10.9.0.0/24", want)]


def test_a_network_of_a_zone_without_a_block_is_a_fault(planned_site):
    write(planned_site / "tenants" / "health.yaml", "zone: public", "zone: private")
    want = "a network within a block of the zone private: none in address_plan"
    assert faults(planned_site) == [("tenants[health].networks.ward.cidr", "10.1.0.0/24", want)]


def test_a_mapping_outside_the_blocks_of_that_centre_is_a_fault_and_elsewhere_it_is_not(planned_site):
    (planned_site / "plans").mkdir()
    (planned_site / "plans" / "his.yaml").write_text(MAPPING, "utf-8")
    want = "a network within a block of the zone public: 10.2.0.0/16 at same-city"
    assert faults(planned_site) == [("plans[his].networks.health/ward.same-city", "10.3.0.0/24", want)]
    write(planned_site / "plans" / "his.yaml", "same-city", "provincial")
    assert faults(planned_site) == []


def test_blocks_of_two_zones_share_no_address_and_zones_are_known(planned_site):
    more = "  private: {blocks: [10.1.128.0/17]}\n  privat: {blocks: [10.4.0.0/16]}\n"
    write(planned_site / "site.yaml", "address_plan:\n", f"address_plan:\n{more}")
    assert [(path, got) for path, got, _ in faults(planned_site)] == [
        ("address_plan.privat", "privat"),
        ("address_plan.public.blocks[0]", "10.1.0.0/16"),
    ]
