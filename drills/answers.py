"""Answers to runs that wait for a person: approvals, confirmations, and what becomes of a switch.

They go through the catalogue, so they may come from any terminal that reaches it, and a run that is not at work when
it is answered finds the answer when it is taken up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.approval import is_approval, send_approval
from orchestrator.catalogue.records import RunRow, RunState
from orchestrator.errors import UnknownName
from orchestrator.person import login_name

if TYPE_CHECKING:
    from drills.flows import Program

#: What a run waits for while its parts are at work: for nobody.
PARTS = ("systems", "sync", "reprotect")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run, or a part of one, that waits for somebody."""

    run: str
    about: str
    topic: str


def waiting(program: Program, drill: str) -> list[Waiting]:
    """Return what a run of a plan and its parts wait for now. Raises UnknownName."""
    rows = [program.catalogue.run(drill), *program.catalogue.parts(drill)]
    return [
        Waiting(row.id, row.arguments.get("system") or row.subject, row.waiting_for)
        for row in rows
        if row.waiting_for and _waits_for_somebody(row)
    ]


def answer(program: Program, drill: str, topic: str, message: str = "", code: str = "") -> Waiting:
    """Answer what a run, or one of its parts, waits for. `no` as the message refuses.

    A topic may be named by its first word: `approve`. Raises UnknownName when nothing of it waits for the topic,
    Refused for an approval by who declared it, or without its second factor.
    """
    found = waiting(program, drill)
    one = next((each for each in found if topic in (each.topic, each.topic.partition(":")[0])), None)
    if one is None:
        raise UnknownName(f"topic that run {drill} waits for", topic, [each.topic for each in found])
    by = login_name()
    if is_approval(one.topic):
        row, rule = program.catalogue.run(one.run), program.site.approval
        send_approval(program.ledger, rule, row, one.topic, by=by, message=message, code=code)
    else:
        program.ledger.send(one.run, one.topic, {"by": by, "message": message}, by)
    return one


def _waits_for_somebody(row: RunRow) -> bool:
    return row.state is RunState.WAITING and not (row.waiting_for or "").startswith(PARTS)
