"""What runs that have not ended are working with: nothing of it may be taken away under them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.reading import reading
from orchestrator.catalogue.store import Catalogue

#: The step by which a drill chooses its recovery point. Its evidence holds the point.
CHOICE = "choose-point"


@dataclass(frozen=True, slots=True)
class InUse:
    """The runs that have not ended, and the recovery points that they were given or have chosen."""

    runs: frozenset[str]
    points: frozenset[str]


def read_in_use(catalogue: Catalogue) -> InUse:
    """Return what is in use now. Raises Unreachable when the catalogue does not answer."""
    with reading(catalogue) as db:
        runs = db.execute(select(t.runs.c.id, t.runs.c.arguments).where(t.runs.c.ended_at.is_(None))).all()
        of_open = t.attempts.c.run_id.in_([run.id for run in runs])
        choices = db.execute(select(t.attempts.c.detail).where(of_open & (t.attempts.c.step == CHOICE))).scalars()
        given = {run.arguments["point"] for run in runs if "point" in run.arguments}
        chosen = {choice["point"]["id"] for choice in choices if choice}
    return InUse(frozenset(run.id for run in runs), frozenset(given | chosen))
