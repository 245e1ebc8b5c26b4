"""How each item is created, changed and taken away. One function per noun and verb; each may be repeated."""

from __future__ import annotations

from functools import singledispatch
from pathlib import Path
from typing import Any

from orchestrator.cloud import access, further_quotas, identity, key_pairs, links, network, quotas, security, shares
from orchestrator.cloud.connection import Login
from orchestrator.cloud.credentials import credential_file, entry
from orchestrator.errors import Refused, TricenterError
from orchestrator.secrets import write_private
from orchestrator.tenants import items
from orchestrator.tenants.desired import SERVICE_USER, Target
from orchestrator.tenants.homes import projects_of
from orchestrator.tenants.issuing import issue, new_password
from orchestrator.tenants.items import Item
from orchestrator.tenants.place import Place
from orchestrator.tenants.planning import Action
from orchestrator.tenants.survey import KINDS

#: The collections of Neutron, as its tags are addressed.
COLLECTIONS = {
    items.Network.noun: "networks",
    items.Subnet.noun: "subnets",
    items.Router.noun: "routers",
    items.SecurityGroup.noun: "security-groups",
}


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


# --- create


@singledispatch
def create(item: Item, place: Place) -> str:
    """Create an item and return its id."""
    raise TypeError(f"nobody knows how to create a {item.noun}")


@create.register
def _(item: items.Domain, place: Place) -> str:
    return identity.create_domain(place.connection, item.name, item.description)


@create.register
def _(item: items.Project, place: Place) -> str:
    labels, parent_id = item.labels or (), place.parent_id
    return identity.create_project(
        place.connection, item.name, place.domain_id, item.description, labels, parent_id=parent_id
    )


@create.register
def _(item: items.Group, place: Place) -> str:
    return identity.create_group(place.connection, item.name, place.domain_id, item.description)


@create.register
def _(item: items.User, place: Place) -> str:
    password = new_password()
    if item.name == SERVICE_USER:
        place.passwords[item.name] = password
    else:
        # Written first: a user whose password was lost with this process could never log in.
        write_private(handover_file(place.secrets_folder, place.target, item.name), password + "\n")
    return identity.create_user(
        place.connection,
        place.account(item.name),
        place.domain_id,
        project_id=place.project_id,
        description=item.description,
        email=item.email,
        password=password,
    )


@create.register
def _(item: items.Role, place: Place) -> str:
    identity.grant(place.connection, _grant(item, place))
    return place.roles[item.role]


@create.register
def _(item: items.Membership, place: Place) -> str:
    user_id = place.id_of("user", item.user)
    identity.add_to_group(place.connection, place.id_of("group", item.group), user_id)
    return user_id


@create.register
def _(item: items.Quota, place: Place) -> str:
    _set_quota(item, place, item.limits)
    return place.project_id


@create.register
def _(item: items.Access, place: Place) -> str:
    _allow(item, place)
    return place.project_id


@create.register
def _(item: items.KeyPair, place: Place) -> str:
    user_id = place.id_of("user", item.user)
    key_pairs.add_key_pair(place.connection, user_id, item.label, item.public_key)
    return user_id


@create.register
def _(item: items.Share, place: Place) -> str:
    other = projects_of(place.connection, place.tenancy, [item.tenant]).get(item.tenant)
    if other is None:
        raise Refused(
            f"{place.target}: {item.tenant} has no project there to share {item.network} with",
            hint=f"tricenter tenant apply {item.tenant}, then this one again",
        )
    return shares.share(place.connection, place.id_of("network", item.network), place.project_id, other)


@create.register
def _(item: items.Credential, place: Place) -> str:
    return _issue(item, place)


@create.register
def _(item: items.Network, place: Place) -> str:
    made = network.create_network(place.connection, item.name, place.project_id, item.description)
    return _tagged(item, place, made)


@create.register
def _(item: items.Subnet, place: Place) -> str:
    made = network.create_subnet(
        place.connection,
        item.name,
        place.project_id,
        network_id=place.id_of("network", item.network),
        cidr=item.cidr,
        dns=item.dns,
        description=item.description,
    )
    return _tagged(item, place, made)


@create.register
def _(item: items.Router, place: Place) -> str:
    external = place.external_networks[item.external_network] if item.external_network else None
    made = network.create_router(
        place.connection, item.name, place.project_id, external_network_id=external, description=item.description
    )
    return _tagged(item, place, made)


@create.register
def _(item: items.Interface, place: Place) -> str:
    router_id = place.id_of("router", item.router)
    network.add_interface(place.connection, router_id, place.id_of("subnet", item.subnet))
    return router_id


@create.register
def _(item: items.LinkInterface, place: Place) -> str:
    router_id, subnet_id = place.id_of("router", item.router), place.id_of("subnet", item.subnet)
    links.add_foot(
        place.connection,
        router_id,
        name=item.name,
        project_id=place.project_id,
        network_id=place.id_of("network", item.subnet),
        subnet_id=subnet_id,
    )
    return router_id


@create.register
def _(item: items.LinkRoute, place: Place) -> str:
    router_id = place.id_of("router", item.router)
    links.add_route(place.connection, router_id, item.destination, _next_hop(item, place))
    return router_id


@create.register
def _(item: items.SecurityGroup, place: Place) -> str:
    made = security.create_security_group(place.connection, item.name, place.project_id, item.description)
    if not item.open_egress:
        security.delete_automatic_rules(place.connection, made)
    return _tagged(item, place, made)


@create.register
def _(item: items.SecurityRule, place: Place) -> str:
    group_id = place.id_of("security group", item.group)
    security.create_rule(place.connection, group_id, place.project_id, item.rule)
    return group_id


@create.register
def _(item: items.Bucket, place: Place) -> str:
    return _ensure_bucket(item, place)


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
    _set_quota(item, place, {name: limit for name, limit in item.limits.items() if name in changed})


@update.register
def _(item: items.Access, place: Place, action: Action) -> None:
    _allow(item, place)


@update.register
def _(item: items.KeyPair, place: Place, action: Action) -> None:
    key_pairs.remove_key_pair(place.connection, _there(action), item.label)
    key_pairs.add_key_pair(place.connection, _there(action), item.label, item.public_key)


@update.register
def _(item: items.Credential, place: Place, action: Action) -> None:
    _issue(item, place)


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
    _ensure_bucket(item, place)


# --- remove: links only


@singledispatch
def remove(item: Item, place: Place, action: Action) -> None:
    """Take a link away."""
    raise TypeError(f"a {item.noun} is never taken away")


@remove.register
def _(item: items.Role, place: Place, action: Action) -> None:
    identity.revoke(place.connection, _grant(item, place))


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
    links.remove_route(place.connection, _there(action), item.destination, _next_hop(item, place))


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


# --- what several of them share


def handover_file(folder: Path, target: Target, user: str) -> Path:
    """Return where a new member's first password waits to be handed over: a file that only the officer can read."""
    return folder / "handover" / f"{target.tenant}.{target.centre}.{user}.password"


def _there(action: Action) -> str:
    if action.object_id is None:
        raise TypeError(f"{action.name}: an update without the id of what it updates")
    return action.object_id


def _grant(item: items.Role, place: Place) -> identity.Grant:
    holder_id = place.id_of(item.holder, item.holder_name)
    return identity.Grant(place.roles[item.role], place.project_id, item.holder, holder_id)


def _next_hop(item: items.LinkRoute, place: Place) -> str:
    subnet_id = place.id_of("subnet", item.subnet)
    address = item.next_hop or links.foot_address(place.connection, place.id_of("router", item.link), subnet_id)
    if address is None:
        raise TricenterError(f"{place.target}: {item.link} has no address in {item.subnet}", hint="plan again")
    return address


def _set_quota(item: items.Quota, place: Place, limits: quotas.Limits) -> None:
    setters = {
        "compute": quotas.set_compute,
        "network": quotas.set_network,
        "block_storage": quotas.set_block_storage,
        "load_balancer": further_quotas.set_load_balancer,
        "dns": further_quotas.set_dns,
        "key_manager": further_quotas.set_key_manager,
        "shared_file_system": further_quotas.set_shared_file_system,
    }
    setters[item.name](place.connection, place.project_id, limits)


def _allow(item: items.Access, place: Place) -> None:
    """Let the project use these of a kind and no others."""
    kind = next(each for each in KINDS if each == item.name)
    for each in access.restricted(place.connection, kind):
        allowed = place.project_id in each.project_ids
        if each.name in item.names and not allowed and not each.public:
            access.allow(place.connection, kind, each.id, place.project_id)
        elif each.name not in item.names and allowed:
            access.disallow(place.connection, kind, each.id, place.project_id)


def _tagged(item: Item, place: Place, object_id: str) -> str:
    network.add_tag(place.connection, COLLECTIONS[item.noun], object_id)
    return object_id


def _ensure_bucket(item: items.Bucket, place: Place) -> str:
    if place.vault is None:
        raise TricenterError(f"{place.target.centre} has no vault, and a bucket was planned")
    place.vault.ensure_bucket(item.name, lock_days=item.lock_days, clears=True)
    place.other_writes += 1
    return item.name


def _issue(item: items.Credential, place: Place) -> str:
    """Issue the credential as the service user itself, which is the only one who may, and keep its secret.

    The user's password is known only to the process that set it; any other sets a new one first.
    """
    user_id = place.id_of("user", item.user)
    if item.user not in place.passwords:
        password = new_password()
        identity.update(place.connection, "user", user_id, password=password)
        place.passwords[item.user] = password
    login = Login(user_id, place.passwords[item.user], place.project_id)
    issued, sent = issue(place.connection, login, item.name, item.role)
    place.other_writes += sent
    path = credential_file(place.secrets_folder, place.target.tenant, place.target.centre)
    write_private(path, entry(place.connection, place.target.tenant, issued))
    return issued.id
