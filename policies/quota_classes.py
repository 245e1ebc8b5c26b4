"""What a tenant's quota comes to: its class, what that inherits, the multipliers, and the tenant's own limits over all.

Unset, zero and unlimited stay three things: so many times unlimited is unlimited, of zero zero, and of a limit that
nobody named there is nothing to multiply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from policies.quota import Quota, QuotaClass

UNLIMITED = -1

#: The origin of a limit that is written for the tenant itself.
OWN = "tenant"

#: The services that every cloud has, and those that it may lack, as the models name them.
EVERYWHERE = ("compute", "network", "block_storage")
FURTHER = ("load_balancer", "dns", "key_manager", "shared_file_system")

#: The services whose limits are said.
SERVICES = EVERYWHERE + FURTHER


class Limit(NamedTuple):
    """One limit: its amount (-1: unlimited), the class that names it (None: the tenant itself), and how often taken."""

    amount: int
    named_by: str | None = None
    times: int = 1

    @property
    def origin(self) -> str:
        """Where the limit comes from, for a reader: `tenant`, `class small`, `class small × 2`."""
        if self.named_by is None:
            return OWN
        return f"class {self.named_by}" + (f" × {self.times}" if self.times > 1 else "")


#: Limits by service and by what is limited. What is not in it is left as the cloud has it.
Limits = Mapping[tuple[str, str], Limit]


def effective(classes: Mapping[str, QuotaClass], quota: Quota, quota_class: str | None, multiplier: int) -> Limits:
    """Return what a tenant of a class may use: `multiplier` times the class, and its own `quota` over that. Pure.

    Classes must be known and inherit in no circle, to which `policies.fit_quotas` holds the site; KeyError otherwise.
    """
    given = _multiplied(_of_class(classes, quota_class, frozenset()), multiplier) if quota_class else {}
    return {**given, **dict(_own(quota, None))}


def multiplied(amount: int, times: int) -> int:
    """Return so many times an amount, and unlimited of unlimited. Pure."""
    return UNLIMITED if amount == UNLIMITED else amount * times


def _of_class(classes: Mapping[str, QuotaClass], name: str, below: frozenset[str]) -> Limits:
    if name in below:
        raise KeyError(f"the quota class {name} inherits from itself")
    own = classes[name]
    inherited = _of_class(classes, own.inherits, below | {name}) if own.inherits else {}
    return {**_multiplied(inherited, own.multiplier), **dict(_own(own, name))}


def _multiplied(limits: Limits, times: int) -> Limits:
    return {
        key: Limit(multiplied(each.amount, times), each.named_by, each.times * times) for key, each in limits.items()
    }


def _own(quota: Quota, name: str | None) -> Iterator[tuple[tuple[str, str], Limit]]:
    for service in SERVICES:
        for what, amount in getattr(quota, service).model_dump(exclude_none=True).items():
            yield (service, what), Limit(amount, name)
