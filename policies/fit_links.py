"""Do the approved links between zones fit: two networks of the tenant, of different zones, and each pair once?"""

from __future__ import annotations

from collections.abc import Iterator

from policies.document import Node
from policies.draft import Draft, fault_at, listed, unknown_name
from policies.findings import Finding


def links_misfits(draft: Draft) -> Iterator[Finding]:
    """Yield what does not fit. That a link names its approval is told by the model."""
    for tenant, node in draft.tenants:
        networks = dict(node.items("networks"))
        seen: dict[frozenset[str], int] = {}
        for index, link in enumerate(listed(node.at("zone_links"))):
            path = f"tenants[{tenant}].zone_links[{index}].between"
            ends = listed(link.at("between"))
            for number, end in enumerate(ends):
                yield from unknown_name(end, f"{path}[{number}]", "a network of this tenant", networks)
            names = [str(each.value) for each in ends]
            if len(names) == 2 and all(each in networks for each in names):
                place = link.at("between") or link
                yield from _of_different_zones(place, path, names, networks)
                if (first := seen.setdefault(frozenset(names), index)) != index:
                    hint = f"zone_links[{first}] is the same link"
                    yield fault_at(place, path, f"{names[0]} and {names[1]} a second time", "each pair once", hint)


def _of_different_zones(place: Node, path: str, names: list[str], networks: dict[str, Node]) -> Iterator[Finding]:
    zones = [networks[each].text("zone") for each in names]
    if zones[0] is not None and zones[0] == zones[1]:
        got = f"{names[0]} and {names[1]}, both of the zone {zones[0]}"
        yield fault_at(
            place, path, got, "networks of different zones", "networks of one zone meet on its router anyway"
        )
