"""The port that flows run through. A flow is a plain function `flow(run, …)` that imports no engine.

Each step of a flow goes through `run.step`, so that it leaves a row of evidence: one when it starts, closed when it
ends. What a step makes and the run must take away again is registered by `run.cleanup` *before* the step, as an
action's name with plain arguments, so that it can be undone by another process after this one was killed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Run(Protocol):
    """One execution of a flow."""

    @property
    def id(self) -> str:
        """Names the run, and everything in clouds and vaults that the run makes."""

    def step(self, name: str, act: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do one step and return what it returns; what it raises is recorded and raised.

        A result that is plain JSON, or has `as_evidence()`, is kept with the attempt.
        """

    def cleanup(self, action: str, **arguments: str) -> None:
        """Register that `action(**arguments)` must happen when the run ends, however it ends.

        Actions are idempotent: they may be repeated, also when the thing was never made.
        """


#: A flow: the run, then whatever it works on.
Flow = Callable[Concatenate[Run, P], T]

#: What cleanups are called by, and the functions that do them. JSON arguments only: another process may do it.
Actions = dict[str, Callable[..., Any]]
