"""The tick: whatever is due is put into the queue. Nothing of the schedule is stored anywhere else.

Several workers may tick. One lease in the catalogue lets one of them look at a time: who looks while another's runs
begin and end would ask for them a second time. A tick that finds the lease taken does nothing. That one subject has
one open run at most needs no lease: an index of the catalogue holds it, also against people who ask at that moment.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from orchestrator.catalogue import leases
from orchestrator.catalogue.facts import SCHEDULE
from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.records import Order, RunRow
from orchestrator.catalogue.store import Catalogue
from orchestrator.engine.port import FlowSpec
from orchestrator.errors import Busy
from orchestrator.schedule.facts import read_schedule_facts
from policies.schedule import Due, due
from policies.site import Site

LEASE = "schedule"
#: So many runs are queued in one transaction: on SQLite nobody else writes until it ends.
BATCH = 500


class Program(Protocol):
    """What the tick needs of the object graph."""

    @property
    def site(self) -> Site: ...

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def flows(self) -> Mapping[str, FlowSpec]: ...


@dataclass(frozen=True, slots=True)
class Ticked:
    """What a tick came to: what was due, and the runs that were queued for it. `by_another`: another worker looked."""

    due: tuple[Due, ...]
    queued: tuple[RunRow, ...]
    by_another: bool = False


def tick(program: Program, now: datetime) -> Ticked:
    """Queue what is due at `now`. May be repeated, and by several workers at once: nothing is queued twice.

    A fixed number of reads, then an insert for each run, the most urgent first. Raises Unreachable when the catalogue
    does not answer.
    """
    holder = f"tick-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with leases.hold(program.catalogue, LEASE, holder, exclusive=True):
            found = due(program.site, read_schedule_facts(program.catalogue, now), now)
            queued: list[RunRow] = []
            for first in range(0, len(found), BATCH):
                orders = [order_of(program, each) for each in found[first : first + BATCH]]
                queued += program.ledger.submit_new(orders)
    except Busy:
        return Ticked((), (), by_another=True)
    return Ticked(tuple(found), tuple(queued))


def order_of(program: Any, each: Due) -> Order:
    """Return what the ledger is asked for."""
    return Order(
        flow=each.flow,
        subject=each.subject,
        arguments=each.arguments,
        slots=program.flows[each.flow].slots(program, each.arguments),
        priority=each.priority,
        deadline=each.deadline,
        reason=f"{each.reason_zh} {each.reason_en}",
        requested_by=SCHEDULE,
    )
