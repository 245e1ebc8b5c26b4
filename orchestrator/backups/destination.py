"""Where a backup is written: at the nearest centre, or past it when its vault is away.

A vault that is away must cost seconds. restic retries a dead one for minutes, so each is asked first by our own client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.backups.access import Access
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import Unreachable
from policies.site import SystemRef
from policies.tiers import CentreName
from policies.work import copy_centres


@dataclass(frozen=True, slots=True)
class Destination:
    """The centre that a backup is written to, and those it is written past: each with what it did not answer."""

    centre: str
    bypassed: Mapping[str, str] = field(default_factory=dict)


def choose_destination(access: Access, ref: SystemRef, run_id: str = "") -> Destination:
    """Return the nearest centre whose vault answers and that may take the backup.

    That is one that holds the system's repository, or any when the system never had one: a repository is made once,
    and where another centre holds it already it is joined by replication alone. Only a vault that does not answer is
    passed: a refusal is an answer, and is told where the backup meets it. Raises Unreachable when no centre is left.
    """
    away: dict[str, Unreachable] = {}
    without: list[CentreName] = []
    for number, centre in enumerate(copy_centres(ref)):
        try:
            there = access.bucket(centre, ref.tenant.tenant).head_within(f"{ref.name}/config")
        except Unreachable as error:
            away[centre] = error
            continue
        if there or number == 0 or not had_repository(access.catalogue, ref, run_id):
            return Destination(centre, {name: str(error) for name, error in away.items()})
        without.append(centre)
    first = next(iter(away.values()))
    if not without:
        raise first
    raise Unreachable(
        f"{first}; and {', '.join(without)} does not hold the repository of {ref} yet",
        hint=f"when {', '.join(away)} answers again: tricenter replicate {ref} lets backups go past it the next time",
    )


def had_repository(catalogue: Catalogue, ref: SystemRef, run_id: str = "") -> bool:
    """Return whether a repository of the system may exist: it has points, or another run than this went to make it."""
    return catalogue.has_points(ref.tenant.tenant, ref.name) or catalogue.was_attempted(
        "open-repository", "backup", str(ref), besides=run_id
    )
