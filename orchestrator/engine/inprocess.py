"""The in-process engine: runs a flow where it is called, and leaves the same evidence as a durable one would."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from orchestrator.catalogue.records import Outcome, RunRow, RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.engine.port import Actions, Flow
from orchestrator.errors import Interrupted
from orchestrator.process import started_at

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)


def new_run_id() -> str:
    """Return an identifier that sorts by time and is unique: 20261123T101500Z-3f9a1c."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


class InProcessRun:
    """A run of this process. Satisfies `orchestrator.engine.port.Run`."""

    def __init__(self, run_id: str, catalogue: Catalogue) -> None:
        self._id, self._catalogue = run_id, catalogue

    @property
    def id(self) -> str:
        return self._id

    def step(self, name: str, act: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        attempt = self._catalogue.start_attempt(self._id, name)
        try:
            result = act(*args, **kwargs)
        except (KeyboardInterrupt, Interrupted) as error:
            self._catalogue.end_attempt(attempt, Outcome.INTERRUPTED, error=error)
            raise
        except Exception as error:
            self._catalogue.end_attempt(attempt, Outcome.FAILED, error=error)
            raise
        self._catalogue.end_attempt(attempt, Outcome.PASSED, detail=as_evidence(result))
        return result

    def cleanup(self, action: str, **arguments: str) -> None:
        self._catalogue.add_cleanup(self._id, action, arguments)


class Runner:
    """Runs flows, and clears up after runs whose process died."""

    def __init__(self, catalogue: Catalogue, actions: Actions) -> None:
        self._catalogue, self._actions = catalogue, actions

    def run(self, name: str, subject: str, flow: Flow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a flow to its end and return its result; its errors are recorded and raised."""
        run = InProcessRun(new_run_id(), self._catalogue)
        self._catalogue.start_run(_row(run.id, name, subject))
        try:
            result = flow(run, *args, **kwargs)
        except (KeyboardInterrupt, Interrupted) as error:
            self._end(run.id, RunState.INTERRUPTED, error)
            raise
        except Exception as error:
            self._end(run.id, RunState.FAILED, error)
            raise
        self._end(run.id, RunState.DONE, None)
        return result

    def recover(self) -> list[RunRow]:
        """Clear up after runs of this host whose process is dead; return them. May be repeated, and run at once."""
        recovered = []
        for row in self._catalogue.runs(state=RunState.RUNNING):
            if row.host != socket.gethostname() or started_at(row.pid) == row.pid_started:
                continue
            mine = started_at(os.getpid()) or 0
            if self._catalogue.claim_run(row, pid=os.getpid(), pid_started=mine):
                self._end(row.id, RunState.INTERRUPTED, None)
                recovered.append(row)
        return recovered

    def _end(self, run_id: str, state: RunState, error: BaseException | None) -> None:
        for cleanup, action, arguments in self._catalogue.open_cleanups(run_id):
            try:
                self._actions[action](**arguments)
            except Exception as failure:
                # Left open in the catalogue: a thing that cannot be taken away now must not hide how the run ended.
                log.warning("clean-up %s of run %s failed: %s", action, run_id, failure)
                log.debug("its traceback", exc_info=True)
            else:
                self._catalogue.close_cleanup(cleanup)
        self._catalogue.end_run(run_id, state, error)


def _row(run_id: str, flow: str, subject: str) -> RunRow:
    return RunRow(
        id=run_id,
        flow=flow,
        subject=subject,
        state=RunState.RUNNING,
        started_at=datetime.now(UTC),
        ended_at=None,
        error_type=None,
        error=None,
        host=socket.gethostname(),
        pid=os.getpid(),
        pid_started=started_at(os.getpid()) or 0,
    )


def as_evidence(value: Any) -> Any:
    """Return `value` as plain JSON for an attempt's row; what has no plain form is left out."""
    if hasattr(value, "as_evidence"):
        return value.as_evidence()
    if is_dataclass(value) and not isinstance(value, type):
        return as_evidence(asdict(value))
    if isinstance(value, dict):
        return {str(key): as_evidence(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_evidence(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return value if isinstance(value, str | int | float | bool | None) else None
