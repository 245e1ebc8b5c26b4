"""Runs that are parts of another one: begun when their time comes, watched to their ends, and ended with it.

Nothing of this is journaled. Which parts there are, and how far each is, stands in the ledger; a resumed run looks
there and goes on. So the parts of one run may be at work on several machines, and survive the worker of the whole.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar

from orchestrator.catalogue.ledger import Claim, Ledger
from orchestrator.catalogue.records import Order, RunRow
from orchestrator.catalogue.store import Catalogue
from orchestrator.engine.port import Part, PartState
from orchestrator.errors import PartlyDone, Refused, TricenterError

POLL_SECONDS = 0.2
T = TypeVar("T")


class Write(Protocol):
    """Does what reads or writes the ledger: again when the database is away for a moment."""

    def __call__(self, do: Callable[[], T], /) -> T: ...


#: How long a run waits for its parts to end when it is stopped: they take away what they made.
ENDING_SECONDS = 120.0


class Parts:
    """The parts of one run, as its execution conducts them."""

    def __init__(
        self, ledger: Ledger, claim: Claim, write: Write, staff: Callable[[], bool], wake: threading.Event
    ) -> None:
        """`staff` executes a claimable part in this process, and says whether it did; elsewhere workers do that.

        `wake` is set when a part has ended here, so that the next need not wait for our look.
        """
        self._ledger, self._claim, self._write, self._staff, self._wake = ledger, claim, write, staff, wake

    def conduct(
        self,
        due: Callable[[Mapping[str, PartState]], Iterable[Part]],
        make_order: Callable[[Part], Order],
        check: Callable[[], None],
    ) -> dict[str, PartState]:
        """Begin what is due until nothing is and all that was begun has ended; return how each ended, by its name.

        Whatever stops the run, `check` raising or an abort, stops the parts first.
        """
        run_id = self._claim.run.id
        try:
            while True:
                check()
                states = self._write(lambda: read_states(self._ledger.catalogue, run_id))
                fresh = [make_order(each) for each in due(states) if each.name not in states]
                if fresh:
                    self._write(partial(self._ledger.submit_parts, self._claim, fresh))
                elif all(each.ended for each in states.values()):
                    return states
                while self._staff():
                    check()
                self._wake.wait(POLL_SECONDS)
                self._wake.clear()
        except (TricenterError, KeyboardInterrupt):
            end_parts(self._ledger, run_id, "the whole was stopped")
            raise


def read_states(catalogue: Catalogue, run_id: str) -> dict[str, PartState]:
    """Return how far each part of a run is, by its name."""
    return {row.part: as_state(row) for row in catalogue.parts(run_id) if row.part}


def as_state(row: RunRow) -> PartState:
    return PartState(
        row.part or "", row.id, str(row.state), row.state.ended, row.result, row.error, row.hint, row.exit_code
    )


def end_parts(ledger: Ledger, run_id: str, why: str, within_seconds: float = ENDING_SECONDS) -> None:
    """Ask for the end of what is left of a run's parts, and wait for it. May be repeated.

    Raises PartlyDone when some do not end in time.
    """
    end = time.monotonic() + within_seconds
    asked: set[str] = set()
    while still := [row for row in ledger.catalogue.parts(run_id) if not row.state.ended]:
        for row in still:
            if row.id not in asked:
                with suppress(Refused):  # it has just ended
                    ledger.request_abort(row.id, why)
                asked.add(row.id)
        if time.monotonic() > end:
            names = ", ".join(row.id for row in still)
            raise PartlyDone(f"parts of run {run_id} do not end: {names}", hint="tricenter run list shows who has them")
        time.sleep(POLL_SECONDS)
