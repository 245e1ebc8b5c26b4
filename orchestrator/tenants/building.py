"""How each item is changed, taken away, destroyed and adopted. One function per noun and verb; each may be repeated."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from orchestrator.cloud import identity, key_pairs, links, network, security, shares
from orchestrator.tenants import items
from orchestrator.tenants.creating import (
    COLLECTIONS,
    allow,
    create,
    ensure_bucket,
    grant_of,
    issue_credential,
    next_hop,
    set_quota,
)
from orchestrator.tenants.items import Item
from orchestrator.tenants.place import Place
from orchestrator.tenants.planning import Action


def carry_out(place: Place, action: Action) -> str:
    """Do one action and return the id of what it was done to. Conflicts are not for here."""
    if action.kind == "create":
        place.ids[action.item.key] = create(action.item, place)
    elif action.kind == "update":
        update(action.item, place, action)
    elif action.kind == "remove":
        remove(action.item, place, action)
    elif action.kind == "adopt":
        adopt(action.item, place, action)
    else:
        destroy(action.item, place, action)
    return place.ids.get(action.item.key) or action.object_id or ""


# --- update


@singledispatch
def update(item: Item, place: Place, action: Action) -> None:
    """Change what differs of an item."""
    raise TypeError(f"nobody knows how to update a {item.noun}")


@update.register(items.Domain)
@update.register(items.Group)
@update.register(items.User)
def _(item: Item, place: Place, action: Action) -> None:
    values = {each.field: each.after for each in action.changes}
    if "name" in values and isinstance(item, items.User):
        values["name"] = place.account(item.name)
    identity.update(place.connection, item.noun, _there(action), **values)


@update.register
def _(item: items.Project, place: Place, action: Action) -> None:
    values = {each.field: each.after for each in action.changes}
    if values.pop("labels", None) is not None:
        identity.label_project(place.connection, _there(action), item.labels or ())
    if values:
        identity.update(place.connection, item.noun, _there(action), **values)


@update.register
def _(item: items.Quota, place: Place, action: Action) -> None:
    changed = {each.field for each in action.changes}
    set_quota(item, place, {name: limit for name, limit in item.limits.items() if name in changed})


@update.register
def _(item: items.Access, place: Place, action: Action) -> None:
    allow(item, place)


@update.register
def _(item: items.KeyPair, place: Place, action: Action) -> None:
    key_pairs.remove_key_pair(place.connection, _there(action), item.label)
    key_pairs.add_key_pair(place.connection, _there(action), item.label, item.public_key)


@update.register
def _(item: items.Credential, place: Place, action: Action) -> None:
    issue_credential(item, place)


@update.register(items.Network)
@update.register(items.Subnet)
@update.register(items.Router)
@update.register(items.SecurityGroup)
def _(item: Item, place: Place, action: Action) -> None:
    values: dict[str, Any] = {}
    for change in action.changes:
        if change.field == "tag":
            network.add_tag(place.connection, COLLECTIONS[item.noun], _there(action))
        elif change.field == "external_network":
            values["external_gateway_info"] = {"network_id": place.external_networks[str(change.after)]}
        elif change.field == "dns":
            values["dns_nameservers"] = list(item.dns) if isinstance(item, items.Subnet) else []
        else:
            values[change.field] = change.after
    if values:
        network.update(place.connection, item.noun.replace(" ", "_"), _there(action), **values)


@update.register
def _(item: items.Bucket, place: Place, action: Action) -> None:
    ensure_bucket(item, place)


# --- remove: links only


@singledispatch
def remove(item: Item, place: Place, action: Action) -> None:
    """Take a link away."""
    raise TypeError(f"a {item.noun} is never taken away")


@remove.register
def _(item: items.Role, place: Place, action: Action) -> None:
    identity.revoke(place.connection, grant_of(item, place))


@remove.register
def _(item: items.Membership, place: Place, action: Action) -> None:
    group_id, user_id = place.id_of("group", item.group), place.id_of("user", item.user)
    identity.remove_from_group(place.connection, group_id, user_id)


@remove.register
def _(item: items.Share, place: Place, action: Action) -> None:
    shares.unshare(place.connection, _there(action))


@remove.register
def _(item: items.SecurityRule, place: Place, action: Action) -> None:
    security.delete_rule(place.connection, _there(action))


@remove.register
def _(item: items.LinkInterface, place: Place, action: Action) -> None:
    network.remove_interface(place.connection, _there(action), place.id_of("subnet", item.subnet))


@remove.register
def _(item: items.LinkRoute, place: Place, action: Action) -> None:
    links.remove_route(place.connection, _there(action), item.destination, next_hop(item, place))


# --- destroy: what Tricenter made, the site no longer wants, and a person allowed to go


@singledispatch
def destroy(item: Item, place: Place, action: Action) -> None:
    """Destroy something. What is gone already is fine; what is in use is refused by the service."""
    raise TypeError(f"a {item.noun} is never destroyed")


@destroy.register(items.User)
@destroy.register(items.Group)
def _(item: Item, place: Place, action: Action) -> None:
    identity.delete(place.connection, item.noun, _there(action))


@destroy.register(items.Network)
@destroy.register(items.Subnet)
@destroy.register(items.Router)
@destroy.register(items.SecurityGroup)
def _(item: Item, place: Place, action: Action) -> None:
    network.delete(place.connection, COLLECTIONS[item.noun], _there(action))


@destroy.register
def _(item: items.Interface, place: Place, action: Action) -> None:
    router_id, _, subnet_id = _there(action).partition("/")
    network.remove_interface(place.connection, router_id, subnet_id)


# --- adopt: what somebody else made gets the mark, and nothing else


def adopt(item: Item, place: Place, action: Action) -> None:
    """Write the mark to something. Its description stays what it is."""
    there = next((each.before for each in action.changes if each.field == "description"), None)
    description = item.values()["description"] if there is None else there
    if item.noun in COLLECTIONS:
        network.update(place.connection, item.noun.replace(" ", "_"), _there(action), description=description)
        network.add_tag(place.connection, COLLECTIONS[item.noun], _there(action))
    else:
        identity.update(place.connection, item.noun, _there(action), description=description)


def _there(action: Action) -> str:
    if action.object_id is None:
        raise TypeError(f"{action.name}: an update without the id of what it updates")
    return action.object_id
