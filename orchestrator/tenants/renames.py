"""What somebody gave another name: found again by what it is, so that it is named back and not made a second time.

Only ours, and only where there is one candidate: a group by its description, a network by the addresses in it, an
account by its mail address. Where it cannot be told, it is a leftover, and what is wanted is missing. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.cloud.marks import is_of_any_drill, unmarked
from orchestrator.tenants import items
from orchestrator.tenants.desired import SERVICE_USER, Desired
from orchestrator.tenants.items import Item

if TYPE_CHECKING:
    from orchestrator.tenants.survey import Survey

#: Tells whether an object of the cloud is what an item says, but for its name.
Same = Callable[[Any, Any], bool]


def restored(found: Survey, wanted: Collection[Desired]) -> Survey:
    """Return a survey in which what somebody renamed has the name that is wanted; `called` has the other one."""
    for want in wanted:
        if not _of(want, items.Project):  # who wants only a part of a tenant knows no names of the rest
            continue
        for step in (_domain, _project, _accounts, _networks, _subnets, _routers, _groups):
            found = step(found, want)
    return found


def _domain(found: Survey, want: Desired) -> Survey:
    name = want.target.tenant
    homes = {each.domain_id for each in found.projects if each.ours and each.name == name}

    def same(item: items.Domain, there: Any) -> bool:
        return there.id in homes and _described(item, there)

    return _named(found, "domains", _pairs(_of(want, items.Domain), list(found.domains.values()), same))


def _project(found: Survey, want: Desired) -> Survey:
    there = _in_domain(found, want, found.projects)
    return _named(found, "projects", _pairs(_of(want, items.Project), there, _described))


def _accounts(found: Survey, want: Desired) -> Survey:
    groups = _pairs(_of(want, items.Group), _in_domain(found, want, found.groups), _described)
    users = _pairs(_of(want, items.User), _in_domain(found, want, found.users), _same_user)
    return _named(_named(found, "groups", groups), "users", users)


def _networks(found: Survey, want: Desired) -> Survey:
    cidrs = {each.network: each.cidr for each in _of(want, items.Subnet)}
    inside = {(each.network_id, each.cidr) for each in found.subnets if each.ours}

    def same(item: items.Network, there: Any) -> bool:
        return (there.id, cidrs.get(item.name)) in inside

    return _named(found, "networks", _pairs(_of(want, items.Network), _in_project(found, want, found.networks), same))


def _subnets(found: Survey, want: Desired) -> Survey:
    names = {each.id: each.name for each in found.networks}

    def same(item: items.Subnet, there: Any) -> bool:
        return there.cidr == item.cidr and names.get(there.network_id) == item.network

    return _named(found, "subnets", _pairs(_of(want, items.Subnet), _in_project(found, want, found.subnets), same))


def _routers(found: Survey, want: Desired) -> Survey:
    there = _in_project(found, want, found.routers)
    return _named(found, "routers", _pairs(_of(want, items.Router), there, _described))


def _groups(found: Survey, want: Desired) -> Survey:
    rules = _of(want, items.SecurityRule)

    def same(item: items.SecurityGroup, there: Any) -> bool:
        wanted = {each.rule for each in rules if each.group == item.name}
        return _described(item, there) and wanted == {each.rule for each in there.rules if each.ours}

    there = _in_project(found, want, found.security_groups)
    return _named(found, "security_groups", _pairs(_of(want, items.SecurityGroup), there, same))


def _of(want: Desired, kind: type[Any]) -> list[Any]:
    return [each for each in want.items if isinstance(each, kind)]


def _described(item: Any, there: Any) -> bool:
    return bool(unmarked(there.description) == item.description)


def _same_user(item: items.User, there: Any) -> bool:
    """Two people may have one name, and nobody shall get the account of another."""
    known = item.name == SERVICE_USER or (item.email is not None and item.email == there.email)
    return known and _described(item, there)


def _in_domain(found: Survey, want: Desired, several: Collection[Any]) -> list[Any]:
    domain = found.domains.get(want.target.tenant)
    return [each for each in several if domain and domain.ours and each.domain_id == domain.id]


def _in_project(found: Survey, want: Desired, several: Collection[Any]) -> list[Any]:
    project = found.project_of(want.target.tenant)
    return [each for each in several if project and each.project_id == project.id]


def _pairs(wanted: Collection[Item], there: Collection[Any], same: Same) -> dict[str, str]:
    """Return id -> wanted name of what can only be one thing that is missing, and the other way round."""
    taken, known = {each.name for each in there}, {each.name for each in wanted}
    strays = [each for each in there if each.ours and each.name not in known and not is_of_any_drill(each.description)]
    pairs = [(each, item) for item in wanted if item.name not in taken for each in strays if same(item, each)]
    of_item = Counter(item.name for _, item in pairs)
    of_stray = Counter(each.id for each, _ in pairs)
    return {each.id: item.name for each, item in pairs if of_item[item.name] == of_stray[each.id] == 1}


def _named(found: Survey, collection: str, names: Mapping[str, str]) -> Survey:
    if not names:
        return found
    objects = getattr(found, collection)
    listed = list(objects.values() if isinstance(objects, Mapping) else objects)
    called = {each.id: each.name for each in listed if each.id in names}
    renamed = [replace(each, name=names.get(each.id, each.name)) for each in listed]
    value = {each.name: each for each in renamed} if isinstance(objects, Mapping) else renamed
    changed: dict[str, Any] = {collection: value, "called": {**found.called, **called}}
    return replace(found, **changed)
