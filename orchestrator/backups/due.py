"""What `--due` adds to a command: only what is due now, and an exit code that a timer can trust."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.backups.replication import Way
from orchestrator.batch import Ended
from orchestrator.catalogue.database import now
from orchestrator.catalogue.facts import Key, exposures
from orchestrator.catalogue.reading import reading
from orchestrator.errors import Busy, CheckFailed, PartlyDone, TricenterError, Unreachable
from orchestrator.schedule.facts import read_schedule_facts
from policies.schedule import due
from policies.site import SystemRef
from policies.work import Facts, copy_centres

if TYPE_CHECKING:
    from orchestrator.app import App


S = TypeVar("S", SystemRef, Way)

#: So many systems are named in a line.
NAMED = 5


class DueWork:
    """The part of some systems whose flow is due now, by the same rules as the server's schedule.

    `refs` are in the order of their deadlines, and so are the `ways` of copies. What another process has open already
    is not among them. `routes` are the sources and targets of copies; without any it is about backups.
    """

    def __init__(self, app: App, flow: str, refs: Sequence[SystemRef], routes: Sequence[tuple[str, str]] = ()) -> None:
        self._app, self._flow, self._asked, self._routes = app, flow, list(refs), tuple(routes)
        self._begun: set[str] = set()
        facts, by_name = self._facts(), {str(ref): ref for ref in refs}
        wanted = [each for each in due(app.site, facts, now()) if each.flow == flow and each.system in by_name]
        self.refs = [by_name[each.system] for each in wanted if each.system]
        found = [
            Way(by_name[each.system], each.arguments["source"], each.arguments["target"])
            for each in wanted
            if each.system and routes
        ]
        self.ways = [way for way in found if (way.source, way.target) in routes]
        self._open = sum(1 for ref in refs for subject in self._subjects(ref) if (flow, subject) in facts.open)

    def began(self, subject: SystemRef | Way) -> None:
        """Note that a run has begun: what is busy from now on is something else than a run of the same."""
        self._begun.add(str(subject))

    def without_running(self, ended: Sequence[Ended[S, Any]]) -> list[Ended[S, Any]]:
        """Return what ended but for what another process had begun in the meantime."""
        return [each for each in ended if not self._runs_elsewhere(each)]

    def conclude(self, ended: Sequence[Ended[S, Any]]) -> int:
        """Say in one line how it went, give the pulse, and return the exit code.

        0 everything was done, or nothing was due · 3 some failed · 4 a check failed, or an objective of the systems
        that were asked for is missed all the same · 6 all failed because nothing could be reached.
        """
        mine = self.without_running(ended)
        errors = [each.error for each in mine if each.error]
        running, missed = self._open + len(ended) - len(mine), self._missed()
        self._app.progress_console.print(
            f"到期 due {len(ended)} · 完成 done {len(mine) - len(errors)} · 失败 failed {len(errors)}"
            f" · 已在运行 already running {running} · 目标未满足 objectives missed {len(missed)}"
            + (f": {', '.join(missed[:NAMED])}" + (" …" if len(missed) > NAMED else "") if missed else ""),
            markup=False,
        )
        code = _exit_code(errors, len(mine), len(missed))
        self._app.pulse_after(self._flow, code)
        return code

    def _runs_elsewhere(self, each: Ended[S, Any]) -> bool:
        return isinstance(each.error, Busy) and str(each.subject) not in self._begun

    def _subjects(self, ref: SystemRef) -> list[str]:
        return [str(Way(ref, *route)) for route in self._routes] or [str(ref)]

    def _facts(self) -> Facts:
        return read_schedule_facts(self._app.catalogue, now())

    def _missed(self) -> list[str]:
        """Return the systems whose exposure at the centre that this work is for is over their objective now.

        What the board calls missed: points that are suspect or bad do not count.
        """
        missed = []
        with reading(self._app.catalogue) as db:
            moment = now()
            exposed = exposures(db, moment)
        for ref in self._asked:
            centre = self._routes[0][1] if self._routes else copy_centres(ref)[0]
            rules = {str(name): copy for name, copy in ref.copies.items()}
            known = exposed.get(Key(ref.tenant.tenant, ref.name, centre))
            if known and moment - known.since > rules[centre].rpo:
                missed.append(f"{ref}@{centre}")
        return missed


def _exit_code(errors: Sequence[TricenterError], ended: int, missed: int) -> int:
    if errors and len(errors) == ended and all(isinstance(each, Unreachable) for each in errors):
        return Unreachable.exit_code
    if any(not isinstance(each, CheckFailed) for each in errors):
        return PartlyDone.exit_code
    return CheckFailed.exit_code if errors or missed else 0
