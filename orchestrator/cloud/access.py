"""What is not for everybody: flavors, volume types and images, and which projects may use them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from orchestrator.cloud.calls import listed
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import SDK_ERRORS, explained, is_conflict, repeat, status_of

Kind = Literal["flavors", "volume types", "images"]


@dataclass(frozen=True, slots=True)
class Restricted:
    """`project_ids` may use it; of a public one nobody is listed, for everybody may."""

    id: str
    name: str
    public: bool
    project_ids: frozenset[str] = frozenset()


class _Way(NamedTuple):
    """How one service is asked, and told: all there are, who may use one, let a project, let it no longer."""

    all: Callable[[Connection], Any]
    allowed: Callable[[Connection, str], Any]
    allow: Callable[[Connection, str, str], Any]
    disallow: Callable[[Connection, str, str], Any]


def restricted(connection: Connection, kind: Kind) -> list[Restricted]:
    """Return all of a kind, and who may use those that are not public: one request for each of these.

    Of images those of the city: what the project of this login shares. Bureaus' own are their own business.
    """
    way = _WAYS[kind]
    found = listed(connection, f"list {kind}", lambda: way.all(connection))
    return [
        Restricted(each.id, each.name, True) if _is_public(each) else _restricted(connection, way, each)
        for each in found
    ]


def allow(connection: Connection, kind: Kind, object_id: str, project_id: str) -> None:
    """Let a project use something. One that may already is fine."""
    _change(connection, kind, lambda: _WAYS[kind].allow(connection, object_id, project_id), is_conflict)


def disallow(connection: Connection, kind: Kind, object_id: str, project_id: str) -> None:
    """Let a project use something no longer; what it made of it stays. One that may not already is fine."""

    def gone(error: Exception) -> bool:
        return status_of(error) == 404

    _change(connection, kind, lambda: _WAYS[kind].disallow(connection, object_id, project_id), gone)


def _is_public(each: Any) -> bool:
    return bool(each.is_public) if hasattr(each, "is_public") else each.visibility != "shared"


def _restricted(connection: Connection, way: _Way, each: Any) -> Restricted:
    found = listed(connection, "list access", lambda: way.allowed(connection, each.id))
    return Restricted(each.id, each.name, False, frozenset(found))


def _change(connection: Connection, kind: Kind, change: Callable[[], Any], is_done: Callable[[Any], bool]) -> None:
    def send() -> None:
        try:
            change()
        except SDK_ERRORS as error:
            if not is_done(error):
                raise

    with explained(cloud_name(connection), f"change who may use {kind}"):
        repeat(send)


def _flavor_projects(connection: Connection, flavor_id: str) -> list[str]:
    return [each["tenant_id"] for each in connection.compute.get_flavor_access(flavor_id)]


def _type_projects(connection: Connection, type_id: str) -> list[str]:
    return [each["project_id"] for each in connection.block_storage.get_type_access(type_id)]


def _images(connection: Connection) -> Any:
    return connection.image.images(visibility="shared", owner=connection.current_project_id)


def _image_projects(connection: Connection, image_id: str) -> list[str]:
    """Return who accepted: a member that only was invited does not find the image in its lists."""
    return [each.member_id for each in connection.image.members(image_id) if each.status == "accepted"]


def _allow_image(connection: Connection, image_id: str, project_id: str) -> None:
    try:
        connection.image.add_member(image_id, member_id=project_id)
    except SDK_ERRORS as error:
        if not is_conflict(error):  # invited already, and perhaps no more than that
            raise
    connection.image.update_member(project_id, image_id, status="accepted")


_WAYS: dict[Kind, _Way] = {
    "flavors": _Way(
        lambda c: c.compute.flavors(is_public="None"),
        _flavor_projects,
        lambda c, flavor, project: c.compute.flavor_add_tenant_access(flavor, project),
        lambda c, flavor, project: c.compute.flavor_remove_tenant_access(flavor, project),
    ),
    "volume types": _Way(
        lambda c: c.block_storage.types(is_public="None"),
        _type_projects,
        lambda c, kind, project: c.block_storage.add_type_access(kind, project),
        lambda c, kind, project: c.block_storage.remove_type_access(kind, project),
    ),
    "images": _Way(
        _images,
        _image_projects,
        _allow_image,
        lambda c, image, project: c.image.remove_member(project, image, ignore_missing=False),
    ),
}
