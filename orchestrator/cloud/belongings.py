"""Everything that a project has at a cloud, whoever made it, and how each is deleted. For projects that go.

Acts as the cloud's admin. Security groups are listed for the whole cloud: asked for those of a project, Neutron makes
its group `default` anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from orchestrator.cloud import further_quotas, image, network
from orchestrator.cloud.calls import listed, sent
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.network import INTERFACE_OWNERS
from orchestrator.cloud.occupants import SERVING
from orchestrator.cloud.sweep import Left
from orchestrator.cloud.waiting import pause
from orchestrator.errors import PartlyDone, Refused

PURGE_SECONDS = 600.0

#: What goes before what: a noun is asked to go when nothing of an earlier row is left.
STAGES = (
    ("server",),
    ("snapshot", "floating IP", "image", "server group", "sharing rule"),
    ("volume", "port", "router interface"),
    ("router", "network"),
    ("security group",),
)


def belongings(connection: Connection, project_id: str) -> list[Left]:
    """Return all that a project has, in the order in which it can be deleted. Raises Unreachable, Refused."""
    found = [each for find in (_compute, _storage, _images, _networks) for each in find(connection, project_id)]
    return sorted(found, key=lambda each: (_stage(each), each.noun, each.name))


def delete_belongings(
    connection: Connection,
    project_id: str,
    *,
    on_deleted: Callable[[Left], None] = lambda _: None,
    deadline_seconds: float = PURGE_SECONDS,
) -> tuple[Left, ...]:
    """Delete all that a project has, and return what that was. May be repeated; what is gone is fine.

    `on_deleted` hears of each as it is seen to be gone. Raises PartlyDone naming what is left at the deadline.
    """
    end = time.monotonic() + deadline_seconds
    seen, gone, said = dict[str, Left](), set[str](), dict[str, str]()
    while True:
        left = belongings(connection, project_id)
        for each in seen.keys() - gone - {one.id for one in left}:
            gone.add(each)
            said.pop(each, None)
            on_deleted(seen[each])
        seen |= {each.id: each for each in left}
        if not left:
            return tuple(seen.values())
        if time.monotonic() > end:
            why = "; ".join(dict.fromkeys(said.values()))
            raise PartlyDone(
                f"still there in cloud {cloud_name(connection)!r}: {', '.join(map(str, left))}"
                + (f" ({why})" if why else ""),
                hint="look at what holds them; the same command again deletes the rest",
            )
        _delete([each for each in left if _stage(each) == _stage(left[0])], said)
        pause()


def forget_quotas(connection: Connection, project_id: str) -> None:
    """Take away the limits that were set for a project. May be repeated."""
    sent(connection, "network", "DELETE", f"/quotas/{project_id}", "forget the network's quota")
    sent(connection, "compute", "DELETE", f"/os-quota-sets/{project_id}", "forget the compute quota")
    storage = f"/os-quota-sets/{project_id}"
    sent(connection, "block_storage", "DELETE", storage, "forget the block storage's quota")
    further_quotas.forget(connection, project_id)


def _stage(left: Left) -> int:
    return next(number for number, nouns in enumerate(STAGES) if left.noun in nouns)


def _delete(left: Sequence[Left], said: dict[str, str]) -> None:
    """Ask for deletions. What the cloud refuses is kept: mostly something is still going that holds it."""
    for each in left:
        try:
            if each.delete:
                each.delete()
        except Refused as error:
            said[each.id] = str(error)


def _compute(connection: Connection, project: str) -> Iterator[Left]:
    service = connection.compute
    for each in _all(connection, "servers", lambda: service.servers(all_projects=True, project_id=project)):
        going = each.task_state == "deleting"
        yield _left(connection, "compute", "server", "servers", each, going=going)
    groups = _all(connection, "server groups", lambda: service.server_groups(all_projects=True))
    for each in groups:
        if each.project_id == project:
            yield _left(connection, "compute", "server group", "os-server-groups", each)


def _storage(connection: Connection, project: str) -> Iterator[Left]:
    service = connection.block_storage
    query = {"all_projects": True, "project_id": project}
    for each in _all(connection, "snapshots", lambda: service.snapshots(**query)):
        yield _left(connection, "block_storage", "snapshot", "snapshots", each, going=each.status == "deleting")
    for each in _all(connection, "volumes", lambda: service.volumes(**query)):
        yield _left(connection, "block_storage", "volume", "volumes", each, going=each.status == "deleting")


def _images(connection: Connection, project: str) -> Iterator[Left]:
    for each in _all(connection, "images", lambda: connection.image.images(owner=project)):
        yield Left("image", each.name or "", each.id, partial(image.delete_image, connection, each.id))


def _networks(connection: Connection, project: str) -> Iterator[Left]:
    service, query = connection.network, {"project_id": project}
    for each in _all(connection, "floating IPs", lambda: service.ips(**query)):
        address = each.floating_ip_address
        yield Left("floating IP", address, each.id, _deletion(connection, "network", "floatingips", each.id, address))
    for each in _all(connection, "sharing rules", lambda: service.rbac_policies(**query)):
        yield _left(connection, "network", "sharing rule", "rbac-policies", each)
    for each in _all(connection, "ports", lambda: service.ports(**query)):
        yield from _port(connection, each)
    for each in _all(connection, "routers", lambda: service.routers(**query)):
        yield _left(connection, "network", "router", "routers", each)
    for each in _all(connection, "networks", lambda: service.networks(**query)):  # its subnets go with it
        yield _left(connection, "network", "network", "networks", each)
    for each in _all(connection, "security groups", service.security_groups):
        if each.project_id == project:
            yield _left(connection, "network", "security group", "security-groups", each)


def _port(connection: Connection, port: Any) -> Iterator[Left]:
    if port.device_owner in INTERFACE_OWNERS:
        for address in port.fixed_ips or ():
            subnet = address["subnet_id"]
            act = partial(network.remove_interface, connection, port.device_id, subnet)
            yield Left("router interface", address["ip_address"], port.id, act)
    elif port.device_owner not in SERVING and port.device_owner != "network:floatingip":
        yield _left(connection, "network", "port", "ports", port)


def _all(connection: Connection, what: str, listing: Callable[[], Iterable[Any]]) -> list[Any]:
    return listed(connection, f"list {what}", listing)


def _left(connection: Connection, service: str, noun: str, collection: str, found: Any, *, going: bool = False) -> Left:
    name = getattr(found, "name", "") or ""
    return Left(noun, name, found.id, None if going else _deletion(connection, service, collection, found.id, name))


def _deletion(connection: Connection, service: str, collection: str, object_id: str, name: str) -> Callable[[], None]:
    return partial(sent, connection, service, "DELETE", f"/{collection}/{object_id}", f"delete {name or object_id}")
