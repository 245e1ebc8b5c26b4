"""What Tricenter once made and the site no longer wants, and what is in the way of destroying it. Pure.

Nothing of it goes unless a person has allowed it: a name that was mistyped in the site must not cost a network.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from orchestrator.cloud.occupants import Occupant
from orchestrator.tenants import items
from orchestrator.tenants.desired import Desired
from orchestrator.tenants.items import Observed, Seen
from orchestrator.tenants.planning import Action

#: What hangs on something else goes before it.
ORDER = (
    items.Interface.noun,
    items.Router.noun,
    items.Subnet.noun,
    items.Network.noun,
    items.SecurityGroup.noun,
    items.User.noun,
    items.Group.noun,
)

NAMED = 3


def leftovers(wanted: Desired, observed: Observed) -> tuple[Seen, ...]:
    """Return what is ours and no longer wanted, in an order in which it can be destroyed.

    Nothing where the site says nothing of a project: who wants only a part of a tenant says nothing of the rest. What
    a drill made is the drill's own to take away.
    """
    if not any(isinstance(each, items.Project) for each in wanted.items):
        return ()
    keys = {each.key for each in wanted.items}
    found = [
        seen
        for key, several in sorted(observed.items())
        for seen in several
        if seen.ours and seen.item.destroyable and not seen.passing and key not in keys
    ]
    return tuple(sorted(found, key=lambda seen: ORDER.index(seen.item.noun)))


def destroying(
    wanted: Desired, observed: Observed, unwanted: Collection[Seen], there: Collection[Occupant]
) -> tuple[Action, ...]:
    """Return the actions that destroy leftovers. One that has a `reason` must not be done: it is in use."""
    feet = {(each.id, each.inside) for each in unwanted if isinstance(each.item, items.Interface)}
    feet |= _withdrawn(wanted, observed)
    staying = [
        seen
        for several in observed.values()
        for seen in several
        if isinstance(seen.item, items.Subnet) and seen not in unwanted
    ]
    return tuple(
        Action(
            wanted.target,
            "destroy",
            seen.item,
            (),
            _id_of(seen),
            _told([*_in_the_way(seen, there, feet), *_subnets_in(seen, staying)]),
            _loses(seen, observed),
        )
        for seen in unwanted
    )


def _withdrawn(wanted: Desired, observed: Observed) -> set[tuple[str, str]]:
    """The feet of links that are no longer approved: the plan takes them away before it destroys anything."""
    keys = {each.key for each in wanted.items}
    links = {key: several for key, several in observed.items() if key[0] == items.LinkInterface.noun}
    return {(each.id, each.inside) for key, several in links.items() if key not in keys for each in several}


def allowed(actions: tuple[Action, ...], destroyed: tuple[Action, ...]) -> tuple[Action, ...]:
    """Return a plan with what is destroyed; what is in use is a conflict.

    A router leaves a subnet before another one enters it, and everything else goes at the end.
    """
    settled = [replace(each, kind="conflict", reason=_in_use(each)) if each.reason else each for each in destroyed]
    first = [each for each in settled if each.kind == "destroy" and isinstance(each.item, items.Interface)]
    return (*first, *actions, *(each for each in settled if each not in first))


def _in_use(action: Action) -> str:
    return (
        f"the site no longer wants it, but {action.reason}: delete or move that first, or apply without --allow-destroy"
    )


def _id_of(seen: Seen) -> str:
    return f"{seen.id}/{seen.inside}" if isinstance(seen.item, items.Interface) else seen.id


def _in_the_way(seen: Seen, there: Collection[Occupant], feet: Collection[tuple[str, str]]) -> Iterator[Occupant]:
    """Yield the ports that use something, but for routers' feet that go before it."""
    for each in there:
        left = {subnet for subnet in each.subnet_ids if (each.device_id, subnet) not in feet}
        stays = bool(left) or not each.is_interface
        match seen.item:
            case items.Network():
                held = each.network_id == seen.id and stays
            case items.Subnet():
                held = seen.id in (left if each.is_interface else each.subnet_ids)
            case items.Interface():
                held = seen.inside in each.subnet_ids and not each.is_interface
            case items.Router():
                behind = {subnet for router, subnet in feet if router == seen.id} & each.subnet_ids
                held = (each.device_id == seen.id and stays) or (bool(behind) and not each.is_interface)
            case items.SecurityGroup():
                held = seen.id in each.group_ids
            case _:
                held = False
        if held:
            yield each


def _subnets_in(seen: Seen, staying: Collection[Seen]) -> Iterator[str]:
    if isinstance(seen.item, items.Network):
        yield from (f"subnet {each.item.name}" for each in staying if each.inside == seen.id)


def _told(found: Collection[object]) -> str:
    if not found:
        return ""
    named = ", ".join(sorted(str(each) for each in found)[:NAMED])
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"it is used by {named}{more}"


def _loses(seen: Seen, observed: Observed) -> str:
    """Tell what goes with something and does not stand in the plan itself."""
    match seen.item:
        case items.Subnet() as subnet:
            return f"{subnet.cidr} and its DNS" if subnet.dns else subnet.cidr
        case items.Router() as router:
            return f"its gateway to {router.external_network}" if router.external_network else ""
        case items.SecurityGroup() as group:
            rules = sum(len(each) for each in observed.values() if each[0].item.within == group.key)
            return f"{rules} rule(s)"
        case items.User():
            return "the password and all credentials"
        case items.Group():
            return "its members' place in it"
    return ""
