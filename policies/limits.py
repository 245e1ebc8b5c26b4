"""How much may run at once: limits by centre, vault, cloud and tenant, so that no job starves the rest of the city."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from policies.values import Model, Whole

#: A kind of slot, or one slot by name: vault, vault:provincial, tenant:archives.
SLOT_PATTERN = r"^(centre|vault|cloud|tenant)(:[a-z][a-z0-9-]{0,38}[a-z0-9])?$"

Slot = Annotated[str, Field(pattern=SLOT_PATTERN, description="a kind of slot, or one slot by name")]


class Limit(Model):
    """How many runs may take a slot. What is not given is looked for in the kind's limit, then in the defaults."""

    concurrent: Whole | None = Field(None, ge=1, le=10_000, description="runs at once")
    per_minute: Whole | None = Field(None, ge=1, le=10_000, description="runs that may start within a minute")


#: By slot (`vault:provincial`) or kind of slot (`vault`).
Limits = Mapping[str, Limit]

#: What holds where the site says nothing.
DEFAULTS: Limits = {
    "centre": Limit(concurrent=16),
    "vault": Limit(concurrent=8),
    "cloud": Limit(concurrent=4),
    "tenant": Limit(concurrent=2),
}


def lookup(limits: Limits, slot: str) -> Limit:
    """Return the limit of one slot (KIND:NAME): its own before its kind's before the default, value by value.

    A value that none of them gives is None: no limit.
    """
    kind = slot.partition(":")[0]
    said = [each for each in (limits.get(slot), limits.get(kind), DEFAULTS.get(kind)) if each is not None]
    return Limit(
        concurrent=next((each.concurrent for each in said if each.concurrent is not None), None),
        per_minute=next((each.per_minute for each in said if each.per_minute is not None), None),
    )
