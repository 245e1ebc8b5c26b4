"""Nova: servers of the project that the connection acts in, booted from volumes that are there already.

A name and a drill's mark make one server: the same call a second time finds what the first has made. What takes
time is waited for, with a deadline, and a server that comes to ERROR is reported with Nova's reason and the end of
its console.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openstack import exceptions as sdk_errors

from orchestrator.cloud.calls import listed, sent
from orchestrator.cloud.connection import Connection, answered_within, cloud_name
from orchestrator.cloud.faults import SDK_ERRORS, create_once, explained, is_conflict, repeat, status_of
from orchestrator.cloud.marks import drill_metadata
from orchestrator.cloud.waiting import wait_for
from orchestrator.errors import CheckFailed, CredentialRefused, InvalidInput, Refused, TricenterError, UnknownName

ACTIVE_SECONDS = 300.0
#: Nova asks the guest by ACPI and pulls the plug after its own `shutdown_timeout`, 60 s as shipped.
STOP_SECONDS = 150.0
DELETE_SECONDS = 120.0
CONSOLE_LINES = 20


@dataclass(frozen=True, slots=True)
class Server:
    """`fault` is Nova's reason for the status ERROR; `task` what it is doing with the server now."""

    id: str
    name: str
    status: str
    task: str | None
    fault: str
    metadata: Mapping[str, str]
    volume_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewServer:
    """A server to be made. `volumes` are ids, the one that it boots from first; `ports` are ids in their order."""

    name: str
    flavor: str
    volumes: tuple[str, ...]
    ports: tuple[str, ...]


# --- reads


def servers(connection: Connection) -> list[Server]:
    """Return the servers of the project."""
    return [_server(each) for each in listed(connection, "list servers", lambda: connection.compute.servers())]


def get_server(connection: Connection, server_id: str) -> Server | None:
    """Return a server, None when there is none."""

    def ask() -> Any | None:
        try:
            return connection.compute.get_server(server_id)
        except sdk_errors.NotFoundException:
            return None

    with explained(cloud_name(connection), f"look at server {server_id}"):
        found = repeat(ask)
    return _server(found) if found and found.status != "DELETED" else None


def find_server(connection: Connection, name: str, drill: str | None = None) -> Server | None:
    """Return the server of this name, of a drill when one is given; None when there is none.

    Raises InvalidInput when there are several.
    """
    marks = drill_metadata(drill) if drill else {}
    found = [each for each in servers(connection) if each.name == name and marks.items() <= each.metadata.items()]
    if len(found) > 1:
        ids = ", ".join(each.id for each in found)
        raise InvalidInput(f"there are {len(found)} servers named {name!r}: {ids}", hint="rename all but one")
    return found[0] if found else None


def flavor_id(connection: Connection, name: str) -> str:
    """Return the id of a flavor. Raises UnknownName naming the nearest one."""
    found = {each.name: each.id for each in listed(connection, "list flavors", connection.compute.flavors)}
    if name not in found:
        raise UnknownName(f"flavor of the cloud {cloud_name(connection)}", name, found)
    return str(found[name])


def console(connection: Connection, server_id: str, *, lines: int = CONSOLE_LINES) -> str:
    """Return the last lines of a server's console, nothing when the cloud has none of it."""
    try:
        answer = connection.compute.get_server_console_output(server_id, length=lines)
    except SDK_ERRORS:  # it is shown beside another fault, which it must not hide
        return ""
    said = str((answer or {}).get("output") or "")
    return "\n".join(said.splitlines()[-lines:])


# --- writes; each may be repeated


def request_server(connection: Connection, wanted: NewServer, drill: str) -> str:
    """Ask Nova for a server, marked with the drill, and return its id without waiting. Never makes two.

    Its volumes stay when it is deleted. It gets a config drive, so that it finds its address without any service.
    """
    if found := find_server(connection, wanted.name, drill):
        return found.id
    flavor = flavor_id(connection, wanted.flavor)
    disks = [
        {
            "boot_index": 0 if place == 0 else -1,
            "uuid": volume,
            "source_type": "volume",
            "destination_type": "volume",
            "delete_on_termination": False,
        }
        for place, volume in enumerate(wanted.volumes)
    ]

    def create() -> Any:
        return connection.compute.create_server(
            name=wanted.name,
            flavor_id=flavor,
            networks=[{"port": each} for each in wanted.ports],
            block_device_mapping=disks,
            has_config_drive=True,
            metadata=drill_metadata(drill),
        )

    def find() -> Any | None:
        same = connection.compute.servers(name=f"^{wanted.name}$")
        return next((each for each in same if (each.metadata or {}).get("drill") == drill), None)

    try:
        with explained(cloud_name(connection), f"create server {wanted.name}"):
            return str(create_once(create, find).id)
    except CredentialRefused as error:
        if status_of(error.__cause__ or error) != 403:
            raise
        # Nova answers 403 to both: a used-up quota, and a role that is not enough.
        hint = "look at the tenant's quota, and at the role of its credential; then: tricenter tenant apply"
        raise Refused(str(error), hint=hint) from error


def await_active(connection: Connection, server_id: str, *, deadline_seconds: float = ACTIVE_SECONDS) -> Server:
    """Wait until a server runs. Raises CheckFailed with the reason and the console when it does not come up."""
    with answered_within(connection, deadline_seconds + 5):
        found = wait_for(
            lambda: get_server(connection, server_id),
            lambda server: server is None or (server.status in ("ACTIVE", "ERROR") and server.task is None),
            f"server {server_id} is to become ACTIVE",
            deadline_seconds,
        )
        if found is None:
            raise CheckFailed(f"server {server_id} vanished while it was waited for", hint="somebody deleted it")
        if found.status == "ERROR":
            raise _broken(connection, found)
    return found


def start_server(connection: Connection, server_id: str, *, deadline_seconds: float = ACTIVE_SECONDS) -> Server:
    """Start a stopped server and wait until it runs. One that runs is fine."""
    server = _existing(connection, server_id)
    if server.status == "SHUTOFF" and server.task is None:
        _act(connection, server, "start", lambda: connection.compute.start_server(server_id), "ACTIVE")
    return await_active(connection, server_id, deadline_seconds=deadline_seconds)


def stop_server(connection: Connection, server_id: str, *, deadline_seconds: float = STOP_SECONDS) -> Server:
    """Stop a server and wait until it is off: asked by ACPI first, then hard by Nova's own timeout.

    One that is off, or was never ACTIVE, is fine. Raises Unreachable when it is not off in time.
    """
    server = _existing(connection, server_id)
    if server.status == "ACTIVE" and server.task is None:
        _act(connection, server, "stop", lambda: connection.compute.stop_server(server_id), "SHUTOFF")
    with answered_within(connection, deadline_seconds + 5):
        found = wait_for(
            lambda: get_server(connection, server_id),
            lambda server: server is None or (server.status in ("SHUTOFF", "ERROR") and server.task is None),
            f"server {server.name} is to stop",
            deadline_seconds,
        )
    if found is None:
        raise CheckFailed(f"server {server.name} vanished while it was stopped", hint="somebody deleted it")
    return found


def request_deletion(connection: Connection, server: Server) -> None:
    """Ask Nova to delete a server, without waiting. One that is gone is fine."""
    if server.task != "deleting":
        sent(connection, "compute", "DELETE", f"/servers/{server.id}", f"delete server {server.name}")


def delete_servers(connection: Connection, gone: Iterable[Server], *, deadline_seconds: float = DELETE_SECONDS) -> None:
    """Delete servers, all at once, and wait until the last is gone."""
    ids = set()
    for each in gone:
        request_deletion(connection, each)
        ids.add(each.id)

    def left() -> list[str]:
        return [each.name for each in servers(connection) if each.id in ids]

    with answered_within(connection, deadline_seconds + 5):
        wait_for(left, lambda names: not names, "servers are being deleted", deadline_seconds)


def unmark_server(connection: Connection, server_id: str) -> None:
    """Take a drill's mark from a server; Tricenter's own stays. May be repeated."""
    sent(connection, "compute", "DELETE", f"/servers/{server_id}/metadata/drill", f"unmark server {server_id}")


def _act(connection: Connection, server: Server, verb: str, act: Any, reached: str) -> None:
    """Send an action. 409 means that the server is on its way already, or changed meanwhile: waiting will tell."""
    with explained(cloud_name(connection), f"{verb} server {server.name}"):
        try:
            repeat(act)
        except SDK_ERRORS as error:
            now = get_server(connection, server.id) if is_conflict(error) else None
            if status_of(error) != 409 or now is None or not (now.task or now.status == reached):
                raise


def _existing(connection: Connection, server_id: str) -> Server:
    server = get_server(connection, server_id)
    if server is None:
        raise CheckFailed(f"there is no server {server_id}", hint="somebody deleted it; start the run again")
    return server


def _broken(connection: Connection, server: Server) -> TricenterError:
    last = console(connection, server.id)
    said = f"; its console ends with: {' / '.join(_spoken(last.splitlines())[-5:])}" if last.strip() else ""
    return CheckFailed(
        f"server {server.name} came to ERROR: {server.fault or 'Nova gives no reason'}{said}",
        hint="look at nova-compute's log; capacity, the flavor and the volume are the usual causes",
    )


def _spoken(lines: Sequence[str]) -> list[str]:
    return [line.strip() for line in lines if line.strip()]


def _server(found: Any) -> Server:
    fault = found.fault or {}
    attached = tuple(str(each["id"]) for each in found.attached_volumes or ())
    return Server(
        found.id,
        found.name,
        found.status,
        found.task_state,
        " ".join(str(fault.get("message", "")).split()),
        dict(found.metadata or {}),
        attached,
    )
