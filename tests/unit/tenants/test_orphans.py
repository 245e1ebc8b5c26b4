"""What nobody answers for: of no project, or of a drill that is over; and what of it may be removed."""

from __future__ import annotations

from typing import Any

from orchestrator.cloud.strays import Thing
from orchestrator.tenants.orphan_commands import _stray


def thing(project: str, *, ours: bool = True, drill: str = "") -> Thing:
    return Thing("network", "n", f"id-{project}{drill}", project, ours, drill, "", lambda: None)


def told(*several: Thing) -> list[dict[str, Any]]:
    return [each.as_json() for each in _stray("same-city", several, {"here"}, {"running"})]


def test_what_belongs_to_a_project_that_is_there_is_no_orphan() -> None:
    assert told(thing("here"), thing("here", ours=False), thing("here", drill="running"), thing("")) == []


def test_only_ours_of_no_project_is_removed() -> None:
    ours, others, drilled = told(thing("gone"), thing("gone", ours=False), thing("here", drill="over"))
    assert (ours["why"], ours["removable"]) == ("no-project", True)
    assert (others["why"], others["removable"]) == ("no-project", False)
    assert (drilled["why"], drilled["removable"]) == ("drill", False)
