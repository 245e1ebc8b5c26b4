"""The address plan: what is free in a block, and networks that lie where their zone has no addresses."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.address_plan import ZoneBlocks, next_free, next_free_of_zone

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
