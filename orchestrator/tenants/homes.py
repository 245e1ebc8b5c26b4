"""What one tenant has of a cloud's identity service, asked for by itself: its home there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from orchestrator.cloud import identity
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.errors import Refused
from orchestrator.tenants.desired import SERVICE_USER, group_name
from policies.tenancy import Nested, OwnDomain


@dataclass(frozen=True, slots=True)
class Home:
    """What is a tenant's: a domain with all that is in it; nested no domain, and what bears the tenant's name."""

    domain: identity.Domain | None = None
    projects: tuple[identity.Project, ...] = ()
    users: tuple[identity.User, ...] = ()
    groups: tuple[identity.Group, ...] = ()
    service_account: str = SERVICE_USER

    @property
    def people(self) -> tuple[identity.User, ...]:
        """The users but for Tricenter's own."""
        return tuple(each for each in self.users if each.name != self.service_account)

    @property
    def service_user(self) -> identity.User | None:
        return next((each for each in self.users if each.name == self.service_account and each.ours), None)


def home_of(cloud: Connection, tenancy: OwnDomain | Nested, tenant: str) -> Home:
    """Return what a tenant has; nothing when it is not there. Raises Refused for what others made under its name."""
    if isinstance(tenancy, Nested):
        return _nested(cloud, tenancy, tenant)
    domain = next((each for each in identity.domains(cloud) if each.name == tenant), None)
    if domain is None:
        return Home()
    if not domain.ours:
        raise _not_ours(cloud, f"domain {tenant}")
    return Home(
        domain,
        tuple(each for each in identity.projects(cloud) if each.domain_id == domain.id),
        tuple(identity.users(cloud, domain.id)),
        tuple(identity.groups(cloud, domain.id)),
    )


def _nested(cloud: Connection, tenancy: Nested, tenant: str) -> Home:
    domain = next((each for each in identity.domains(cloud) if each.name == tenancy.domain), None)
    if domain is None:
        return Home()
    projects = [each for each in identity.projects(cloud) if (each.domain_id, each.name) == (domain.id, tenant)]
    if projects and not projects[0].ours:
        raise _not_ours(cloud, f"project {tenant}")
    prefix = tenancy.account(tenant, "")
    return Home(
        None,
        tuple(projects),
        tuple(each for each in identity.users(cloud, domain.id) if each.ours and each.name.startswith(prefix)),
        tuple(each for each in identity.groups(cloud, domain.id) if each.ours and each.name == group_name(tenant)),
        tenancy.account(tenant, SERVICE_USER),
    )


def projects_of(cloud: Connection, tenancy: OwnDomain | Nested, tenants: Collection[str]) -> dict[str, str]:
    """Return the ids of projects by tenant, in two requests. Those that are not there, or not ours, are left out."""
    domains = {each.name: each for each in identity.domains(cloud)}
    found: dict[str, str] = {}
    for each in identity.projects(cloud):
        home = domains.get(tenancy.domain_of(each.name))
        known = each.ours if isinstance(tenancy, Nested) else home is not None and home.ours
        if each.name in tenants and home and known and each.domain_id == home.id:
            found[each.name] = each.id
    return found


def _not_ours(cloud: Connection, what: str) -> Refused:
    return Refused(
        f"{what} of cloud {cloud_name(cloud)!r} was not created by Tricenter, and is not touched",
        hint="delete it by hand, if it is to go",
    )
