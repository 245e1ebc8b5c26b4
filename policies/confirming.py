"""When what is remembered of a tenant is asked again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

#: What is older is asked again, whoever looks.
LONGEST_MEMORY = timedelta(hours=6)

#: A scheduled look asks this part of all tenants again, the oldest first: four looks in a row confirm every tenant.
ROTATION = 4


def due(
    confirmed: Mapping[str, datetime], now: datetime, *, longest: timedelta = LONGEST_MEMORY, rotation: int = 0
) -> frozenset[str]:
    """Return whose memory is to be confirmed now, of those that are remembered since the given moments.

    All that is older than `longest`, or that a clock put into the future; and with a `rotation` of n at least the
    oldest n-th part of all. With `longest` zero everything is due.
    """
    old = {name for name, moment in confirmed.items() if not timedelta() <= now - moment < longest}
    oldest = sorted(confirmed, key=lambda name: (confirmed[name], name))
    return frozenset(old | set(oldest[: math.ceil(len(oldest) / rotation) if rotation else 0]))
