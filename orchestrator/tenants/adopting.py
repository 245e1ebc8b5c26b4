"""Adoption: what somebody else made under a name that the site wants becomes ours by the mark. Pure.

Nothing of it is changed but its mark. What differs from the site is for the next plan to show and an apply to change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from orchestrator.tenants import items
from orchestrator.tenants.items import Item, Seen
from orchestrator.tenants.looking import Look
from orchestrator.tenants.planning import Action, differences_of

#: What carries a mark that can be written later. An application credential cannot be changed at all.
ADOPTABLE = (
    items.Domain,
    items.Project,
    items.Group,
    items.User,
    items.Network,
    items.Subnet,
    items.Router,
    items.SecurityGroup,
)


def adoptions(found: Look) -> tuple[Action, ...]:
    """Return what could be adopted, in the order of what is wanted. One with a `reason` cannot be.

    What is inside a domain that is not ours is not looked at: once the domain is adopted there may be more.
    """
    return tuple(_adoptions(found))


def only_adopting(found: Look) -> Look:
    """Return a look that adopts what can be adopted, and does nothing else."""
    return replace(found, actions=tuple(each for each in adoptions(found) if not each.reason), left=())


def nothing_more(found: Look) -> Look:
    """Return a look with nothing to do: whether more is to be adopted is asked in another round."""
    return replace(found, actions=(), left=())


def _adoptions(found: Look) -> Iterator[Action]:
    for item in found.wanted.items:
        there = found.observed.get(item.key, ())
        if not item.owned or not there or any(each.ours for each in there):
            continue
        changes = tuple(each for each in differences_of(item, there[0]) if each.field != "tag")
        yield Action(found.target, "adopt", item, changes, there[0].id, _reason(item, there))


def _reason(item: Item, there: tuple[Seen, ...]) -> str:
    if not isinstance(item, ADOPTABLE):
        return "it cannot be marked: delete it"
    if len(there) > 1:
        return f"there are {len(there)} of this name ({', '.join(each.id for each in there)}): rename or delete others"
    if there[0].passing:
        return "a drill is using it"
    fixed = [each for each in differences_of(item, there[0]) if each.field in item.fixed]
    return f"{', '.join(map(str, fixed))} cannot be changed in place" if fixed else ""
