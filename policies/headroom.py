"""Headroom: whether all that must be taken over at a centre at once fits there, and who is shed where it does not.

Room is one amount for each resource: of the whole cloud, and of each tenant's quota. Whether the pieces of a sum also
fit host by host is the scheduler's to find out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Amounts by resource. What a room does not name is not limited.
Amounts = Mapping[str, float]

#: In MiB and GiB: what the services count in.
RESOURCES = ("instances", "cores", "ram", "volumes", "gigabytes")


@dataclass(frozen=True, slots=True)
class Need:
    """What taking over one system takes."""

    tenant: str
    system: str
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Headroom:
    """Who finds room and who is shed, each in the order of urgency, with what was lacking for whom."""

    kept: tuple[Need, ...]
    shed: tuple[tuple[Need, tuple[str, ...]], ...]

    @property
    def fits(self) -> bool:
        return not self.shed


def share_out(needs: Sequence[Need], room: Amounts, quotas: Mapping[str, Amounts]) -> Headroom:
    """Return who finds room, the most urgent being the first of `needs`. Pure.

    Each is given room before anybody less urgent is. So whoever is shed would not fit beside those that are at least as
    urgent, and nobody is shed for the sake of somebody less urgent. A smaller one that is less urgent may still find
    room where a larger one did not: no room stays empty while anybody could use it.
    """
    left = dict(room)
    own = {tenant: dict(each) for tenant, each in quotas.items()}
    kept: list[Need] = []
    shed: list[tuple[Need, tuple[str, ...]]] = []
    for need in needs:
        purse = own.get(need.tenant, {})
        lacking = tuple(
            where
            for name, amount in sorted(need.amounts.items())
            for where, there in ((name, left), (f"quota {name}", purse))
            if amount > 0 and name in there and there[name] < amount
        )
        if lacking:
            shed.append((need, lacking))
            continue
        kept.append(need)
        for there in (left, purse):
            for name, amount in need.amounts.items():
                if name in there:
                    there[name] -= amount
    return Headroom(tuple(kept), tuple(shed))


def total(needs: Sequence[Need]) -> dict[str, float]:
    """Return what all of these take together, by resource. Pure."""
    return {name: sum(each.amounts.get(name, 0) for each in needs) for name in RESOURCES}
