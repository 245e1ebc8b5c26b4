"""Nova: flavors, and which projects may use those that are not for everybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestrator.cloud.calls import listed
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import SDK_ERRORS, explained, is_conflict, repeat, status_of


@dataclass(frozen=True, slots=True)
class Flavor:
    """`project_ids` may use it; of a public one nobody is listed, for everybody may."""

    id: str
    name: str
    public: bool
    project_ids: frozenset[str] = frozenset()


def flavors(connection: Connection) -> list[Flavor]:
    """Return all flavors, and who may use those that are not public: one request for each of these."""
    found = listed(connection, "list flavors", lambda: connection.compute.flavors(is_public="None"))
    return [
        Flavor(each.id, each.name, True)
        if each.is_public
        else Flavor(each.id, each.name, False, _allowed(connection, each.id))
        for each in found
    ]


def allow(connection: Connection, flavor_id: str, project_id: str) -> None:
    """Let a project use a flavor. One that may already is fine."""
    _change(connection, lambda: connection.compute.flavor_add_tenant_access(flavor_id, project_id), is_conflict)


def disallow(connection: Connection, flavor_id: str, project_id: str) -> None:
    """Let a project use a flavor no longer; what runs stays. One that may not already is fine."""

    def gone(error: Exception) -> bool:
        return status_of(error) == 404

    _change(connection, lambda: connection.compute.flavor_remove_tenant_access(flavor_id, project_id), gone)


def _allowed(connection: Connection, flavor_id: str) -> frozenset[str]:
    found = listed(connection, "list access", lambda: connection.compute.get_flavor_access(flavor_id))
    return frozenset(each["tenant_id"] for each in found)


def _change(connection: Connection, change: Callable[[], Any], is_done: Callable[[Any], bool]) -> None:
    def send() -> None:
        try:
            change()
        except SDK_ERRORS as error:
            if not is_done(error):
                raise

    with explained(cloud_name(connection), "change who may use a flavor"):
        repeat(send)
