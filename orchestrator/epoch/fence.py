"""The fence: who writes into a vault must know the epoch of its register.

The vault is what is protected, so its own register must answer, each time: a centre that was cut off and comes back
cannot have missed a failover without being told so by the very vault that it wants to write to. The other registers are
asked as well: a vault that was away with its centre, while the far one went on by force, does not know of it yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from orchestrator.catalogue.epochs import place_of, read_history
from orchestrator.catalogue.store import Catalogue
from orchestrator.epoch.registers import HasRegisters, Registers, consistent
from orchestrator.errors import Refused, TricenterError
from orchestrator.vault.register import Register
from orchestrator.vault.wire import patiently
from policies.epoch import Fact, Fence, Log, Place, Record, check, read
from policies.epoch_protocol import spread

#: How long other centres than that of the vault are waited for.
OTHERS_SECONDS = 2.0


class Program(HasRegisters, Protocol):
    """What a fence needs of the object graph."""

    @property
    def catalogue(self) -> Catalogue: ...


class Fenced(Refused):
    """The vault's register knows of an epoch that this orchestrator does not go by."""


def check_fence(access: Program, system: str, centre: str) -> Place:
    """Return where a system (TENANT/SYSTEM) is active, once the vault of `centre` has nothing against it.

    One request to each register, and one more for what was added to it. Other centres than this one have
    OTHERS_SECONDS to answer. A register that does not know what is known here is brought up to date. Raises Fenced,
    and Unreachable when the vault does not answer.
    """
    local, logs = place_of(access.catalogue, system), _ends(access, centre)
    state = consistent(lambda: read(access.registers, logs))
    fence = check(system, local, state)
    if fence and not fence.decided:
        state = consistent(lambda: read(access.registers, Registers(access.registers).look()))
        fence = check(system, local, state)
    if fence:
        raise _refusal(fence, local, centre)
    if read(access.registers, {centre: logs[centre]}).place(system).since < local.since:
        bring_up_to_date(access, centre)
    return local


def check_unmoved(access: Program, system: str, centre: str, was: Place) -> None:
    """Raise Fenced unless the system is still active where it `was` when the work on it began, and as `check_fence`."""
    now = check_fence(access, system, centre)
    if now != was:
        raise Fenced(
            f"fenced: epoch {now.since} moved {system} from {was.centre} to {now.centre} while this was at work",
            hint="run it again: it then takes what is at the new centre",
        )


def bring_up_to_date(access: Program, centre: str) -> tuple[str, ...]:
    """Write into one register what is known here and not there. Whoever cannot, leaves it to the next one."""
    registers = Registers({centre: access.registers[centre]})
    logs = registers.look()
    known: Log = tuple(_facts(each.record for each in read_history(access.catalogue)))
    return registers.drive(spread(tuple(access.registers), {**logs, "here": known})) if logs else ()


def _facts(records: Iterable[Record]) -> Iterable[Fact]:
    return (Fact(record, record.active) for record in records)


def _ends(access: Program, centre: str) -> dict[str, Log]:
    """Return the ends of the registers that answer. Raises what is wrong when that of `centre` does not."""
    logs = Registers(access.registers).ask(dict.fromkeys(access.registers, Register.read_end), OTHERS_SECONDS)
    return logs if centre in logs else {**logs, centre: _end_of(access.registers[centre])}


@patiently
def _end_of(register: Register) -> Log:
    return register.read_end()


def _refusal(fence: Fence, local: Place, centre: str) -> TricenterError:
    when = f" at {fence.record.at:%Y-%m-%d %H:%M:%SZ}" if fence.record else ""
    known = f"this orchestrator goes by {f'epoch {local.since}' if local.since else 'no epoch'} ({local.centre})"
    if fence.decided:
        return Fenced(
            f"已隔离 fenced: epoch {fence.place.since} made {fence.system} active at {fence.place.centre}{when}; "
            f"{known}",
            hint="tricenter epoch show; if this is the old centre: tricenter rejoin",
        )
    return Fenced(
        f"已隔离 fenced: the vault of {centre} holds a vote for epoch {fence.place.since}, which would make "
        f"{fence.system} active at {fence.place.centre}, and the other centres do not tell whether it was decided; "
        f"{known}",
        hint="tricenter epoch show; when all centres answer: tricenter epoch heal",
    )
