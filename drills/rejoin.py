"""The rejoin flow: an old centre comes back. What it has is saved first; only then does it go by the new epoch.

Until it has ended, the centre's own orchestrator is fenced by every vault. Nothing at the old centre is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drills.quarantine import Away, find_taken, quarantine_system
from orchestrator.catalogue.epochs import adopt
from orchestrator.catalogue.quarantines import Quarantine
from orchestrator.engine.port import FlowSpec, Part, PartState, Run
from orchestrator.epoch.showing import look
from orchestrator.errors import PartlyDone, Refused, TricenterError, UnknownName, Unreachable
from policies.epoch import HOME, SEATS, State
from policies.site import SystemRef
from policies.work import copy_centres

if TYPE_CHECKING:
    from drills.flows import Program

QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Returning:
    """What a centre comes back to: the epoch that holds, and the systems that are active elsewhere now."""

    epoch: int
    away: tuple[Away, ...]


@dataclass(frozen=True, slots=True)
class Rejoined:
    """How a return ended: the epoch that is gone by now, what was saved, and what could not be compared, by system."""

    centre: str
    epoch: int
    adopted: tuple[int, ...]
    saved: dict[str, str]
    differing: tuple[str, ...]
    uncompared: dict[str, str]


def rejoin(run: Run, program: Program, centre: str, scratch: Path) -> Rejoined:
    """Save what `centre` has of every system that is active elsewhere, compare it, and go by the newest epoch.

    May be repeated: what was saved since a system moved is not saved again. Raises PartlyDone when a system could not
    be saved, and then nothing was adopted: the centre stays fenced. Raises Unreachable when no register answers, and
    Refused while an epoch is in doubt.
    """
    returning = run.step("look", look_for, program, centre)

    def due(states: Mapping[str, PartState]) -> Iterable[Part]:
        return [Part(f"{QUARANTINE}:{each.system}", QUARANTINE, _order(each, scratch)) for each in returning.away]

    states = run.parts(QUARANTINE, due) if returning.away else {}
    failed = {name: state for name, state in states.items() if not state.done}
    if failed:
        told = "; ".join(f"{name.partition(':')[2]}: {state.error or state.state}" for name, state in failed.items())
        raise PartlyDone(
            f"{len(states) - len(failed)} of {len(states)} systems of {centre} saved, and it stays fenced; {told}",
            hint=f"mend that, and run it again: tricenter rejoin {centre}",
        )
    return run.step("adopt", _adopt, program, centre)


def look_for(program: Program, centre: str) -> Returning:
    """Return the systems that were at `centre` and are active elsewhere. Raises Unreachable and Refused."""
    state = _look(program)
    found = [_away(program, state, name, centre) for name in state.active if _was_at(state, name, centre)]
    return Returning(state.epoch, tuple(each for each in found if each is not None))


def _look(program: Program) -> State:
    seen = look(program)
    if all(each.error for each in seen.registers):
        raise Unreachable(
            "no register answers: " + "; ".join(f"{each.centre}: {each.error}" for each in seen.registers),
            hint="nothing is saved where it cannot be told what holds; tricenter epoch show",
        )
    if seen.state.doubtful:
        raise Refused(
            f"epoch {seen.state.doubtful[0].epoch} is in doubt: it cannot be told whether it was decided",
            hint="when all centres answer: tricenter epoch heal",
        )
    return seen.state


def _was_at(state: State, name: str, centre: str) -> bool:
    """Whether a system was active at `centre` once, and is so no longer."""
    if state.active[name].centre == centre:
        return False
    return centre == HOME or any(each.active[name].centre == centre for each in state.decided if name in each.moved)


def _away(program: Program, state: State, name: str, centre: str) -> Away | None:
    tenant, _, system = name.partition("/")
    ref = program.site.system(tenant, system)
    if ref is None:  # it has left the site since it was moved
        return None
    # What moved it away from here: of what came later this centre had no part.
    moves = [each for each in state.decided if name in each.moved and _left(state, name, centre, each.epoch)]
    # A move that was in doubt when others forced theirs is known by its epoch only.
    epoch = moves[-1].epoch if moves else state.place(name).since
    at = next((each.at for each in state.decided if each.epoch >= epoch), None)
    assert at is not None
    return Away(name, centre, _vault(program, ref), epoch, at)


def _left(state: State, name: str, centre: str, epoch: int) -> bool:
    """Whether the record of `epoch` is the one by which a system left `centre`."""
    before = [each.active[name].centre for each in state.decided if name in each.moved and each.epoch < epoch]
    return (before[-1] if before else HOME) == centre


def _vault(program: Program, ref: SystemRef) -> str:
    """Return the nearest centre that keeps copies of the system and answers. Raises Unreachable."""
    silent: list[str] = []
    for centre in copy_centres(ref):
        try:
            program.bucket(centre, ref.tenant.tenant).head(f"{ref.name}/config")
        except TricenterError as error:
            silent.append(f"{centre}: {error}")
        else:
            return centre
    raise Unreachable(f"no vault takes what there is of {ref}: {'; '.join(silent)}", hint="tricenter epoch show")


def _order(away: Away, scratch: Path) -> dict[str, str]:
    return {
        "system": away.system,
        "taken_from": away.taken_from,
        "vault": away.vault,
        "epoch": str(away.epoch),
        "moved_at": away.moved_at.isoformat(),
        "scratch": str(scratch),
    }


def _adopt(program: Program, centre: str) -> Rejoined:
    state, returning = _look(program), look_for(program, centre)
    saved = {each.system: find_taken(program, each) for each in returning.away}
    if unsaved := [name for name, found in saved.items() if found is None]:
        raise Refused(
            f"{', '.join(unsaved)} moved while {centre} rejoined", hint=f"run it again: tricenter rejoin {centre}"
        )
    kept = {name: found for name, found in saved.items() if found is not None}
    fresh = adopt(program.catalogue, state.decided)
    return Rejoined(
        centre,
        state.epoch,
        tuple(each.epoch for each in fresh),
        {name: found.id for name, found in kept.items()},
        tuple(name for name, found in kept.items() if found.summary and found.summary["differs"]),
        {name: found.note or "not compared" for name, found in kept.items() if found.summary is None},
    )


# --- as flows


def _rejoin(run: Run, program: Any, arguments: Mapping[str, str]) -> Rejoined:
    centre = arguments["centre"]
    if centre not in SEATS:
        raise UnknownName("centre", centre, SEATS)
    return rejoin(run, program, centre, _scratch(program, arguments))


def _quarantine(run: Run, program: Any, arguments: Mapping[str, str]) -> Quarantine:
    away = Away(
        arguments["system"],
        arguments["taken_from"],
        arguments["vault"],
        int(arguments["epoch"]),
        datetime.fromisoformat(arguments["moved_at"]),
    )
    return quarantine_system(run, program, program.system(away.system), away, _scratch(program, arguments))


def _scratch(program: Any, arguments: Mapping[str, str]) -> Path:
    return Path(arguments.get("scratch") or program.state / "scratch").absolute()


def _slots(program: Any, arguments: Mapping[str, str]) -> tuple[str, ...]:
    vault, tenant = arguments["vault"], arguments["system"].partition("/")[0]
    return (f"centre:{arguments['taken_from']}", f"centre:{vault}", f"vault:{vault}", f"tenant:{tenant}")


REJOIN = FlowSpec(
    name="rejoin",
    arguments=("centre", "scratch?"),
    subject=lambda arguments: arguments["centre"],
    slots=lambda program, arguments: (f"centre:{arguments['centre']}",),
    run=_rejoin,
)

QUARANTINE_FLOW = FlowSpec(
    name=QUARANTINE,
    arguments=("system", "taken_from", "vault", "epoch", "moved_at", "scratch?"),
    subject=lambda arguments: f"{arguments['system']} {arguments['taken_from']}",
    slots=_slots,
    run=_quarantine,
)
