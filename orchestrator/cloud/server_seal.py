"""The servers that have a volume, stopped so that nothing writes to it, and started again: only those that ran."""

from __future__ import annotations

from functools import partial

from orchestrator.cloud import block_storage, compute
from orchestrator.cloud.calls import sent
from orchestrator.cloud.compute import Server
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import explained, repeat

#: Metadata of a server that a run has stopped: set before it is stopped, so that a killed run knows it again.
SEALED = "tricenter-sealed"


def servers_of(connection: Connection, volume: str) -> list[Server]:
    """Return the servers that have the volume of this name."""
    ids = {server for each in block_storage.volumes(connection, volume) for server in each.attached_to}
    return [found for each in sorted(ids) if (found := compute.get_server(connection, each))]


def stop_servers_of(connection: Connection, volume: str, run: str) -> tuple[str, ...]:
    """Stop every server that has the volume, and return the names of those that `run` has stopped. May be repeated."""
    for server in servers_of(connection, volume):
        if server.status != "SHUTOFF":
            with explained(cloud_name(connection), f"mark server {server.name}"):
                repeat(partial(connection.compute.set_server_metadata, server.id, **{SEALED: run}))
            compute.stop_server(connection, server.id)
    return tuple(each.name for each in servers_of(connection, volume) if each.metadata.get(SEALED) == run)


def start_servers_of(connection: Connection, volume: str, run: str) -> tuple[str, ...]:
    """Start the servers that `run` has stopped, and return their names. May be repeated."""
    started = []
    for server in servers_of(connection, volume):
        if server.metadata.get(SEALED) == run:
            compute.start_server(connection, server.id)
            path = f"/servers/{server.id}/metadata/{SEALED}"
            sent(connection, "compute", "DELETE", path, f"unmark server {server.name}")
            started.append(server.name)
    return tuple(started)


def running_of(connection: Connection, volume: str) -> tuple[str, ...]:
    """Return the names of the servers that have the volume and are not off."""
    return tuple(each.name for each in servers_of(connection, volume) if each.status != "SHUTOFF")
