"""A survey of a cloud, seen as the items of one tenant: pure, and the counterpart of `desired`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Protocol

from orchestrator.cloud import identity
from orchestrator.cloud.marks import TAG, is_of_any_drill, labels_of, unmarked
from orchestrator.cloud.network import Router
from orchestrator.tenants import items
from orchestrator.tenants.desired import (
    ROLES,
    SERVICE_ROLE,
    SERVICE_USER,
    group_name,
    interface_item,
    is_link,
    key_pair_item,
    membership_item,
    role_item,
    route_item,
    rule_item,
    share_item,
)
from orchestrator.tenants.items import Item, Key, Observed, Seen
from orchestrator.tenants.survey import Details, Survey


class Owned(Protocol):
    """An object of a cloud that carries the mark, or does not."""

    @property
    def id(self) -> str: ...

    @property
    def ours(self) -> bool: ...

    @property
    def description(self) -> str: ...


def observe(survey: Survey, tenant: str) -> Observed:
    """Return what the cloud has of a tenant. Of a domain that is not ours only the domain is told."""
    return by_key(_seen(survey, tenant))


def by_key(seen: Iterable[Seen]) -> Observed:
    found: dict[Key, list[Seen]] = defaultdict(list)
    for each in seen:
        found[each.item.key].append(each)
    return {key: tuple(several) for key, several in found.items()}


def _seen(survey: Survey, tenant: str) -> Iterator[Seen]:
    domain = survey.domains.get(tenant)
    if domain is None:
        return
    about = unmarked(domain.description)
    if survey.shared is None:  # a shared one is nobody's
        yield _seen_as(survey, domain, items.Domain(domain.name, about, domain.enabled))
    if not domain.ours:
        return
    users = {each.id: each for each in survey.users if each.domain_id == domain.id}
    groups = {each.id: each for each in survey.groups if each.domain_id == domain.id}
    yield from _accounts(survey, users.values(), groups.values())
    project = survey.project_of(tenant)
    if project is None:
        return
    about = unmarked(project.description)
    yield _seen_as(survey, project, items.Project(project.name, about, project.enabled, labels_of(project.tags)))
    details = survey.details.get(tenant, Details())
    yield from _links(survey, details, project, users, groups)
    yield from _credentials(details)
    for service, limits in details.limits.items():
        yield Seen(project.id, True, items.Quota(service, limits))
    yield from _allowed(survey, details, project, users)
    yield from _networks(survey, project.id)
    yield from _shares(survey, project.id)
    yield from _security(survey, project.id)


def _accounts(survey: Survey, users: Iterable[identity.User], groups: Iterable[identity.Group]) -> Iterator[Seen]:
    for user in users:
        about = unmarked(user.description)
        yield _seen_as(survey, user, items.User(user.name, about, user.email, user.enabled))
    for group in groups:
        yield _seen_as(survey, group, items.Group(group.name, unmarked(group.description)))


def _allowed(
    survey: Survey, details: Details, project: identity.Project, users: dict[str, identity.User]
) -> Iterator[Seen]:
    """What is not for everybody and the project may use, and the keys of its people."""
    for key in details.key_pairs:
        if owner := users.get(key.user_id):
            yield Seen(owner.id, owner.ours, key_pair_item(owner.name, key.name, key.public_key))
    for kind, there in survey.access.items():
        usable = sorted(each.name for each in there if project.id in each.project_ids)
        yield Seen(project.id, True, items.Access(kind, tuple(usable)))


def _seen_as(survey: Survey, found: Owned, item: Item, inside: str = "") -> Seen:
    called = survey.called.get(found.id, "")
    return Seen(found.id, found.ours, item, inside, is_of_any_drill(found.description), called)


def _links(
    survey: Survey,
    details: Details,
    project: identity.Project,
    users: dict[str, identity.User],
    groups: dict[str, identity.Group],
) -> Iterator[Seen]:
    """Roles and memberships. Those of users and groups of ours are ours, as far as we hand out such roles."""
    names = {role_id: name for name, role_id in survey.roles.items()}
    for grant in survey.grants:
        holder = (users if grant.holder == "user" else groups).get(grant.holder_id)
        role = names.get(grant.role_id)
        if grant.project_id == project.id and holder and role:
            ours = holder.ours and role in ROLES
            yield Seen(grant.role_id, ours, role_item(grant.holder, holder.name, role))
    group = group_name(project.name)
    for user_id in details.member_ids:
        if user := users.get(user_id):
            yield Seen(user.id, user.ours, membership_item(user.name, group))


def _credentials(details: Details) -> Iterator[Seen]:
    """The one that the file names is the tenant's, whatever it is called: a rotation gives it a new name.

    Beside it, others of ours are what an interrupted rotation has left, and the next one takes away.
    """
    in_use = any(each.id == details.stored_credential and each.ours for each in details.credentials)
    for each in details.credentials:
        if each.ours and each.id == details.stored_credential:
            name, state = SERVICE_USER, "present"
        else:
            name, state = f"{each.name} left {each.id}" if in_use and each.ours else each.name, "missing"
        item = items.Credential(name, user=SERVICE_USER, role=SERVICE_ROLE, secret_file=state)
        yield Seen(each.id, each.ours, item)


def _shares(survey: Survey, project_id: str) -> Iterator[Seen]:
    """Who else may use the networks: of one that is ours whoever the site does not name is to use it no longer."""
    mine = {each.id: each for each in survey.networks if each.project_id == project_id}
    for share in survey.shares:
        if network := mine.get(share.network_id):
            yield Seen(share.id, network.ours, share_item(network.name, _tenant_of(survey, share.project_id)))


def _tenant_of(survey: Survey, project_id: str) -> str:
    """Return the tenant whose project it is; of a project that is nobody's here its id."""
    project = next((each for each in survey.projects if each.id == project_id), None)
    mine = project and survey.project_of(project.name)
    return project.name if project and mine and mine.id == project_id else project_id


def _networks(survey: Survey, project_id: str) -> Iterator[Seen]:
    names = {each.id: each.name for each in survey.networks}
    for network in survey.networks:
        if network.project_id == project_id:
            about = unmarked(network.description)
            lan = items.Network(network.name, about, TAG in network.tags)
            yield _seen_as(survey, network, lan)
    routers = {each.id: each for each in survey.routers if each.project_id == project_id}
    for router in routers.values():
        external = names.get(router.external_network_id or "")
        about = unmarked(router.description)
        made = items.Router(router.name, about, external, TAG in router.tags)
        yield _seen_as(survey, router, made)
    subnets = {each.id: each for each in survey.subnets if each.project_id == project_id}
    for subnet in subnets.values():
        item = items.Subnet(
            subnet.name,
            names.get(subnet.network_id, subnet.network_id),
            subnet.cidr,
            subnet.dns,
            unmarked(subnet.description),
            TAG in subnet.tags,
        )
        yield _seen_as(survey, subnet, item, subnet.network_id)
    for interface in survey.interfaces:
        if interface.subnet_id in subnets and interface.router_id in routers:
            subnet, router = subnets[interface.subnet_id], routers[interface.router_id]
            if subnet.ours and router.ours:
                yield Seen(router.id, True, interface_item(subnet.name, router.name), subnet.id)
                if is_link(router.name):
                    yield from _routes(routers.values(), router.name, subnet.name, interface.address)


def _routes(routers: Iterable[Router], link: str, subnet: str, foot: str) -> Iterator[Seen]:
    """The routes of our routers that lead to the foot of a link."""
    for router in routers:
        for destination, next_hop in router.routes if router.ours else ():
            if next_hop == foot:
                yield Seen(router.id, True, route_item(destination, router.name, link, subnet, next_hop))


def _security(survey: Survey, project_id: str) -> Iterator[Seen]:
    for group in survey.security_groups:
        if group.project_id != project_id:
            continue
        about = unmarked(group.description)
        item = items.SecurityGroup(group.name, about, tag=TAG in group.tags)
        yield _seen_as(survey, group, item)
        if group.ours:
            for each in group.rules:
                yield Seen(each.id, each.ours, rule_item(group.name, each.rule))
