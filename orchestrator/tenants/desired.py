"""What a tenant must be at one centre: a pure function of the site."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network
from math import ceil
from typing import NamedTuple

from orchestrator.cloud.key_pairs import bare
from orchestrator.cloud.marks import label, labels_of
from orchestrator.cloud.security import AUTOMATIC, Rule
from orchestrator.errors import InvalidInput
from orchestrator.tenants import items
from orchestrator.tenants.baseline import DESCRIPTION, GROUP, baseline_rules, own_rules
from orchestrator.tenants.items import Item
from policies.addresses import networks_at
from policies.locks import kept_days
from policies.quota_classes import SERVICES, effective
from policies.site import Site
from policies.tenancy import Nested, OwnDomain
from policies.tenant import Tenant, ZoneLink
from policies.tiers import CentreName

#: The user by which Tricenter works inside the tenant's project, and the name of its application credential.
SERVICE_USER = "tricenter"
SERVICE_ROLE = "member"

#: What every member of the group has; a member's own role comes on top.
GROUP_ROLE = "reader"

#: The roles that Tricenter hands out, and takes back. Other roles of a user are somebody else's business.
ROLES = ("reader", "member", "manager")

CENTRES: tuple[CentreName, ...] = ("production", "same-city", "provincial")

SECONDS_PER_DAY = 86400


class Target(NamedTuple):
    """One tenant at one centre: the unit that is planned, applied, locked and reported."""

    tenant: str
    centre: CentreName

    def __str__(self) -> str:
        return f"{self.tenant} @ {self.centre}"


class Desired(NamedTuple):
    """Everything that a tenant must have at a centre. What others need comes first."""

    target: Target
    items: tuple[Item, ...]


def desired(site: Site, tenant: Tenant, centre: CentreName) -> Desired | None:
    """Return what `tenant` must have at `centre`, None when that is nothing.

    Raises InvalidInput when the tenant uses a name that Tricenter needs itself.
    """
    _check_names(tenant)
    wanted: list[Item] = []
    cloud = site.clouds().get(centre)
    if cloud:
        wanted += _identity(tenant, cloud.tenancy)
        wanted += _quotas(site, tenant)
        wanted += _access(tenant)
        cidrs = networks_at(site.plans.values(), tenant, centre)
        wanted += _networks(tenant, cidrs, cloud.external_network)
        wanted += _security(tenant, cidrs.values())
        wanted += _credential(tenant)
    wanted += _bucket(site, tenant, centre)
    return Desired(Target(tenant.tenant, centre), tuple(wanted)) if wanted else None


def all_desired(site: Site, tenants: Iterable[str], centre: CentreName | None = None) -> list[Desired]:
    """Return what these tenants must have, at one centre or at all, in the order of tenants and centres."""
    found = (
        desired(site, site.tenants[tenant], each)
        for tenant in tenants
        for each in CENTRES
        if each in site.centres and centre in (None, each)
    )
    return [each for each in found if each is not None]


def group_name(tenant: str) -> str:
    return f"{tenant}-members"


def role_item(holder: str, holder_name: str, role: str) -> items.Role:
    """Return the item of a role that a `user` or a `group` holds."""
    return items.Role(f"{holder} {holder_name}: {role}", holder, holder_name, role)


def membership_item(user: str, group: str) -> items.Membership:
    return items.Membership(f"{user} in {group}", user, group)


def interface_item(subnet: str, router: str) -> items.Interface | items.LinkInterface:
    """Return the item of a router's foot in a subnet: of a zone's, or of a link between two."""
    kind = items.LinkInterface if is_link(router) else items.Interface
    return kind(f"{subnet} on {router}", subnet, router)


def share_item(network: str, tenant: str) -> items.Share:
    """Return the item of another tenant's leave to use a network."""
    return items.Share(f"{network} with {tenant}", network, tenant)


def key_pair_item(user: str, key: str, public_key: str) -> items.KeyPair:
    return items.KeyPair(f"{user}: {key}", user, key, public_key)


def labels(tenant: Tenant) -> tuple[str, ...]:
    """Return what the tenant's project is labelled with, so that whoever reads the cloud knows whose it is."""
    said = {"contact": tenant.contact, "mlps": str(tenant.mlps_level), "unit-code": tenant.unit_code}
    return labels_of(label(name, value) for name, value in said.items())


def link_name(link: ZoneLink) -> str:
    """Return the name of a link's router. No zone and no network has a dot in its name, so it is no other's."""
    return "link-" + ".".join(sorted(link.between))


def is_link(router: str) -> bool:
    return router.startswith("link-") and "." in router


def route_item(destination: str, router: str, link: str, subnet: str, next_hop: str | None = None) -> items.LinkRoute:
    """Return the item of a route to `destination`, by the foot of a link in `subnet`, that a zone's router serves."""
    return items.LinkRoute(f"{destination} on {router} by {link}", destination, router, link, subnet, next_hop)


def rule_item(group: str, rule: Rule) -> items.SecurityRule:
    return items.SecurityRule(f"{group}: {rule}", group, rule)


def _check_names(tenant: Tenant) -> None:
    for what, names, reserved in (
        ("member", tenant.members, SERVICE_USER),
        ("security group", tenant.security_groups, GROUP),
        ("security group", tenant.security_groups, "default"),
    ):
        if reserved in names:
            raise InvalidInput(
                f"tenant {tenant.tenant}: a {what} cannot be named {reserved!r}: that name is taken",
                hint=f"give the {what} another name in tenants/{tenant.tenant}.yaml",
            )


def _identity(tenant: Tenant, tenancy: OwnDomain | Nested) -> Iterator[Item]:
    name, title, group = tenant.tenant, str(tenant.title), group_name(tenant.tenant)
    if isinstance(tenancy, OwnDomain):
        yield items.Domain(name, title)
    yield items.Project(name, title, labels=labels(tenant))
    yield items.Group(group, f"members of {name}")
    yield role_item("group", group, GROUP_ROLE)
    for login, member in sorted(tenant.members.items()):
        yield items.User(login, member.name, member.email)
        yield membership_item(login, group)
        yield role_item("user", login, member.role)
        for key, public_key in sorted(member.key_pairs.items()):
            yield key_pair_item(login, key, bare(public_key))
    yield items.User(SERVICE_USER, "the service user of Tricenter")
    yield role_item("user", SERVICE_USER, SERVICE_ROLE)


def _credential(tenant: Tenant) -> Iterator[Item]:
    yield items.Credential(SERVICE_USER, user=SERVICE_USER, role=SERVICE_ROLE)


def _quotas(site: Site, tenant: Tenant) -> Iterator[Item]:
    limits = effective(site.quota_classes, tenant.quota, tenant.quota_class, tenant.quota_multiplier)
    for service in SERVICES:
        here = {what: limit for (where, what), limit in limits.items() if where == service}
        if here:
            amounts = {what: limit.amount for what, limit in here.items()}
            yield items.Quota(service, amounts, {what: limit.origin for what, limit in here.items()})


def _access(tenant: Tenant) -> Iterator[Item]:
    said = {"flavors": tenant.flavors, "volume types": tenant.volume_types, "images": tenant.images}
    for kind, names in said.items():
        if names is not None:
            yield items.Access(kind, tuple(sorted(set(names))))


def _networks(tenant: Tenant, cidrs: Mapping[str, IPv4Network], external_network: str | None) -> Iterator[Item]:
    """One router per zone: networks of different zones of the extranet do not meet on a router without an approval."""
    for zone in sorted({each.zone for each in tenant.networks.values()}):
        yield items.Router(zone, f"zone {zone}", external_network)
    for name, network in sorted(tenant.networks.items()):
        about = f"zone {network.zone}"
        yield items.Network(name, about)
        yield items.Subnet(name, name, str(cidrs[name]), tuple(str(each) for each in network.dns), about)
        yield interface_item(name, network.zone)
        for other in sorted(network.shared_with):
            yield share_item(name, other)
    yield from _links(tenant, cidrs)


def _links(tenant: Tenant, cidrs: Mapping[str, IPv4Network]) -> Iterator[Item]:
    """A router of its own for each approved pair: it joins these two networks and no others of their zones."""
    for link in sorted(tenant.zone_links, key=link_name):
        (one, other), router = sorted(link.between), link_name(link)
        yield items.Router(router, f"zone link {one} - {other}, approval {link.approval}", None)
        for near in (one, other):
            yield interface_item(near, router)
        for near, far in ((one, other), (other, one)):
            yield route_item(str(cidrs[far]), tenant.networks[near].zone, router, near)


def _security(tenant: Tenant, cidrs: Iterable[IPv4Network]) -> Iterator[Item]:
    yield items.SecurityGroup(GROUP, DESCRIPTION)
    for rule in sorted(baseline_rules(cidrs), key=str):
        yield rule_item(GROUP, rule)
    for name, group in sorted(tenant.security_groups.items()):
        rules = own_rules(group.rules)
        yield items.SecurityGroup(name, group.description, open_egress=rules >= AUTOMATIC)
        for rule in sorted(rules, key=str):
            yield rule_item(name, rule)


def _bucket(site: Site, tenant: Tenant, centre: CentreName) -> Iterator[Item]:
    vault = site.vaults().get(centre)
    copies = [site.tiers[system.tier].copies.get(centre) for system in tenant.systems.values()]
    locks = [copy.retention.lock.total_seconds() for copy in copies if copy]
    if vault and locks:
        days = ceil(max(locks) / SECONDS_PER_DAY)
        yield items.Bucket(vault.bucket(tenant.tenant), True, "COMPLIANCE" if days else None, days, kept_days(days))
