"""What differs from the site, and what policy makes of each difference. Pure.

Healed is only what an apply would make anew, change or take away by itself; what a person must settle, what would be
destroyed and what strangers have added is reported whatever the policy says. A tenant of which nothing is there was
never made, or is lost: that is for an apply, or for a recovery.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.tenants import items
from orchestrator.tenants.desired import interface_item
from orchestrator.tenants.items import Item, Key
from orchestrator.tenants.lacking import is_of_lacking
from orchestrator.tenants.looking import Look
from orchestrator.tenants.planning import Action
from policies.drift import Drift, DriftNoun
from policies.site import Site

Fate = Literal["heal", "report"]

#: The nouns of items, as a site names them.
NOUNS: Mapping[str, DriftNoun] = {
    items.Domain.noun: "domain",
    items.Project.noun: "project",
    items.Group.noun: "group",
    items.User.noun: "user",
    items.Role.noun: "role",
    items.Membership.noun: "membership",
    items.Quota.noun: "quota",
    items.Access.noun: "access",
    items.KeyPair.noun: "key-pair",
    items.Share.noun: "share",
    items.Credential.noun: "credential",
    items.Network.noun: "network",
    items.Subnet.noun: "subnet",
    items.Router.noun: "router",
    items.Interface.noun: "interface",
    items.LinkInterface.noun: "link",
    items.LinkRoute.noun: "link",
    items.SecurityGroup.noun: "security-group",
    items.SecurityRule.noun: "rule",
    items.Bucket.noun: "bucket",
}

HEALING = ("create", "update", "remove")

#: What strangers add to what is ours opens it to somebody: it is told, though it is not ours to take away.
TOLD_OF_OTHERS = (items.Role, items.Membership, items.SecurityRule)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the site says, and what becomes of it."""

    action: Action
    fate: Fate
    why: str

    @property
    def noun(self) -> DriftNoun:
        return NOUNS[self.action.item.noun]


def policy_of(site: Site, tenant: str) -> Drift:
    """Return the policy of a tenant: its own, or the site's."""
    return site.tenants[tenant].drift or site.drift


def differences(found: Look, policy: Drift) -> tuple[Difference, ...]:
    """Return every difference of a tenant at a centre, in the order of its plan."""
    healed = {id(each) for each in healing(found, policy)}
    return tuple(
        Difference(each, "heal" if id(each) in healed else "report", _why(each, id(each) in healed, found, policy))
        for each in (*found.actions, *found.left, *extras(found))
        if not is_of_lacking(each, found.wanted)
    )


def healing(found: Look, policy: Drift) -> tuple[Action, ...]:
    """Return the actions that policy lets be done by themselves, in order. Each has what it needs."""
    if found.absent:
        return ()
    there = {
        key for key, several in found.observed.items() if any(each.ours or not each.item.owned for each in several)
    }
    there -= {each.item.key for each in found.actions if each.kind == "conflict"}
    if found.shared:
        there.add((items.Domain.noun, found.target.tenant))
    done: list[Action] = []
    for each in found.actions:
        wanted = each.kind in HEALING and policy.heals(NOUNS[each.item.noun])
        if wanted and all(key in there for key in _needs(each.item, found.target.tenant)):
            done.append(each)
            there.add(each.item.key)
    return tuple(done)


def only_healing(found: Look, policy: Drift) -> Look:
    """Return a look with the actions that policy lets be done, and nothing else."""
    return replace(found, actions=healing(found, policy), left=())


def extras(found: Look) -> Iterator[Action]:
    """Yield what strangers have added to what is ours: rules in our groups, roles of our accounts, members."""
    wanted = {each.key for each in found.wanted.items}
    for key, several in sorted(found.observed.items()):
        for seen in several:
            known = seen.item.within is None or seen.item.within in wanted
            if isinstance(seen.item, TOLD_OF_OTHERS) and not seen.ours and known and key not in wanted:
                yield Action(found.target, "extra", seen.item, (), seen.id, "was not added by Tricenter")


def _why(action: Action, healed: bool, found: Look, policy: Drift) -> str:
    if healed:
        return "policy heals it"
    if action.kind == "conflict":
        return action.reason
    if action.kind == "destroy":
        return "no longer wanted: tenant apply --allow-destroy"
    if action.kind == "extra":
        return "added by somebody else: write it into the site, or delete it by hand"
    if found.absent:
        return "nothing of the tenant is there: tenant apply"
    if not policy.heals(NOUNS[action.item.noun]):
        return "policy reports it: tenant apply, or write it into the site"
    return "what it belongs to is missing or in conflict: tenant apply"


def _needs(item: Item, tenant: str) -> tuple[Key, ...]:
    """Return what an item cannot be without. A cloud is not asked for what stands only in a vault."""
    domain, project = (items.Domain.noun, tenant), (items.Project.noun, tenant)
    if isinstance(item, items.Domain | items.Bucket):
        return ()
    if isinstance(item, items.Project | items.Group | items.User):
        return (domain,) if not isinstance(item, items.User) else (domain, project)
    if isinstance(item, items.LinkRoute):
        link = (items.LinkInterface.noun, interface_item(item.subnet, item.link).name)
        return ((items.Router.noun, item.router), link)
    if isinstance(item, items.Membership):
        return ((items.User.noun, item.user), (items.Group.noun, item.group))
    if isinstance(item, items.Interface | items.LinkInterface):
        return ((items.Subnet.noun, item.subnet), (items.Router.noun, item.router))
    return (project, *_stands_on(item))


def _stands_on(item: Item) -> tuple[Key, ...]:
    """Return what in its project an item is made for."""
    match item:
        case items.Role():
            return ((item.holder, item.holder_name),)
        case items.KeyPair() | items.Credential():
            return ((items.User.noun, item.user),)
        case items.Subnet() | items.Share():
            return ((items.Network.noun, item.network),)
        case items.SecurityRule():
            return ((items.SecurityGroup.noun, item.group),)
    return ()
