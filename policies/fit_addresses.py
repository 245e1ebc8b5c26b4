"""Do the networks of a site fit its address plan: each in a block of its zone, and no address in two zones?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network

from policies.address_plan import within
from policies.document import Node
from policies.draft import Draft, fault_at, listed, network_of
from policies.findings import Finding, did_you_mean

HINT = "mend the network, or give the zone another block in address_plan"


def addresses_misfits(draft: Draft) -> Iterator[Finding]:
    """Yield what does not fit. A site without an address plan may use any addresses."""
    plan = dict(draft.head.items("address_plan")) if draft.head else {}
    if draft.head is None or not plan:
        return
    zones = [name for name, _ in draft.head.items("zones")]
    for zone, node in plan.items():
        if zone not in zones:
            yield fault_at(node, f"address_plan.{zone}", zone, "a zone of site.yaml", did_you_mean(zone, zones))
    yield from _blocks_apart(plan)
    yield from _networks_within(draft, plan)
    yield from _mapped_within(draft, plan)


def _blocks_apart(plan: Mapping[str, Node]) -> Iterator[Finding]:
    """Blocks of two zones, or two of one, at one place: addresses that belong to both belong to neither."""
    for centre in ("", "same-city", "provincial"):
        seen: list[tuple[IPv4Network, str, Node]] = []
        for zone, node in plan.items():
            below = ("centres", centre) if centre else ("blocks",)
            for index, each in enumerate(listed(node.at(*below))):
                block = network_of(each.value if isinstance(each.value, str) else None)
                path = f"address_plan.{zone}.{'.'.join(below)}[{index}]"
                if block is None:
                    continue  # told by the model
                for other, other_path, place in seen:
                    if block.overlaps(other):
                        hint = f"{other_path} is {other} ({place.file.name}:{place.line})"
                        yield fault_at(each, path, str(block), "addresses that no other block has", hint)
                seen.append((block, path, each))


def _networks_within(draft: Draft, plan: Mapping[str, Node]) -> Iterator[Finding]:
    for tenant, node in draft.tenants:
        for name, network in node.items("networks"):
            place, zone = network.at("cidr"), network.text("zone")
            if place and zone and (cidr := network_of(network.text("cidr"))):
                blocks = _blocks(plan.get(zone), "blocks")
                if not within(cidr, blocks):
                    path = f"tenants[{tenant}].networks.{name}.cidr"
                    yield fault_at(place, path, str(cidr), _wanted(zone, blocks), HINT)


def _mapped_within(draft: Draft, plan: Mapping[str, Node]) -> Iterator[Finding]:
    zones = {
        f"{tenant}/{name}": network.text("zone")
        for tenant, node in draft.tenants
        for name, network in node.items("networks")
    }
    for label, node in draft.plans:
        for name, elsewhere in node.items("networks"):
            zone = zones.get(name)
            for centre, there in elsewhere.items():
                blocks = _blocks(plan.get(zone or ""), "centres", centre)
                cidr = network_of(there.value if isinstance(there.value, str) else None)
                if zone and cidr and blocks and not within(cidr, blocks):
                    path = f"plans[{label}].networks.{name}.{centre}"
                    yield fault_at(there, path, str(cidr), f"{_wanted(zone, blocks)} at {centre}", HINT)


def _blocks(node: Node | None, *below: str) -> list[IPv4Network]:
    found = (network_of(each.value if isinstance(each.value, str) else None) for each in _listed(node, *below))
    return [each for each in found if each]


def _listed(node: Node | None, *below: str) -> list[Node]:
    return listed(node.at(*below)) if node else []


def _wanted(zone: str, blocks: list[IPv4Network]) -> str:
    told = ", ".join(map(str, blocks)) or "none in address_plan"
    return f"a network within a block of the zone {zone}: {told}"
