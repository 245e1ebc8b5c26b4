"""Room in a project: what its quotas leave free, and what servers of a flavor take. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.cloud.calls import listed
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import explained, repeat

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
    """Return what the quotas of the connection's own project leave free: three requests."""
    with explained(cloud_name(connection), "read what is in use"):
        compute = repeat(lambda: connection.compute.get_limits()).absolute
        storage = repeat(lambda: connection.block_storage.get_limits()).absolute
    return Amounts(
        instances=_left(compute, "instances", "instances_used"),
        cores=_left(compute, "total_cores", "total_cores_used"),
        ram=_left(compute, "total_ram", "total_ram_used"),
        volumes=_left(storage, "max_total_volumes", "total_volumes_used"),
        gigabytes=_left(storage, "max_total_volume_gigabytes", "total_gigabytes_used"),
    )


def _left(limits: Any, most: str, used: str) -> int | None:
    """Return a limit without what is used of it; a negative limit is none."""
    limit = getattr(limits, most)
    return None if limit is None or limit < 0 else int(limit) - int(getattr(limits, used) or 0)
