"""Room in a project: what its quotas leave free, and what servers of a flavor take. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.cloud.calls import listed, told
from orchestrator.cloud.connection import Connection

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Flavor:
    """What a server of it takes. Memory in MiB."""

    name: str
    cores: int
    ram: int


@dataclass(frozen=True, slots=True)
class Amounts:
    """Amounts of a project; memory in MiB, capacity in GiB. As what is free, None is unlimited."""

    instances: float | None = 0
    cores: float | None = 0
    ram: float | None = 0
    volumes: float | None = 0
    gigabytes: float | None = 0


def flavors(connection: Connection) -> dict[str, Flavor]:
    """Return the flavors that the project may use, by name."""
    found = listed(connection, "list flavors", connection.compute.flavors)
    return {each.name: Flavor(each.name, int(each.vcpus), int(each.ram)) for each in found}


def free(connection: Connection) -> Amounts:
    """Return what the quotas of the connection's own project leave free: two requests."""
    compute, storage = _limits(connection, "compute"), _limits(connection, "block_storage")
    return Amounts(
        instances=_left(compute, "maxTotalInstances", "totalInstancesUsed"),
        cores=_left(compute, "maxTotalCores", "totalCoresUsed"),
        ram=_left(compute, "maxTotalRAMSize", "totalRAMUsed"),
        volumes=_left(storage, "maxTotalVolumes", "totalVolumesUsed"),
        gigabytes=_left(storage, "maxTotalVolumeGigabytes", "totalGigabytesUsed"),
    )


def _limits(connection: Connection, service: str) -> dict[str, Any]:
    """Return a service's limits and what is used, by its own names.

    Read as they are: the SDK's object of them warns of limits that Nova still tells and that nobody asked for.
    """
    return dict(told(connection, service, "/limits", "read what is in use")["limits"]["absolute"])


def _left(limits: dict[str, Any], most: str, used: str) -> int | None:
    """Return a limit without what is used of it; a negative limit is none."""
    limit = limits.get(most)
    return None if limit is None or limit < 0 else int(limit) - int(limits.get(used) or 0)
