"""Do the networks that tenants share fit: with other tenants of the site, each once?"""

from __future__ import annotations

from collections.abc import Iterator

from policies.draft import Draft, fault_at, listed, unknown_name
from policies.findings import Finding


def shares_misfits(draft: Draft) -> Iterator[Finding]:
    """Yield what does not fit."""
    tenants = [name for name, _ in draft.tenants]
    for tenant, node in draft.tenants:
        for network, place in node.items("networks"):
            seen: set[object] = set()
            for number, other in enumerate(listed(place.at("shared_with"))):
                path = f"tenants[{tenant}].networks.{network}.shared_with[{number}]"
                if "tenants" not in draft.unread:
                    yield from unknown_name(other, path, "a tenant of this site", tenants)
                if other.value == tenant:
                    yield fault_at(
                        other, path, f"{tenant} itself", "another tenant", "its own servers may use it anyway"
                    )
                if other.value in seen:
                    yield fault_at(other, path, f"{other.value} a second time", "each tenant once")
                seen.add(other.value)
