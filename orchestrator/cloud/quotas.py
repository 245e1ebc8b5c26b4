"""Quotas of a project: compute (Nova), network (Neutron) and block storage (Cinder). Others: `further_quotas`.

Three values are three things: a number, 0 for nothing at all, and -1 for unlimited. What is not named in a write
stays as the cloud has it. Nova and Cinder answer for one project at a time; Neutron lists all that differ from its
defaults, so that reading many tenants takes two requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.cloud.calls import listed
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import explained, read, repeat

Limits = Mapping[str, int]

COMPUTE = ("instances", "cores", "ram", "key_pairs", "server_groups")
NETWORK = ("networks", "subnets", "ports", "routers", "floating_ips", "security_groups", "security_group_rules")
BLOCK_STORAGE = ("volumes", "gigabytes", "snapshots", "backups")


def compute(connection: Connection, project_id: str) -> Limits:
    """Return the compute limits that hold for a project."""
    found = _asked(connection, "read compute quotas", lambda: connection.compute.get_quota_set(project_id))
    return kept_limits(found, COMPUTE)


def block_storage(connection: Connection, project_id: str) -> Limits:
    """Return the block storage limits that hold for a project."""
    found = _asked(connection, "read block storage quotas", lambda: connection.block_storage.get_quota_set(project_id))
    return kept_limits(found, BLOCK_STORAGE)


def network(connection: Connection, project_ids: list[str]) -> dict[str, Limits]:
    """Return the network limits that hold for each project, by its id: two requests however many there are."""
    if not project_ids:
        return {}
    own = {each.project_id: each for each in listed(connection, "read network quotas", connection.network.quotas)}
    default = _asked(
        connection,
        "read the default network quotas",
        lambda: connection.network.get_quota_default(project_ids[0]),
    )
    return {each: kept_limits(own.get(each, default), NETWORK) for each in project_ids}


def set_compute(connection: Connection, project_id: str, limits: Limits) -> None:
    """Set these limits. Nova refuses one below what is in use, which is raised as Refused."""
    _set(connection, "compute", lambda: connection.compute.update_quota_set(project_id, **limits))


def set_network(connection: Connection, project_id: str, limits: Limits) -> None:
    """Set these limits."""
    _set(connection, "network", lambda: connection.network.update_quota(project_id, **limits))


def set_block_storage(connection: Connection, project_id: str, limits: Limits) -> None:
    """Set these limits."""
    _set(connection, "block storage", lambda: connection.block_storage.update_quota_set(project_id, **limits))


def _asked(connection: Connection, what: str, ask: Callable[[], Any]) -> Any:
    with explained(cloud_name(connection), what):
        return read(ask)


def _set(connection: Connection, service: str, change: Callable[[], Any]) -> None:
    with explained(cloud_name(connection), f"set {service} quotas"):
        repeat(change)


def kept_limits(found: Any, names: tuple[str, ...]) -> Limits:
    """Keep what the service knows: a limit that it does not have is left out."""
    return {name: value for name in names if isinstance(value := getattr(found, name, None), int)}
