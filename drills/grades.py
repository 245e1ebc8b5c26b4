"""The grade of the systems of a run of a plan, as it is when the run has been recorded: a part of its evidence."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.catalogue.grades import grade_systems
from policies.grading import profile_of
from policies.site import SystemRef

if TYPE_CHECKING:
    from drills.flows import Program


def grade_now(program: Program, refs: list[SystemRef]) -> list[dict[str, Any]]:
    """Return the grades of these systems, as plain JSON. Raises Unreachable when the catalogue does not answer."""
    now = datetime.now(UTC)
    found = grade_systems(program.site, program.catalogue, refs, profile_of(now.date()), now)
    return [each.as_json() for each in found]
