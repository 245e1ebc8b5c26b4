"""Suspending a tenant, bringing it back, and letting it go: the acts at the clouds. Each may be repeated.

Suspended or in quarantine nobody of the bureau can log in. What it runs goes on, and so do its backups: Tricenter's own
user of the tenant stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from orchestrator.catalogue.lives import not_applied
from orchestrator.cloud import belongings, identity, key_pairs
from orchestrator.cloud.connection import Connection, cloud_name, disconnect
from orchestrator.cloud.credentials import credential_file
from orchestrator.cloud.faults import explained, repeat
from orchestrator.errors import CheckFailed, Refused
from orchestrator.tenants.desired import Desired
from orchestrator.tenants.homes import Home, home_of
from orchestrator.tenants.looking import Centres
from policies.life import LifeState
from policies.tiers import CentreName


@dataclass(frozen=True, slots=True)
class Belongs:
    """Something that a tenant has at a centre."""

    centre: str
    noun: str
    name: str
    id: str

    def as_json(self) -> dict[str, str]:
        return {"centre": self.centre, "noun": self.noun, "name": self.name, "id": self.id}


def refuse_unless_applied(tenants: Sequence[str], resting: Mapping[str, LifeState]) -> None:
    """Raise Refused when one of the tenants is suspended, leaving or gone: no apply may bring it back by accident."""
    for each in tenants:
        if state := resting.get(each):
            hint = "tricenter tenant offboard status" if state is LifeState.GONE else f"tricenter tenant resume {each}"
            raise Refused(f"{each} is {state}: an apply would undo that", hint=hint)


def still_applied(app: Any, wanted: Sequence[Desired], named: Sequence[str]) -> list[Desired]:
    """Return what of this an apply may make so: not of tenants that are suspended, leaving or gone.

    Of all tenants those are left out, and told of. Raises Refused for one that was named.
    """
    resting = not_applied(app.catalogue)
    refuse_unless_applied(named, resting)
    for each in sorted(resting.keys() & {want.target.tenant for want in wanted}):
        app.progress_console.print(f"{each}: {resting[each]}，不应用 left as it is", markup=False)
    return [each for each in wanted if each.target.tenant not in resting]


def lock_out(centres: Centres, tenant: str, already: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Disable the users of a tenant at every cloud, and return who was locked out: centre -> ids.

    Who was disabled before stays out of it, so that `let_in` lets nobody in whom somebody else locked out. `already`
    is what an earlier, interrupted call returned or was to return.
    """
    locked: dict[str, list[str]] = {}
    for centre in centres.site.clouds():
        with _Cloud(centres, centre) as cloud:
            mine = list(already.get(centre, ()))
            for user in _home(centres, centre, cloud, tenant).people:
                if user.enabled:
                    mine.append(user.id)
            locked[centre] = list(dict.fromkeys(mine))
    return locked


def set_enabled(centres: Centres, users: Mapping[str, Sequence[str]], *, enabled: bool) -> int:
    """Enable or disable these users, and return how many there are. One that is gone by now is fine."""
    count = 0
    for centre, ids in users.items():
        if not ids:
            continue
        with _Cloud(centres, centre) as cloud:
            there = {each.id for each in identity.users(cloud)}
            for user in ids:
                if user in there or _is_there(cloud, user):
                    identity.update(cloud, "user", user, is_enabled=enabled)
                    count += 1
    return count


def list_belongings(centres: Centres, tenant: str, projects: Mapping[str, Sequence[str]]) -> list[Belongs]:
    """Return all that a tenant has at every cloud: its home in Keystone, and what its projects have.

    `projects` are ids that are known from before, by centre: once a project is deleted, nothing else tells of what it
    may have left behind. Raises Refused when what bears the tenant's name was not created by Tricenter.
    """
    found: list[Belongs] = []
    for centre in centres.site.clouds():
        with _Cloud(centres, centre) as cloud:
            home = _home(centres, centre, cloud, tenant)
            for project in dict.fromkeys([*(each.id for each in home.projects), *projects.get(centre, ())]):
                found += [
                    Belongs(centre, each.noun, each.name, each.id) for each in belongings.belongings(cloud, project)
                ]
            found += [Belongs(centre, noun, name, key) for noun, name, key in _identities(cloud, home)]
    return found


def projects_of(centres: Centres, tenant: str) -> dict[str, list[str]]:
    """Return the ids of a tenant's projects, by centre."""
    known: dict[str, list[str]] = {}
    for centre in centres.site.clouds():
        with _Cloud(centres, centre) as cloud:
            known[centre] = [each.id for each in _home(centres, centre, cloud, tenant).projects]
    return known


def purge(
    centres: Centres, tenant: str, projects: Mapping[str, Sequence[str]], told: Callable[[Belongs], None]
) -> None:
    """Delete all that a tenant has at every cloud, what others hold last. `told` hears of each as it is gone.

    May be repeated, and goes on where it was cut off. Raises PartlyDone naming what could not be deleted.
    """
    for centre in centres.site.clouds():
        with _Cloud(centres, centre) as cloud:
            home = _home(centres, centre, cloud, tenant)
            known = [each.id for each in home.projects]
            for project in dict.fromkeys([*known, *projects.get(centre, ())]):
                belongings.delete_belongings(
                    cloud,
                    project,
                    on_deleted=lambda each, centre=centre: told(Belongs(centre, each.noun, each.name, each.id)),  # type: ignore[misc]
                )
            for project in known:
                belongings.forget_quotas(cloud, project)
            _purge_identities(cloud, home, lambda noun, name, key: told(Belongs(centre, noun, name, key)))  # noqa: B023 - called at once
        credential_file(centres.secrets_folder, tenant, centre).unlink(missing_ok=True)


def prove_gone(centres: Centres, tenant: str, projects: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """List everything once more, and return what was asked for: projects by centre. Raises CheckFailed."""
    left = list_belongings(centres, tenant, projects)
    if left:
        told = ", ".join(f"{each.noun} {each.name or each.id} @ {each.centre}" for each in left[:10])
        raise CheckFailed(f"{tenant}: {len(left)} thing(s) still there: {told}", hint="run the purge again")
    return {centre: list(projects.get(centre, ())) for centre in centres.site.clouds()}


def is_over(until: datetime | None, moment: datetime) -> bool:
    """Return whether a quarantine is over. Pure."""
    return until is not None and moment >= until


class _Cloud:
    """A connection of the cloud's admin for a block."""

    def __init__(self, centres: Centres, centre: str) -> None:
        self._connection = centres.new_cloud(centre)

    def __enter__(self) -> Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        disconnect(self._connection)


def _is_there(cloud: Connection, user_id: str) -> bool:
    with explained(cloud_name(cloud), "look at a user"):
        return repeat(lambda: cloud.identity.find_user(user_id, ignore_missing=True)) is not None


def _home(centres: Centres, centre: str, cloud: Connection, tenant: str) -> Home:
    return home_of(cloud, centres.site.clouds()[cast(CentreName, centre)].tenancy, tenant)


def _identities(cloud: Connection, home: Home) -> list[tuple[str, str, str]]:
    """Return users, groups, projects and the domain if it is the tenant's, as they can be deleted in turn.

    Before them users' key pairs, which Nova keeps for ever once their user is gone.
    """
    keys = [(user, key) for user in home.users for key in key_pairs.key_pairs(cloud, user.id)]
    return [
        *(("key pair", f"{user.name}: {key.name}", f"{user.id}/{key.name}") for user, key in keys),
        *(("user", each.name, each.id) for each in home.users),
        *(("group", each.name, each.id) for each in home.groups),
        *(("project", each.name, each.id) for each in home.projects),
        *(("domain", each.name, each.id) for each in (home.domain,) if each),
    ]


def _purge_identities(cloud: Connection, home: Home, told: Callable[[str, str, str], None]) -> None:
    for noun, name, key in _identities(cloud, home):
        if noun == "key pair":
            key_pairs.remove_key_pair(cloud, *key.split("/", 1))
        else:
            if noun == "domain":  # Keystone deletes no domain that is enabled
                identity.update(cloud, "domain", key, is_enabled=False)
            identity.delete(cloud, noun, key)
        told(noun, name, key)
