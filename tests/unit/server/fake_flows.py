"""Flows and a control for the tests of the server: real specs, a real catalogue, no engine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from orchestrator.catalogue.database import now
from orchestrator.catalogue.ledger import Claim, Ledger
from orchestrator.catalogue.records import Order, RunRow, WorkerRow
from orchestrator.catalogue.store import Catalogue
from orchestrator.engine.port import FlowSpec, Run
from orchestrator.errors import UnknownName
from orchestrator.process import started_at
from orchestrator.server.control import Control
from policies.limits import DEFAULTS

TOKEN = "the-token-of-the-tests"
BY = "li.wei@ops-1"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "X-Tricenter-User": BY}
SYSTEMS = ("bureau/registry", "bureau/notices")


def _slots(program: Any, arguments: Mapping[str, str]) -> tuple[str, ...]:
    if arguments["system"] not in program:
        raise UnknownName("system", arguments["system"], program)
    return (f"tenant:{arguments['system'].partition('/')[0]}",)


def _run(run: Run, program: Any, arguments: Mapping[str, str]) -> None:
    raise AssertionError("no engine runs here")


BACKUP = FlowSpec("backup", ("system", "note?"), lambda given: given["system"], _slots, _run)
VERIFY = FlowSpec("verify", ("system", "centre"), lambda given: f"{given['system']}@{given['centre']}", _slots, _run)


def control_of(catalogue: Catalogue) -> Control:
    return Control(Ledger(catalogue), {"backup": BACKUP, "verify": VERIFY}, SYSTEMS, TOKEN)


class Hand:
    """Does by hand to the rows what a worker would."""

    def __init__(self, catalogue: Catalogue, worker: str = "hand") -> None:
        self.ledger, self.worker = Ledger(catalogue), worker
        moment = now()
        pid = os.getpid()
        self.ledger.enlist(
            WorkerRow(worker, "server", socket.gethostname(), pid, started_at(pid) or 0, "0", 4, moment, moment)
        )

    def submit(self, subject: str = SYSTEMS[0], *, by: str = BY, reason: str = "") -> RunRow:
        return self.ledger.submit(
            Order("backup", subject, {"system": subject}, ("tenant:bureau",), requested_by=by, reason=reason)
        )

    def claim(self, run: RunRow) -> Claim:
        claim = self.ledger.claim(self.worker, DEFAULTS, run_id=run.id)
        assert claim is not None
        return claim

    def waiting(self, by: str = "wang.fang@ops-2") -> Claim:
        claim = self.claim(self.submit(by=by))
        self.ledger.wait_begin(claim, "approval")
        return claim


@contextmanager
def catalogue_at(url: str) -> Iterator[Catalogue]:
    made = Catalogue(url)
    yield made
    made.engine.dispose()
