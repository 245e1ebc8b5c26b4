"""Quotas of a service that a cloud lacks. Pure.

A class serves tenants of many clouds: what it says of a service that one of them lacks is left out there, and told. A
limit that is written for the tenant itself is meant, so that a person has to settle it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from orchestrator.tenants import items
from orchestrator.tenants.desired import Desired
from orchestrator.tenants.planning import Action
from policies.quota_classes import OWN


class Fitted(NamedTuple):
    """What can be wanted of a cloud, the services whose limits are left out, and what a person has to settle."""

    wanted: Desired
    left_out: tuple[str, ...]
    conflicts: tuple[Action, ...]


def fitted(want: Desired, services: Collection[str]) -> Fitted:
    """Return what a cloud with these services can be wanted to have."""
    lacking = [each for each in want.items if isinstance(each, items.Quota) and each.name not in services]
    meant = {each.name: own for each in lacking if (own := _own(each))}
    return Fitted(
        want._replace(items=tuple(each for each in want.items if each not in lacking)) if lacking else want,
        tuple(each.name for each in lacking if each.name not in meant),
        tuple(
            Action(want.target, "conflict", each, reason=_reason(want, meant[each.name]))
            for each in lacking
            if each.name in meant
        ),
    )


def is_of_lacking(action: Action, wanted: Desired) -> bool:
    """Tell whether a conflict is about a service that the cloud lacks: nothing there differs from anything."""
    return action.kind == "conflict" and action.item.key not in {each.key for each in wanted.items}


def _own(quota: items.Quota) -> list[str]:
    return [name for name, origin in quota.origins.items() if origin == OWN]


def _reason(want: Desired, limits: Collection[str]) -> str:
    return (
        f"the cloud has no such service, and {', '.join(limits)} is written for the tenant itself: "
        f"take it out of tenants/{want.target.tenant}.yaml, or have the service set up; what only a quota class says "
        "is left out by itself"
    )
