"""What the files of a site say before it is known to be right, and findings at their places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from policies.document import Node
from policies.findings import Finding, Severity, did_you_mean


@dataclass(frozen=True)
class Draft:
    """What the files say, by name, before it is known to be right: a name may stand twice, a file may be unread."""

    head: Node | None
    tiers: dict[str, Node] = field(default_factory=dict)
    tenants: list[tuple[str, Node]] = field(default_factory=list)
    plans: list[tuple[str, Node]] = field(default_factory=list)
    #: Folders with a file that could not be read: what is not found in them may yet be there.
    unread: frozenset[str] = frozenset()

    def systems(self) -> Iterator[tuple[str, str, Node]]:
        """Yield each system's tenant, name and node."""
        for tenant, node in self.tenants:
            for name, system in node.items("systems"):
                yield tenant, name, system

    def at(self, *trail: str) -> Node | None:
        """Return what stands in site.yaml, or None."""
        return self.head.at(*trail) if self.head else None

    def text(self, *trail: str) -> str | None:
        return self.head.text(*trail) if self.head else None


def fault_at(node: Node, path: str, got: str, want: str, hint: str = "", severity: Severity = "fault") -> Finding:
    """Return what is wrong with the value of a node, at its file and line."""
    return Finding(node.file, node.line, path, got, want, hint, severity)


def listed(node: Node | None) -> list[Node]:
    """Return the items of a list; none when there is no list."""
    return node.value if node and isinstance(node.value, list) else []


def unknown_name(node: Node, path: str, want: str, known: Iterable[str]) -> Iterator[Finding]:
    """Yield a fault when a node holds a name that is not known. What is no text is told by the model."""
    names = list(known)
    if isinstance(node.value, str) and node.value not in names:
        yield fault_at(node, path, node.value, want, did_you_mean(node.value, names))


def network_of(text: str | None) -> IPv4Network | None:
    """Return the network that a text names; None when it names none, which the model tells."""
    try:
        return IPv4Network(text) if text else None
    except ValueError:
        return None
