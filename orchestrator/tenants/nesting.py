"""Tenants of a shared domain, seen as if each had a domain of its own: what all the rest is made for. Pure.

What of the shared domain is a tenant's is known by its names: the project TENANT, the group TENANT-members, the
accounts TENANT.LOGIN. A project that somebody renamed is known by the tenant's service user, who has a role on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.cloud import identity
from orchestrator.errors import InvalidInput
from orchestrator.tenants.desired import SERVICE_USER, group_name
from policies.tenancy import Nested, OwnDomain, login_of

if TYPE_CHECKING:
    from orchestrator.tenants.survey import Survey

SEPARATOR = "/"


class Shared(NamedTuple):
    """The domain that tenants share, and the project that theirs stand below, if any."""

    domain_id: str
    parent_id: str | None


def shared_of(tenancy: Nested, domains: Collection[identity.Domain], projects: Collection[identity.Project]) -> Shared:
    """Return the ids of what a site names. Raises InvalidInput for what is not there: neither is ever made."""
    domain = next((each for each in domains if each.name == tenancy.domain), None)
    if domain is None:
        known = ", ".join(sorted(each.name for each in domains))
        raise InvalidInput(f"the cloud has no domain {tenancy.domain!r}", hint=f"make it first; there are: {known}")
    if tenancy.parent is None:
        return Shared(domain.id, None)
    for each in projects:
        if (each.domain_id, each.name) == (domain.id, tenancy.parent):
            return Shared(domain.id, each.id)
    raise InvalidInput(f"the domain {tenancy.domain!r} has no project {tenancy.parent!r}", hint="make it first")


def nested(found: Survey, tenancy: Nested, wanted: Collection[str]) -> Survey:
    """Return a survey in which each tenant of the shared domain has a home of its own. Raises InvalidInput."""
    shared = shared_of(tenancy, found.domains.values(), found.projects)
    tenants = {*wanted, *(each.name for each in found.projects if each.ours and each.domain_id == shared.domain_id)}
    users = [_at_home(each, shared, tenants) for each in found.users]
    stray = dict(_renamed(found, shared, tenants, users))
    homes = {name: identity.Domain(_home(shared, name), name, "", ours=True) for name in tenants}
    return replace(
        found,
        shared=shared,
        domains={**found.domains, **homes},
        elsewhere=dict(_elsewhere(found, shared, wanted)),
        users=users,
        groups=[
            replace(each, domain_id=_home(shared, tenant)) if tenant else each
            for each in found.groups
            for tenant in [_tenant_of_group(each, shared, tenants)]
        ],
        projects=[
            replace(each, domain_id=_home(shared, stray.get(each.id, each.name)))
            if each.domain_id == shared.domain_id and (each.id in stray or each.name in tenants)
            else each
            for each in found.projects
        ],
    )


def apart(found: Survey, wanted: Collection[str]) -> Survey:
    """Return a survey that says which tenants, to have domains of their own, stand nested in a shared one."""
    elsewhere = {
        each.name: f"stands nested in a shared domain ({each.domain_id}), and the site wants it in one of its own"
        for each in found.projects
        if each.ours and each.name in wanted and each.name not in found.domains
        for home in found.domains.values()
        if home.id == each.domain_id and not home.ours
    }
    return replace(found, elsewhere=elsewhere)


def settled(found: Survey, tenancy: OwnDomain | Nested, wanted: Collection[str]) -> Survey:
    """Return a survey in which every tenant has its home as the cloud's tenancy has it. Raises InvalidInput."""
    return nested(found, tenancy, wanted) if isinstance(tenancy, Nested) else apart(found, wanted)


def _home(shared: Shared, tenant: str) -> str:
    """Return the id of a home: no service knows it. What is made is made in the domain of `Shared`."""
    return f"{shared.domain_id}{SEPARATOR}{tenant}"


def _at_home(user: identity.User, shared: Shared, tenants: Collection[str]) -> identity.User:
    tenant, login = login_of(user.name)
    if user.domain_id != shared.domain_id or tenant not in tenants:
        return user
    return replace(user, domain_id=_home(shared, tenant), name=login)


def _tenant_of_group(group: identity.Group, shared: Shared, tenants: Collection[str]) -> str:
    if group.domain_id != shared.domain_id:
        return ""
    tenant = group.name.removesuffix(group_name(""))
    return tenant if group.name == group_name(tenant) and tenant in tenants else ""


def _renamed(
    found: Survey, shared: Shared, tenants: Collection[str], users: Collection[identity.User]
) -> Iterator[tuple[str, str]]:
    """Yield the projects of ours that somebody renamed, and whose they are."""
    keepers = {
        each.id: each.domain_id.partition(SEPARATOR)[2]
        for each in users
        if each.ours and each.name == SERVICE_USER and SEPARATOR in each.domain_id
    }
    held = {each.project_id: keepers[each.holder_id] for each in found.grants if each.holder_id in keepers}
    mine = [each for each in found.projects if each.ours and each.domain_id == shared.domain_id]
    standing = {each.name for each in mine}
    for each in mine:
        tenant = held.get(each.id)
        if tenant in tenants and tenant not in standing and tenant is not None:
            yield each.id, tenant


def _elsewhere(found: Survey, shared: Shared, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield what stands where the site does not want it: nothing is made a second time beside it."""
    for name in wanted:
        own = found.domains.get(name)
        if own and own.ours:
            yield name, "has a domain of its own, and the site wants it nested: move it by hand, or let it go first"
    for each in found.projects:
        mine = each.ours and each.name in wanted and each.domain_id == shared.domain_id
        if mine and shared.parent_id is not None and each.parent_id != shared.parent_id:
            yield each.name, "stands below another parent: Keystone moves no project"
