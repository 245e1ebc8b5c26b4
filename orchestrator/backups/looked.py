"""What the steps of a verification have in common: what each looked at, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.catalogue.facts import Key
from orchestrator.catalogue.verifications import Fault, Kind
from policies.site import SystemRef

OTHER_CONTENT = "its content does not match its name"
OTHER_CONFIG = "it is not the one with which the repository opened"


@dataclass(frozen=True, slots=True)
class Looked:
    """What one step looked at, what it found wrong, and what it found good that was known to be wrong.

    `shut` tells that the repository does not open, for a reason that is among the faults: what only restic can say
    is not known then.
    """

    objects: int
    size_bytes: int
    faults: tuple[Fault, ...] = ()
    healed: tuple[str, ...] = ()
    shut: bool = False

    def __add__(self, other: Looked) -> Looked:
        return Looked(
            self.objects + other.objects,
            self.size_bytes + other.size_bytes,
            self.faults + other.faults,
            self.healed + other.healed,
            self.shut or other.shut,
        )


def place_of(ref: SystemRef, centre: str) -> Key:
    """Return what the catalogue calls a system at a centre."""
    return Key(ref.tenant.tenant, ref.name, centre)


def as_faults(corrupt: Iterable[str], missing: Iterable[str]) -> tuple[Fault, ...]:
    """Return the faults of what a scrub found not to be as its name says, or gone."""
    return (
        *(Fault(key, Kind.CORRUPT, OTHER_CONFIG if key.endswith("/config") else OTHER_CONTENT) for key in corrupt),
        *(Fault(key, Kind.MISSING, "it is listed, and cannot be read") for key in missing),
    )
