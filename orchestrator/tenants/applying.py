"""Carrying plans out: tenants and centres side by side, each action a step of a run, and a second look at the end.

Tenants re-derive: nothing is remembered between runs but what the clouds themselves hold. After a kill -9 the next
apply looks again and does what is left.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from orchestrator.catalogue.details import forget_details
from orchestrator.catalogue.store import Catalogue
from orchestrator.cloud.connection import Connection, disconnect
from orchestrator.engine.port import FlowSpec, Run
from orchestrator.errors import Interrupted, PartlyDone, Refused, TricenterError, Unreachable
from orchestrator.tenants import items
from orchestrator.tenants.asking import fresh
from orchestrator.tenants.building import carry_out
from orchestrator.tenants.desired import Target
from orchestrator.tenants.looking import Centres, Look, Looks, look
from orchestrator.tenants.planning import Action, conflicts

#: Targets that are built at once. Clouds answer several tenants in parallel; more only queue inside them.
THREADS = 4

FLOW = "tenant-apply"


class Runner(Protocol):
    def run(self, flow: FlowSpec, arguments: Mapping[str, str], /) -> Any: ...


class Program(Centres, Protocol):
    """What is needed of the program to apply."""

    @property
    def runner(self) -> Runner: ...

    @property
    def catalogue(self) -> Catalogue: ...


@dataclass(slots=True)
class Outcome:
    """How one target ended. `error` stands when its last action failed; what follows that one was not tried.

    `left` is what the site no longer wants and nobody allowed to destroy: no failure.
    """

    target: Target
    planned: tuple[Action, ...]
    unchanged: int
    done: list[Action] = field(default_factory=list)
    error: TricenterError | None = None
    conflicts: tuple[Action, ...] = ()
    left: tuple[Action, ...] = ()
    writes: int = 0
    pending: int = 0

    @property
    def state(self) -> str:
        if self.conflicts:
            return "conflict"
        if self.error:
            return "failed"
        return "differs" if self.pending else "done"


@dataclass(frozen=True, slots=True)
class Applied:
    """How an apply ended, target by target, and the centres that could not be looked at."""

    outcomes: tuple[Outcome, ...]
    unreachable: Mapping[str, Unreachable]

    def count(self, kind: str) -> int:
        return sum(action.kind == kind for each in self.outcomes for action in each.done)

    @property
    def failed(self) -> int:
        return sum(each.error is not None for each in self.outcomes)

    @property
    def unchanged(self) -> int:
        return sum(each.unchanged for each in self.outcomes)

    @property
    def writes(self) -> int:
        return sum(each.writes for each in self.outcomes)


class Connections:
    """One connection per thread and centre, because the SDK's are not to be shared."""

    def __init__(self, centres: Centres) -> None:
        self._centres, self._local, self._all = centres, threading.local(), list[Connection]()

    def to(self, centre: str) -> Connection:
        mine: dict[str, Connection] = self._local.__dict__.setdefault("connections", {})
        if centre not in mine:
            mine[centre] = self._centres.new_cloud(centre)
            self._all.append(mine[centre])
        return mine[centre]

    def close(self) -> None:
        for each in self._all:
            disconnect(each)


def apply(
    program: Program,
    looks: Looks,
    *,
    on_action: Callable[[Action], None],
    choose: Callable[[Look], Look] | None = None,
    allow_destroy: bool = False,
) -> Applied:
    """Carry out what was planned, and look again to prove that nothing is left to do.

    Nothing is written for a target with a conflict. A target that fails does not keep others from being finished;
    what became of each stands in the result. Interrupted, it ends after the actions in flight. `choose` picks the
    actions that count, when the looks hold only a part of all. `allow_destroy` says that the looks were taken so: what
    the site no longer wants is destroyed, and is looked for again at the end.
    """
    outcomes = [_carry_nothing(each) for each in looks.found]
    work = [
        (each, outcome)
        for each, outcome in zip(looks.found, outcomes, strict=True)
        if each.actions and not outcome.conflicts
    ]
    runner, connections, stop = program.runner, Connections(program), threading.Event()
    down: dict[str, Unreachable] = {}

    def build(found: Look, outcome: Outcome) -> None:
        centre = found.target.centre
        if centre in down:  # each tenant finding out alone would take a minute
            outcome.error, outcome.pending = down[centre], len(found.actions)
            return
        try:
            arguments = arguments_of(found.target, allow_destroy=allow_destroy)
            runner.run(_spec(connections, found, outcome, stop, on_action), arguments)
        except Unreachable as error:
            outcome.error = down[centre] = error
        except TricenterError as error:
            outcome.error = error

    sharing = [pair for pair in work if any(isinstance(each.item, items.Share) for each in pair[0].actions)]
    try:  # who shares a network comes last: by then the others have a project to share it with
        for several in ([pair for pair in work if pair not in sharing], sharing):
            _side_by_side([(build, pair) for pair in several], stop)
    finally:
        connections.close()
    _prove(program, [pair for pair in work if pair[1].error is None], choose, allow_destroy)
    if choose is not None:  # what a part amounts to says nothing of how the tenant stands
        return Applied(tuple(outcomes), looks.unreachable)
    for each in outcomes:
        program.catalogue.record_tenant(
            each.target.tenant, each.target.centre, writes=each.writes, pending=each.pending
        )
    return Applied(tuple(outcomes), looks.unreachable)


def _carry_nothing(found: Look) -> Outcome:
    clashes = conflicts(found.actions)
    pending = len(found.actions) if clashes else 0
    return Outcome(found.target, found.actions, found.unchanged, conflicts=clashes, left=found.left, pending=pending)


def _side_by_side(calls: Sequence[tuple[Callable[..., None], tuple[Any, ...]]], stop: threading.Event) -> None:
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        futures: list[Future[None]] = [pool.submit(call, *arguments) for call, arguments in calls]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def arguments_of(target: Target, *, allow_destroy: bool = False) -> dict[str, str]:
    allowed = {"allow_destroy": "yes"} if allow_destroy else {}
    return {"tenant": target.tenant, "centre": target.centre, **allowed}


def subject_of(arguments: Mapping[str, str]) -> str:
    return f"{arguments['tenant']}@{arguments['centre']}"


def slots_of(program: Centres, arguments: Mapping[str, str]) -> tuple[str, ...]:
    """Return what an apply of a target takes part of: its tenant, and the centre with its cloud or vault."""
    tenant, centre = arguments["tenant"], arguments["centre"]
    cloud = (f"cloud:{centre}",) if centre in program.site.clouds() else ()
    return (f"tenant:{tenant}", f"centre:{centre}", *cloud)


def _spec(
    connections: Connections,
    found: Look,
    outcome: Outcome,
    stop: threading.Event,
    on_action: Callable[[Action], None],
) -> FlowSpec:
    """Return the flow of one target that was looked at already, to be run in this process."""

    def flow(run: Run, program: Program, arguments: Mapping[str, str]) -> None:
        carry_out_all(run, program, connections, found, outcome, stop, on_action)

    return FlowSpec(FLOW, ("tenant", "centre", "allow_destroy?"), subject_of, slots_of, flow)


def carry_out_all(
    run: Run,
    program: Program,
    connections: Connections,
    found: Look,
    outcome: Outcome,
    stop: threading.Event,
    on_action: Callable[[Action], None],
) -> None:
    """Carry out the actions of one target in order, counting as it goes, so that a failure loses no count."""
    centre = found.target.centre
    outcome.pending = len(found.actions)
    cloud = connections.to(centre) if centre in program.site.clouds() else None
    vault = program.vault_admin(centre) if centre in program.site.vaults() else None
    place = found.place(cloud, vault, program.secrets_folder)
    forget_details(program.catalogue, *found.target)  # before they become untrue: a kill would leave them so
    before = place.writes()
    try:
        for number, action in enumerate(found.actions):
            if stop.is_set():
                raise Interrupted(f"{found.target} was interrupted", hint="run the same command again")
            run.progress(action.name, number, len(found.actions))
            run.attempt(action.name, carry_out, place, action)
            outcome.done.append(action)
            outcome.pending -= 1
            on_action(action)
    finally:
        outcome.writes = place.writes() - before


def _prove(
    program: Program,
    work: Sequence[tuple[Look, Outcome]],
    choose: Callable[[Look], Look] | None,
    allow_destroy: bool,
) -> None:
    """Look again at what was changed: an apply is done when there is nothing left to plan.

    When that cannot be looked at, it is how each of them ended.
    """
    wanted, memory = [found.wanted for found, _ in work], fresh(lambda: program.catalogue)
    try:
        again = look(program, wanted, allow_destroy=allow_destroy, memory=memory)
    except TricenterError as unseen:  # what was done must be told all the same
        for _, outcome in work:
            outcome.error = unseen
        return
    left = {each.target: (choose(each) if choose else each).actions for each in again.found}
    for found, outcome in work:
        if error := again.unreachable.get(found.target.centre):
            outcome.error = error
        outcome.pending = len(left.get(found.target, ()))
        if outcome.pending:
            outcome.planned = left[found.target]


def raise_for(applied: Applied) -> None:
    """Raise what the apply amounts to: nothing when all is as it must be.

    Unreachable when nothing could be done, PartlyDone when some was and some was not, Refused when the only thing in
    the way are conflicts that a person must settle.
    """
    failed = [each for each in applied.outcomes if each.error or (each.pending and not each.conflicts)]
    clashing = [each for each in applied.outcomes if each.conflicts]
    finished = [each for each in applied.outcomes if each.state == "done"]
    lines = [
        *(f"{centre}: {error}" for centre, error in applied.unreachable.items()),
        *(f"{each.target}: {each.error or _differs(each)}" for each in failed),
        *(f"{each.target}: {len(each.conflicts)} conflict(s), nothing written" for each in clashing),
    ]
    if not lines:
        return
    message = "; ".join(lines)
    if failed or applied.unreachable:
        errors = [*applied.unreachable.values(), *(each.error for each in failed if each.error)]
        nothing_done = not finished and not any(each.done for each in applied.outcomes)
        if nothing_done and not clashing and errors:
            errors[0].args = (message,)
            raise errors[0]
        hint = next((each.hint for each in errors if each.hint), "")
        raise PartlyDone(message, hint=f"{hint}; then run the same command again".removeprefix("; "))
    raise Refused(message, hint="settle the lines marked ! by hand: Tricenter never touches what it did not create")


def _differs(outcome: Outcome) -> str:
    return f"still differs after the apply: {outcome.planned[0]}"
