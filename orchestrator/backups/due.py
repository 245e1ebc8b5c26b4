"""What `--due` adds to a command: only what is due now, and an exit code that a timer can trust."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.batch import Ended
from orchestrator.catalogue.database import now
from orchestrator.errors import Busy, CheckFailed, InvalidInput, PartlyDone, Unreachable
from orchestrator.schedule.facts import read_schedule_facts
from policies.schedule import due
from policies.site import SystemRef
from policies.work import NOTHING, Facts, copy_centres

if TYPE_CHECKING:
    from orchestrator.app import App


#: So many systems are named in a line.
NAMED = 5


class DueWork:
    """The part of some systems whose flow is due now, by the same rules as the server's schedule.

    `refs` are in the order of their deadlines. What another process has open already is not among them. `route` is
    the source and the target of copies. Raises InvalidInput for a route that no schedule takes.
    """

    def __init__(self, app: App, flow: str, refs: Sequence[SystemRef], route: tuple[str, str] | None = None) -> None:
        self._app, self._flow, self._asked, self._route = app, flow, list(refs), route
        if route and any(copy_centres(ref)[0] != route[0] for ref in refs):
            raise InvalidInput(
                f"--due goes with the way that scheduled copies take, and that does not begin at {route[0]}",
                hint="leave out --due to copy whatever is missing",
            )
        self._begun: set[str] = set()
        facts, by_name = self._facts(), {str(ref): ref for ref in refs}
        wanted = [each for each in due(app.site, facts, now()) if each.flow == flow and each.system in by_name]
        if route:
            wanted = [each for each in wanted if each.arguments["target"] == route[1]]
        self.refs = [by_name[each.system] for each in wanted if each.system]
        self._open = sum(1 for ref in refs if (flow, self._subject(ref)) in facts.open)

    def began(self, ref: SystemRef) -> None:
        """Note that a run has begun: what is busy from now on is something else than a run of the same."""
        self._begun.add(str(ref))

    def without_running(self, ended: Sequence[Ended[SystemRef, Any]]) -> list[Ended[SystemRef, Any]]:
        """Return what ended but for what another process had begun in the meantime."""
        return [each for each in ended if not self._runs_elsewhere(each)]

    def conclude(self, ended: Sequence[Ended[SystemRef, Any]]) -> int:
        """Say in one line how it went, and return the exit code.

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
        if errors and len(errors) == len(mine) and all(isinstance(each, Unreachable) for each in errors):
            return Unreachable.exit_code
        if any(not isinstance(each, CheckFailed) for each in errors):
            return PartlyDone.exit_code
        return CheckFailed.exit_code if errors or missed else 0

    def _runs_elsewhere(self, each: Ended[SystemRef, Any]) -> bool:
        return isinstance(each.error, Busy) and str(each.subject) not in self._begun

    def _subject(self, ref: SystemRef) -> str:
        return f"{ref} {'>'.join(self._route)}" if self._route else str(ref)

    def _facts(self) -> Facts:
        return read_schedule_facts(self._app.catalogue, now())

    def _missed(self) -> list[str]:
        """Return the systems whose exposure at the centre that this work is for is over their objective now."""
        facts, moment, missed = self._facts(), now(), []
        for ref in self._asked:
            key, centre = (ref.tenant.tenant, ref.name), self._route[1] if self._route else copy_centres(ref)[0]
            rules = {str(name): copy for name, copy in ref.copies.items()}
            newest = facts.at.get((*key, centre), NOTHING).data_time or facts.known_since.get(key, moment)
            if max(moment - newest, timedelta(0)) > rules[centre].rpo:
                missed.append(f"{ref}@{centre}")
        return missed
