"""Quotas of services that a cloud may lack: load balancers, DNS, secrets and shared file systems.

Which of them a cloud has is read from the catalogue that came with the login, so that nothing is sent to a service that
is not there. Values are as in `quotas`. Octavia and Barbican list all that was set; Designate and Manila answer for one
project.
"""

from __future__ import annotations

from typing import Any

from openstack import exceptions as sdk_errors

from orchestrator.cloud.calls import listed, sent, told
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import explained, read, repeat
from orchestrator.cloud.quotas import Limits, kept_limits

LOAD_BALANCER = ("load_balancers", "listeners", "pools", "health_monitors", "members")
DNS = ("zones", "zone_recordsets", "zone_records", "recordset_records", "api_export_size")
KEY_MANAGER = ("secrets", "orders", "containers", "consumers")
SHARED_FILE_SYSTEM = ("shares", "gigabytes", "snapshots", "snapshot_gigabytes", "share_networks")

#: The types of the services in a catalogue.
TYPES = {
    "load_balancer": "load-balancer",
    "dns": "dns",
    "key_manager": "key-manager",
    "shared_file_system": "shared-file-system",
}

#: The oldest Manila that tells limits with what is used of them.
MANILA = "2.25"
#: As many projects as Barbican shows at once.
PAGE = 100


def offered(connection: Connection) -> frozenset[str]:
    """Return which of these services the cloud has in its catalogue. Sends nothing once the login is done."""
    with explained(cloud_name(connection), "read the catalogue"):
        return frozenset(name for name, kind in TYPES.items() if connection.endpoint_for(kind))


def load_balancer(connection: Connection, project_ids: list[str]) -> dict[str, Limits]:
    """Return the load balancer limits that hold for each project: two requests however many there are."""
    if not project_ids:
        return {}
    service = connection.load_balancer
    own = {each.project_id: each for each in listed(connection, "read load balancer quotas", service.quotas)}
    with explained(cloud_name(connection), "read the default load balancer quotas"):
        default = read(service.get_quota_default)
    return {each: kept_limits(own.get(each, default), LOAD_BALANCER) for each in project_ids}


def dns(connection: Connection, project_id: str) -> Limits:
    """Return the DNS limits that hold for a project."""
    with explained(cloud_name(connection), "read dns quotas"):
        return kept_limits(read(lambda: connection.dns.get_quota(project_id)), DNS)


def key_manager(connection: Connection, project_ids: list[str]) -> dict[str, Limits]:
    """Return the limits of secrets that were set for each project: a request for every hundred that have any.

    What was not set is left out: Barbican tells its defaults to nobody but the project itself.
    """
    if not project_ids:
        return {}
    own: dict[str, dict[str, Any]] = {}
    while True:
        page = told(
            connection, "key_manager", f"/project-quotas?limit={PAGE}&offset={len(own)}", "read key manager quotas"
        )
        before = len(own)
        own.update({each["project_id"]: each["project_quotas"] for each in page["project_quotas"]})
        if len(own) in (before, page["total"]):
            return {each: _limits(own.get(each, {}), KEY_MANAGER) for each in project_ids}


def shared_file_system(connection: Connection, project_id: str) -> Limits:
    """Return the limits of shared file systems that hold for a project."""
    found = _shares(connection, f"/quota-sets/{project_id}")
    return _limits(found["quota_set"], SHARED_FILE_SYSTEM)


def shared_file_system_use(connection: Connection, project_id: str) -> dict[str, dict[str, int]]:
    """Return `limit`, `in_use` and `reserved` of each quota of shared file systems."""
    found = _shares(connection, f"/quota-sets/{project_id}/detail")
    return {name: found["quota_set"][name] for name in SHARED_FILE_SYSTEM if name in found["quota_set"]}


def set_load_balancer(connection: Connection, project_id: str, limits: Limits) -> None:
    """Set these limits."""
    with explained(cloud_name(connection), "set load balancer quotas"):
        repeat(lambda: connection.load_balancer.update_quota(project_id, **limits))


def set_dns(connection: Connection, project_id: str, limits: Limits) -> None:
    """Set these limits."""
    with explained(cloud_name(connection), "set dns quotas"):
        repeat(lambda: connection.dns.update_quota(project_id, **limits))


def set_key_manager(connection: Connection, project_id: str, limits: Limits) -> None:
    """Set these limits."""
    with explained(cloud_name(connection), "set key manager quotas"):
        repeat(lambda: connection.key_manager.update_project_quota(project_id, **limits))


def set_shared_file_system(connection: Connection, project_id: str, limits: Limits) -> None:
    """Set these limits."""

    def put() -> None:
        answer = connection.shared_file_system.put(
            f"/quota-sets/{project_id}", json={"quota_set": dict(limits)}, microversion=MANILA
        )
        sdk_errors.raise_from_response(answer)

    with explained(cloud_name(connection), "set shared file system quotas"):
        repeat(put)


def forget(connection: Connection, project_id: str) -> None:
    """Take away the limits that were set for a project, at those of the services that are there. May be repeated."""
    paths = {
        "load_balancer": f"/lbaas/quotas/{project_id}",
        "key_manager": f"/project-quotas/{project_id}",
        "shared_file_system": f"/quota-sets/{project_id}",
    }
    there = offered(connection)
    if "dns" in there:  # whose deletion names the project in a header as well
        with explained(cloud_name(connection), "forget the dns's quota"):
            repeat(lambda: connection.dns.delete_quota(project_id))
    for service in sorted(there & paths.keys()):
        version = MANILA if service == "shared_file_system" else None
        what = f"forget the {service.replace('_', ' ')}'s quota"
        sent(connection, service, "DELETE", paths[service], what, microversion=version)


def _limits(found: dict[str, Any], names: tuple[str, ...]) -> Limits:
    return {name: found[name] for name in names if isinstance(found.get(name), int)}


def _shares(connection: Connection, path: str) -> dict[str, Any]:
    return told(connection, "shared_file_system", path, "read shared file system quotas", microversion=MANILA)
