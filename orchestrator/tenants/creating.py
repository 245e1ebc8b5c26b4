"""How each item is created: one function per noun; each may be repeated."""

from __future__ import annotations

from functools import singledispatch
from pathlib import Path

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
from orchestrator.tenants.survey import KINDS

#: The collections of Neutron, as its tags are addressed.
COLLECTIONS = {
    items.Network.noun: "networks",
    items.Subnet.noun: "subnets",
    items.Router.noun: "routers",
    items.SecurityGroup.noun: "security-groups",
}


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
    identity.grant(place.connection, grant_of(item, place))
    return place.roles[item.role]


@create.register
def _(item: items.Membership, place: Place) -> str:
    user_id = place.id_of("user", item.user)
    identity.add_to_group(place.connection, place.id_of("group", item.group), user_id)
    return user_id


@create.register
def _(item: items.Quota, place: Place) -> str:
    set_quota(item, place, item.limits)
    return place.project_id


@create.register
def _(item: items.Access, place: Place) -> str:
    allow(item, place)
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
    return issue_credential(item, place)


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
    links.add_route(place.connection, router_id, item.destination, next_hop(item, place))
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
    return ensure_bucket(item, place)


# --- what several of them share


def handover_file(folder: Path, target: Target, user: str) -> Path:
    """Return where a new member's first password waits to be handed over: a file that only the officer can read."""
    return folder / "handover" / f"{target.tenant}.{target.centre}.{user}.password"


def grant_of(item: items.Role, place: Place) -> identity.Grant:
    holder_id = place.id_of(item.holder, item.holder_name)
    return identity.Grant(place.roles[item.role], place.project_id, item.holder, holder_id)


def next_hop(item: items.LinkRoute, place: Place) -> str:
    subnet_id = place.id_of("subnet", item.subnet)
    address = item.next_hop or links.foot_address(place.connection, place.id_of("router", item.link), subnet_id)
    if address is None:
        raise TricenterError(f"{place.target}: {item.link} has no address in {item.subnet}", hint="plan again")
    return address


def set_quota(item: items.Quota, place: Place, limits: quotas.Limits) -> None:
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


def allow(item: items.Access, place: Place) -> None:
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


def ensure_bucket(item: items.Bucket, place: Place) -> str:
    if place.vault is None:
        raise TricenterError(f"{place.target.centre} has no vault, and a bucket was planned")
    place.vault.ensure_bucket(item.name, lock_days=item.lock_days, clears=True)
    place.other_writes += 1
    return item.name


def issue_credential(item: items.Credential, place: Place) -> str:
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
