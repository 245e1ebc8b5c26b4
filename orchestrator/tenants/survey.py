"""What one cloud holds, read with a number of requests that does not grow with the number of tenants.

Every kind of object is listed once for the whole cloud. Only what no service lists for all is asked per tenant, and
remembered: see `asking`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from orchestrator.cloud import access, further_quotas, identity, key_pairs, network, quotas, security, shares
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.credentials import credential_file, stored_id
from orchestrator.errors import InvalidInput, Unreachable
from orchestrator.tenants import items
from orchestrator.tenants.asking import Memory, Question, ask
from orchestrator.tenants.desired import SERVICE_USER, Desired, group_name
from orchestrator.tenants.nesting import Shared, settled
from orchestrator.tenants.renames import restored
from policies.quota_classes import EVERYWHERE, SERVICES
from policies.tenancy import Nested, OwnDomain

T = TypeVar("T", identity.Group, identity.User)

#: What the site may say of each: who may use it.
KINDS: tuple[access.Kind, ...] = ("flavors", "volume types", "images")

#: The services that list the limits of all projects. Of the others each project is asked.
LISTING = {
    "network": quotas.network,
    "load_balancer": further_quotas.load_balancer,
    "key_manager": further_quotas.key_manager,
}


@dataclass(frozen=True, slots=True)
class Details:
    """What had to be asked for one tenant. `remembered_at`: when the cloud said so, if that was not now."""

    limits: Mapping[str, quotas.Limits] = field(default_factory=dict)
    member_ids: frozenset[str] = frozenset()
    credentials: tuple[identity.ApplicationCredential, ...] = ()
    stored_credential: str | None = None
    remembered_at: datetime | None = None
    key_pairs: tuple[key_pairs.KeyPair, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """One cloud at one moment."""

    roles: Mapping[str, str]
    domains: Mapping[str, identity.Domain]
    projects: Collection[identity.Project]
    groups: Collection[identity.Group]
    users: Collection[identity.User]
    grants: Collection[identity.Grant]
    networks: Collection[network.Network]
    subnets: Collection[network.Subnet]
    routers: Collection[network.Router]
    interfaces: Collection[network.Interface]
    security_groups: Collection[security.SecurityGroup]
    details: Mapping[str, Details]
    #: By id what somebody has given another name: the name that it has there. Here all have those that are wanted.
    called: Mapping[str, str] = field(default_factory=dict)
    shares: Collection[shares.Share] = ()
    #: The domain that all tenants share; None where each has its own.
    shared: Shared | None = None
    #: By tenant why nothing may be made where the site wants it: it stands elsewhere.
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    #: By kind what is not for everybody. Of a kind of which no tenant says what it may use nobody was asked.
    access: Mapping[str, Collection[access.Restricted]] = field(default_factory=dict)
    #: The services with quotas that the cloud has. One that is not among them was asked nothing.
    services: frozenset[str] = frozenset(EVERYWHERE)

    @property
    def external_networks(self) -> dict[str, str]:
        return {each.name: each.id for each in self.networks if each.external}

    def project_of(self, tenant: str) -> identity.Project | None:
        """Return the project of a tenant whose domain is ours."""
        domain = self.domains.get(tenant)
        if domain is None or not domain.ours:
            return None
        return next((each for each in self.projects if each.domain_id == domain.id and each.name == tenant), None)


def survey(
    connection: Connection,
    centre: str,
    wanted: Collection[Desired],
    secrets: Path,
    *,
    tenancy: OwnDomain | Nested,
    all_quotas: bool = False,
    memory: Memory | None = None,
) -> Survey:
    """Look at a cloud, with the details of these tenants; what the memory holds of them is not asked again.

    Raises InvalidInput when the cloud lacks a role or the external network that the site names, and what the cloud
    room raises.
    """
    domains = {each.name: each for each in identity.domains(connection)}
    names = {want.target.tenant for want in wanted}
    ours = [each for name in (tenancy.domain_of(name) for name in names) if (each := domains.get(name))]
    ours = [each for each in ours if each.ours or isinstance(tenancy, Nested)]
    found = Survey(
        roles=identity.roles(connection),
        domains=domains,
        projects=identity.projects(connection),
        groups=_of_domains(lambda domain: identity.groups(connection, domain), ours),
        users=_of_domains(lambda domain: identity.users(connection, domain), ours),
        grants=identity.grants(connection),
        networks=network.networks(connection),
        subnets=network.subnets(connection),
        routers=network.routers(connection),
        interfaces=network.interfaces(connection),
        security_groups=security.security_groups(connection),
        details={},
        shares=shares.shares(connection),
        access={
            kind: access.restricted(connection, kind) for kind in KINDS if any(_access(each, kind) for each in wanted)
        },
        services=further_quotas.offered(connection).union(EVERYWHERE),
    )
    _check(found, connection, wanted)
    _check_access(found, cloud_name(connection), wanted)
    found = restored(settled(found, tenancy, names), wanted)
    details = _details(found, connection, centre, wanted, secrets, all_quotas=all_quotas, memory=memory)
    return replace(found, details=details)


def confirmed(
    found: Survey,
    connection: Connection,
    centre: str,
    wanted: Collection[Desired],
    secrets: Path,
    memory: Memory | None,
) -> Survey:
    """Return the survey with the details of these tenants asked now. The memory is to be one that asks everything."""
    details = _details(found, connection, centre, wanted, secrets, all_quotas=False, memory=memory)
    return replace(found, details={**found.details, **details})


def _of_domains(ask: Callable[[str | None], list[T]], ours: list[identity.Domain]) -> list[T]:
    """List for all domains at once, then ask alone each of ours that shows nothing.

    A domain of ours shows nothing when it is new, or when the cloud lists domains with drivers of their own apart.
    """
    found = ask(None)
    shown = {each.domain_id for each in found}
    for domain in ours:
        if domain.id not in shown:
            found += ask(domain.id)
    return found


def _access(want: Desired, kind: str) -> list[items.Access]:
    return [each for each in want.items if isinstance(each, items.Access) and each.name == kind]


def _check_access(found: Survey, cloud: str, wanted: Collection[Desired]) -> None:
    for kind, there in found.access.items():
        private = [each.name for each in there if not each.public]
        for name in (name for want in wanted for each in _access(want, kind) for name in each.names):
            if private.count(name) == 1:
                continue
            if name in private:
                told, hint = "is there more than once", "give each of them a name of its own"
            elif any(each.name == name for each in there):
                told, hint = "is public", f"everybody may use it: take it out of `{kind.replace(' ', '_')}`"
            else:
                told, hint = "is not there", f"not for everybody are: {', '.join(sorted(private)) or 'none'}"
            raise InvalidInput(f"{name!r} of the {kind} of cloud {cloud!r} {told}", hint=hint)


def _check(found: Survey, connection: Connection, wanted: Collection[Desired]) -> None:
    for item in (each for want in wanted for each in want.items):
        if isinstance(item, items.Role) and item.role not in found.roles:
            raise InvalidInput(
                f"cloud {cloud_name(connection)!r} has no role {item.role!r}",
                hint=f"openstack role create {item.role}, or give the member another role",
            )
        if isinstance(item, items.Router) and item.external_network not in (None, *found.external_networks):
            if not found.networks:
                raise Unreachable(
                    f"cloud {cloud_name(connection)!r} lists no network at all, not even one that is its own",
                    hint="is its network service just starting? try again in a minute",
                )
            known = ", ".join(found.external_networks) or "none"
            raise InvalidInput(
                f"cloud {cloud_name(connection)!r} has no external network {item.external_network!r}",
                hint=f"set external_network of the centre's cloud in site.yaml; there are: {known}",
            )


def _details(
    found: Survey,
    connection: Connection,
    centre: str,
    wanted: Collection[Desired],
    secrets: Path,
    *,
    all_quotas: bool,
    memory: Memory | None,
) -> dict[str, Details]:
    questions = [
        _question(found, project, _services(found, None if all_quotas else want), _keyed(want))
        for want in wanted
        if (project := found.project_of(want.target.tenant))
    ]
    listed = {
        service: ask_all(connection, [each.project_id for each in questions if service in each.services])
        for service, ask_all in LISTING.items()
    }
    answers = ask(connection, centre, questions, memory)
    details = {}
    for each in questions:
        answer = answers[each.tenant]
        own = {service: limits[each.project_id] for service, limits in listed.items() if each.project_id in limits}
        details[each.tenant] = Details(
            {**answer.limits, **own},
            answer.member_ids,
            answer.credentials,
            stored_id(credential_file(secrets, each.tenant, centre)),
            answer.remembered_at,
            answer.key_pairs,
        )
    return details


def _services(found: Survey, want: Desired | None) -> tuple[str, ...]:
    """Return the services to ask for quotas: those of `want`, or all. What the cloud lacks is never asked."""
    named = SERVICES if want is None else [each.name for each in want.items if isinstance(each, items.Quota)]
    return tuple(each for each in named if each in found.services)


def _keyed(want: Desired) -> frozenset[str]:
    """Return the members of whom the site says a key. Nobody else's keys are asked for."""
    return frozenset(each.user for each in want.items if isinstance(each, items.KeyPair))


def _question(found: Survey, project: identity.Project, services: tuple[str, ...], keyed: frozenset[str]) -> Question:
    members = group_name(project.name)
    groups = (each.id for each in found.groups if (each.domain_id, each.name) == (project.domain_id, members))
    users = (each.id for each in found.users if (each.domain_id, each.name) == (project.domain_id, SERVICE_USER))
    owners = sorted(each.id for each in found.users if each.domain_id == project.domain_id and each.name in keyed)
    return Question(project.name, project.id, next(groups, None), next(users, None), services, tuple(owners))
