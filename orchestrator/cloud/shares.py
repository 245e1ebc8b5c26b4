"""Neutron's RBAC policies: which other project may attach its servers to a network."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.cloud.calls import listed, sent
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import create_once, explained

ACTION = "access_as_shared"
#: The target of a policy that lets everybody.
EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Share:
    """`project_id` is who may use the network; `EVERYBODY` for all."""

    id: str
    network_id: str
    project_id: str


def shares(connection: Connection) -> list[Share]:
    """Return who may use whose networks, in one request."""
    found = listed(
        connection,
        "list network shares",
        lambda: connection.network.rbac_policies(object_type="network", action=ACTION),
    )
    return [Share(each.id, each.object_id, each.target_project_id) for each in found if each.action == ACTION]


def share(connection: Connection, network_id: str, owner_id: str, project_id: str) -> str:
    """Let a project use a network, and return the id of the policy. May be repeated."""
    network = connection.network

    def create() -> Share:
        made = network.create_rbac_policy(
            object_type="network", object_id=network_id, action=ACTION,
            target_tenant=project_id, project_id=owner_id,
        )  # fmt: skip
        return Share(made.id, network_id, project_id)

    def find() -> Share | None:
        there = network.rbac_policies(object_type="network", object_id=network_id, action=ACTION)
        mine = (each for each in there if each.target_project_id == project_id)
        return next((Share(each.id, network_id, project_id) for each in mine), None)

    with explained(cloud_name(connection), "share a network"):
        return create_once(create, find).id


def unshare(connection: Connection, share_id: str) -> None:
    """Let a project use a network no longer. Raises Refused while it has ports there. One that is gone is fine."""
    sent(connection, "network", "DELETE", f"/rbac-policies/{share_id}", "end the sharing of a network")
