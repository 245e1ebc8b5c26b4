"""How much of its quotas a project uses, as each service counts it. Limits alone are in `quotas`.

Each service is asked for one project at a time, so this is for a look now and then, and not for every plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from openstack import exceptions as sdk_errors

from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import explained, repeat
from orchestrator.cloud.further_quotas import offered, shared_file_system_use
from orchestrator.cloud.quotas import BLOCK_STORAGE, COMPUTE, NETWORK

#: Nova counts these for each person and never for the project: it says 0.
NOT_COUNTED = frozenset({"key_pairs"})


@dataclass(frozen=True, slots=True)
class Use:
    """What a project uses of one quota, what is reserved with it. `limit` is None where there is none.

    Both in the service's own unit: MiB for `ram`, GiB for `gigabytes`, else a count.
    """

    service: str
    resource: str
    used: int
    limit: int | None


def uses(connection: Connection, project_id: str) -> list[Use]:
    """Return what a project uses: three requests, four where there are shared file systems. May be repeated.

    What a service does not count is left out, and Octavia and Barbican count nothing.

    Raises Unreachable and CredentialRefused.
    """
    compute = _asked(
        connection, "compute", lambda: connection.compute.get_quota_set(project_id, usage=True)
    )  # fmt: skip
    storage = _asked(
        connection, "block storage", lambda: connection.block_storage.get_quota_set(project_id, usage=True)
    )
    network = _asked(connection, "network", lambda: connection.network.get_quota(project_id, details=True))
    return [
        *_of_set("compute", compute, COMPUTE),
        *_of_details(network),
        *_of_set("block_storage", storage, BLOCK_STORAGE),
        *_of_shares(connection, project_id),
    ]


def _asked(connection: Connection, service: str, ask: Callable[[], Any]) -> Any:
    """Return the answer, None of a service that does not tell use: Neutron needs an extension for it."""
    with explained(cloud_name(connection), f"read the use of {service} quotas"):
        try:
            return repeat(ask)
        except sdk_errors.NotFoundException:
            return None


def _of_set(service: str, found: Any, names: tuple[str, ...]) -> Iterator[Use]:
    used, reserved = (getattr(found, part, None) or {} for part in ("usage", "reservation"))
    for name in names:
        limit = getattr(found, name, None)
        if name in used and name not in NOT_COUNTED and isinstance(limit, int):
            yield Use(service, name, used[name] + reserved.get(name, 0), _limit(limit))


def _of_details(found: Any) -> Iterator[Use]:
    for name in NETWORK:
        said = getattr(found, name, None)
        if isinstance(said, dict) and "used" in said:
            yield Use("network", name, int(said["used"]) + int(said.get("reserved") or 0), _limit(int(said["limit"])))


def _of_shares(connection: Connection, project_id: str) -> Iterator[Use]:
    if "shared_file_system" in offered(connection):
        for name, said in shared_file_system_use(connection, project_id).items():
            yield Use("shared_file_system", name, said["in_use"] + said["reserved"], _limit(said["limit"]))


def _limit(limit: int) -> int | None:
    return None if limit < 0 else limit
