"""Do the quota classes of a site fit: names that exist, no circle of classes, nothing multiplied in vain?"""

from __future__ import annotations

from collections.abc import Iterator

from policies.document import Node
from policies.draft import Draft, fault_at, unknown_name
from policies.findings import Finding
from policies.graph import circle

KNOWN_CLASS = "a quota class of site.yaml"


def quotas_misfits(draft: Draft) -> Iterator[Finding]:
    """Yield what does not fit of the classes, and of the tenants that name one."""
    if draft.head is None:
        return
    classes = dict(draft.head.items("quota_classes"))
    for name, node in classes.items():
        yield from _named(node, "inherits", f"quota_classes.{name}", classes)
        yield from _something_to_multiply(node, f"quota_classes.{name}", "multiplier", "inherits")
    yield from _no_circle(classes)
    for tenant, node in draft.tenants:
        yield from _named(node, "quota_class", f"tenants[{tenant}]", classes)
        yield from _something_to_multiply(node, f"tenants[{tenant}]", "quota_multiplier", "quota_class")


def _named(node: Node, key: str, root: str, classes: dict[str, Node]) -> Iterator[Finding]:
    if place := node.at(key):
        yield from unknown_name(place, f"{root}.{key}", KNOWN_CLASS, classes)


def _something_to_multiply(node: Node, root: str, key: str, base: str) -> Iterator[Finding]:
    place = node.at(key)
    if place and node.text(base) is None and node.at(base) is None:
        got = f"{place.value} times nothing"
        yield fault_at(place, f"{root}.{key}", got, f"{base} beside it", "limits written here are taken as they are")


def _no_circle(classes: dict[str, Node]) -> Iterator[Finding]:
    graph = {name: [base] for name, node in classes.items() if (base := node.text("inherits")) in classes and base}
    while found := circle({name: graph.get(name, []) for name in classes}):
        first = found[0]
        place = classes[first].at("inherits") or classes[first]
        yield fault_at(
            place, f"quota_classes.{first}.inherits", " → ".join(found), "classes that do not inherit from themselves"
        )
        for name in found:
            graph.pop(name, None)
