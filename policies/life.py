"""The life of a tenant: in use, suspended, on its way out, gone; and which step may follow which."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

#: For how long a tenant that leaves is kept before anything is deleted, unless those who ask say otherwise.
QUARANTINE = timedelta(days=30)


class LifeState(StrEnum):
    """How a tenant stands. One that nothing is known of is active."""

    ACTIVE = "active"
    SUSPENDED = "suspended"  # nobody of the bureau can log in; everything else goes on
    ASKED = "asked"  # somebody asked for its off-boarding; nothing has changed
    QUARANTINED = "quarantined"  # finally backed up, nobody can log in; it may still come back
    PURGING = "purging"  # what it has is being deleted; there is no way back
    GONE = "gone"  # nothing is left at any cloud


#: What may follow what. A step that was cut off is taken again, so each state but the first and last may follow itself.
STEPS: dict[LifeState, frozenset[LifeState]] = {
    LifeState.ACTIVE: frozenset({LifeState.SUSPENDED, LifeState.ASKED}),
    # Only what is in use can be asked to leave: while it is asked for, applies go on and would let people in again.
    LifeState.SUSPENDED: frozenset({LifeState.SUSPENDED, LifeState.ACTIVE}),
    LifeState.ASKED: frozenset({LifeState.ASKED, LifeState.QUARANTINED, LifeState.ACTIVE}),
    LifeState.QUARANTINED: frozenset({LifeState.QUARANTINED, LifeState.PURGING, LifeState.ACTIVE}),
    LifeState.PURGING: frozenset({LifeState.PURGING, LifeState.GONE}),
    LifeState.GONE: frozenset(),  # its name stands in certificates, and is not used again
}

#: In these a tenant is what its site file says, and applies keep it so.
APPLIED = frozenset({LifeState.ACTIVE, LifeState.ASKED})


def may_follow(before: LifeState, after: LifeState) -> bool:
    """Return whether a tenant may go from one state to another. Pure."""
    return after in STEPS[before]
