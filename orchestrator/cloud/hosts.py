"""What all hosts of a cloud have free together: for the question whether a whole centre can be taken over."""

from __future__ import annotations

from collections import Counter
from typing import Any

from orchestrator.cloud.calls import listed, told
from orchestrator.cloud.connection import Connection

#: Placement's words for what servers take.
CLASSES = {"VCPU": "cores", "MEMORY_MB": "ram"}


def free_of_hosts(connection: Connection) -> dict[str, float]:
    """Return what is free: `cores`, `ram` in MiB, `gigabytes` of volumes. Acts as the cloud's admin; two calls a host.

    As Placement counts: what is there without what is reserved, times its allocation ratio, without what is in use. A
    store of volumes that does not say what it has free is left out; without any that does, so is `gigabytes`.
    """
    free: Counter[str] = Counter()
    for each in _get(connection, "/resource_providers")["resource_providers"]:
        path = f"/resource_providers/{each['uuid']}"
        inventories = _get(connection, f"{path}/inventories")["inventories"]
        usages = _get(connection, f"{path}/usages")["usages"]
        for word, name in CLASSES.items():
            if found := inventories.get(word):
                capacity = (found["total"] - found["reserved"]) * found["allocation_ratio"]
                free[name] += max(capacity - usages.get(word, 0), 0)
    known = dict.fromkeys(CLASSES.values(), 0.0) | {name: float(amount) for name, amount in free.items()}
    stores = [amount for amount in _free_of_stores(connection) if amount is not None]
    return known | ({"gigabytes": sum(stores)} if stores else {})


def _free_of_stores(connection: Connection) -> list[float | None]:
    """Return what each store of volumes has free in GiB; None for one that does not say, or says "infinite"."""
    found = listed(connection, "list stores of volumes", connection.block_storage.backend_pools)
    return [_number((each.capabilities or {}).get("free_capacity_gb")) for each in found]


def _number(said: Any) -> float | None:
    return float(said) if isinstance(said, int | float) and not isinstance(said, bool) else None


def _get(connection: Connection, path: str) -> dict[str, Any]:
    return told(connection, "placement", path, f"read {path}")
