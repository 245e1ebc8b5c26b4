"""The site's address plan: which blocks belong to which zone of the government extranet, and what is free in them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv4Network

from pydantic import Field

from policies.tenant import Cidr, StandbyName
from policies.values import Model


class ZoneBlocks(Model):
    """The blocks of one zone. A tenant's network lies within one of them."""

    blocks: tuple[Cidr, ...] = Field(min_length=1, description="10.210.0.0/17; no other zone shares an address")
    centres: dict[StandbyName, tuple[Cidr, ...]] = Field(
        default_factory=dict, description="where plans map the zone's networks at another centre; anywhere if not given"
    )


def within(cidr: IPv4Network, blocks: Iterable[IPv4Network]) -> bool:
    """Tell whether a network lies within one of the blocks. Pure."""
    return any(cidr.subnet_of(block) for block in blocks)


def next_free(block: IPv4Network, taken: Collection[IPv4Network], prefix: int) -> IPv4Network | None:
    """Return the lowest network of `prefix` bits within `block` that shares no address with any that is taken.

    None when there is none, also when the block is smaller than what is asked for. `taken` may overlap one another
    and reach beyond the block. Raises ValueError for a prefix that no IPv4 network has. Pure.
    """
    if not 0 <= prefix <= 32:
        raise ValueError(f"no IPv4 network has a prefix of {prefix} bits")
    if prefix < block.prefixlen:
        return None
    size, last = 1 << (32 - prefix), int(block.broadcast_address)
    place = int(block.network_address)
    for each in sorted(each for each in taken if each.overlaps(block)):
        if place + size <= int(each.network_address):
            break
        beyond = int(each.broadcast_address) + 1
        place = max(place, -(-beyond // size) * size)
    return IPv4Network((place, prefix)) if place + size - 1 <= last else None


def next_free_of_zone(
    plan: Mapping[str, ZoneBlocks], zone: str, taken: Collection[IPv4Network], prefix: int
) -> IPv4Network | None:
    """Return the next free network of a zone: of its first block that has room. None when none has. Pure."""
    blocks = plan[zone].blocks if zone in plan else ()
    return next((found for block in blocks if (found := next_free(block, taken, prefix))), None)
