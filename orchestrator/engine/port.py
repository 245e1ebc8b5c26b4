"""The port that flows run through. A flow is a plain function `flow(run, …)` that imports no engine.

Two schools, never mixed in one piece of work:

* What is **replayed** goes through `run.step`: done once, its result journaled, and never done again when the run is
  resumed after a crash. Backups, replications, verifications and drills are such.
* What is **derived anew** goes through `run.attempt`: after a crash the flow looks again and does what is left.
  Tenants are such.

Both leave a row of evidence: one when the attempt starts, closed when it ends. What a step makes and the run must
take away again is registered by `run.cleanup` *before* the step, as an action's name with plain arguments, so that
it can be undone by another process after this one was killed.

A flow catches `TricenterError` and never `Exception`: what the engine itself raises (a run taken over, a journal that
does not fit the code) is no reason to compensate anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """A run to be begun as a part of another: its name there, its flow, and its turn among them (0 first)."""

    name: str
    flow: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    urgency: int = 0


@dataclass(frozen=True, slots=True)
class PartState:
    """How far a part is. `state` is its run's; `result` is what its flow returned, as plain JSON."""

    name: str
    run: str
    state: str
    ended: bool
    result: Any
    error: str | None
    hint: str | None
    exit_code: int | None

    @property
    def done(self) -> bool:
        return self.state == "done"

    def as_evidence(self) -> dict[str, str]:
        return {"run": self.run, "state": self.state}


class Run(Protocol):
    """One execution of a flow."""

    @property
    def id(self) -> str:
        """Names the run, and everything in clouds and vaults that the run makes."""

    def step(self, name: str, act: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do one step once and return what it returned; what it raises is recorded and raised.

        A step that ended, well or badly, is not done again when the run is resumed; one that a crash interrupted is
        done again, so acts look before they make. The result must be journalable (`orchestrator.engine.journal`);
        what `as_evidence()` gives of it, or its plain JSON, is kept with the attempt.
        """

    def attempt(self, name: str, act: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something that leaves evidence but is not journaled: a resumed run derives it anew."""

    def cleanup(self, action: str, /, *, here: bool = False, **arguments: str) -> None:
        """Register that `action(**arguments)` must happen when the run ends, however it ends.

        Actions are idempotent: they may be repeated, also when the thing was never made. `here` is for what only
        this machine can take away.
        """

    def undo(self, action: str, /, *, here: bool = False, **arguments: str) -> None:
        """Register that `action(**arguments)` must happen when the run fails or is aborted: the step's compensation."""

    def pin(self) -> None:
        """Say that what the following steps make lives on this machine.

        Resumed on this machine the run goes on where it was; taken over by another one, it starts again from here.
        """

    def wait(self, topic: str, timeout_seconds: float) -> Any:
        """Return the message that somebody sends the run on `topic`, None when nobody did in time.

        Durable: a message that is sent while no process runs the run is kept. A run that waits holds no limits.
        """

    def parts(self, name: str, due: Callable[[Mapping[str, PartState]], Iterable[Part]]) -> Mapping[str, PartState]:
        """Have other runs done as parts of this one, and return how each ended, by its name.

        `due` is given how far every part is, and returns those whose time has come; it is asked again and again, and
        what it has named once stays begun. Leaves one row of evidence and is not journaled: after a crash it goes on
        from what the ledger says. A run whose parts are at work holds no limits; stopped, it stops them first.
        """

    def changed(self, name: str) -> bool:
        """Return whether this run shall take the new way of a flow that was changed: False for one begun before."""

    def progress(self, what: str, done: float, total: float) -> None:
        """Say how far a long step is. Cheap. Raises what stops the run: it was aborted, interrupted, its time is up."""


Flow = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """A flow by its name, so that any process can run it from a row of the catalogue.

    `arguments` are its names: plain text each, those that end with "?" may be left out. `program` is the object graph.
    """

    name: str
    arguments: tuple[str, ...]
    subject: Callable[[Mapping[str, str]], str]
    slots: Callable[[Any, Mapping[str, str]], tuple[str, ...]]
    run: Callable[[Run, Any, Mapping[str, str]], Any]

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(each for each in self.arguments if not each.endswith("?"))

    @property
    def known(self) -> tuple[str, ...]:
        return tuple(each.removesuffix("?") for each in self.arguments)


#: What clean-ups are called by, and the functions that do them. JSON arguments only: another process may do it.
Actions = dict[str, Callable[..., Any]]
