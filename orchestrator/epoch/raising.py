"""Raising the epoch: systems become active at another centre, by two of the three centres or by recorded force."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Protocol

from orchestrator.catalogue.epochs import adopt, read_history
from orchestrator.catalogue.store import Catalogue
from orchestrator.epoch.registers import HasRegisters, Registers, consistent
from orchestrator.errors import InvalidInput, Refused, TricenterError, Unreachable
from orchestrator.vault.register import Register
from orchestrator.vault.s3 import VaultAdmin
from policies.epoch import NEVER_MOVED, QUORUM, SEATS, Record, join, read
from policies.epoch_protocol import Ask, Doubtful, Lost, Moved, TooFew, Verdict, Won
from policies.epoch_protocol import raise_epoch as protocol
from policies.site import Site

#: Whoever lost a ballot to another waits for so long at most before the next one: else both lose again.
AGAIN_SECONDS = 1.5
BALLOTS = 3


class Program(HasRegisters, Protocol):
    """What raising needs of the object graph."""

    @property
    def site(self) -> Site: ...

    @property
    def catalogue(self) -> Catalogue: ...

    def vault_admin(self, centre: str) -> VaultAdmin: ...


@dataclass(frozen=True, slots=True)
class EpochRaised:
    """The epoch that was raised. `held` are the centres whose registers hold it, `silent` why others do not.

    `forced` is the reason of an override, "" when two centres consented.
    """

    epoch: int
    digest: str
    systems: dict[str, str]
    forced: str
    declared_by: str
    approved_by: str
    at: datetime
    run: str
    held: tuple[str, ...]
    silent: dict[str, str]
    seconds: float


def raise_epoch(
    app: Program,
    systems: Mapping[str, str],
    *,
    declared_by: str,
    approved_by: str,
    run: str,
    forced: str | None = None,
    expected: int | None = None,
) -> EpochRaised:
    """Make each of `systems` (TENANT/SYSTEM) active at its centre, under a new epoch, and go by it here.

    `expected` is the epoch that held when this was approved. `forced` is the reason for which it shall be done even
    when too few centres answer: declarer and approver attest that the others are down. It is used only then. May be
    repeated with the same `run`, which finds what it raised. A centre that does not answer costs some seconds.

    Raises Refused when too few centres answer, the epoch is another one than expected, or others raise it at this
    moment; Unreachable when it is not known how it ended: repeat it then.
    """
    _check(systems, forced)
    began, registers = time.monotonic(), Registers(app.registers)
    establish(app, registers)
    verdict: Verdict = Lost(known=True)
    for ballot in range(BALLOTS):
        if ballot:
            time.sleep(random.uniform(0.1, AGAIN_SECONDS))  # noqa: S311 - spreads, and keeps no secret
        ask = Ask(
            proposal=f"{run}.{token_hex(4)}",
            moves=dict(systems),
            forced=forced or "",
            declared_by=declared_by,
            approved_by=approved_by,
            at=datetime.now(UTC),
            run=run,
            expected=expected,
        )
        verdict = _hold(registers, ask)
        if not isinstance(verdict, Lost):
            break
    if not isinstance(verdict, Won):
        raise _explain(verdict, registers)
    adopt(app.catalogue, verdict.state.decided)
    record = verdict.record
    return EpochRaised(
        epoch=record.epoch,
        digest=record.digest,
        systems={name: record.active[name].centre for name in record.moved},
        forced=record.forced,
        declared_by=record.declared_by,
        approved_by=record.approved_by,
        at=record.at,
        run=record.run,
        held=verdict.held,
        silent={name: str(error) for name, error in registers.silent.items()},
        seconds=round(time.monotonic() - began, 3),
    )


def raised_by(app: Program, run: str) -> Record | None:
    """Return the record by which a run moved systems, or may have; None when it did not, or they were moved on since.

    Raises Unreachable when the registers that answer do not tell.
    """
    registers = Registers(app.registers)
    state = consistent(lambda: read(registers.members, registers.look()))
    here = [each.record for each in read_history(app.catalogue)]
    places = join(state.active, *(each.active for each in here))
    record = next((each for each in (*state.decided, *here, *state.doubtful) if each.run == run), None)
    if record is None and registers.silent:
        raise Unreachable(
            f"it is not known whether run {run} raised the epoch: {_silence(registers)}",
            hint="tricenter epoch show tells once the centres answer",
        )
    moved_on = record and any(places.get(each, NEVER_MOVED).since > record.epoch for each in record.moved)
    return None if moved_on else record


def _hold(registers: Registers, ask: Ask) -> Verdict:
    return consistent(lambda: registers.drive(protocol(registers.members, ask)))


def establish(app: Program, registers: Registers) -> tuple[str, ...]:
    """Make the registers that are not there yet, and try out their stores; return those made. May be repeated.

    One that cannot be made, or whose store cannot keep a register, is silent from then on.
    """
    there = registers.ask(dict.fromkeys(registers.members, Register.established))
    missing = [name for name, is_there in there.items() if not is_there]
    return tuple(registers.ask({name: lambda each: _make(app, each) for name in missing}))


def _make(app: Program, register: Register) -> None:
    admin = app.vault_admin(register.centre)
    admin.ensure_bucket(register.bucket, lock_days=_lock_days(app.site, register.centre))
    register.try_out()


def _lock_days(site: Site, centre: str) -> int:
    """Return for how long entries are locked: as long as any recovery point at the centre is."""
    rules = [copy for tier in site.tiers.values() for name, copy in tier.copies.items() if name == centre]
    return max((each.retention.lock.days for each in rules), default=0)


def _check(systems: Mapping[str, str], forced: str | None) -> None:
    if not systems:
        raise InvalidInput("no system is to be moved", hint="name the systems and the centre of each")
    for name, centre in systems.items():
        if centre not in SEATS:
            raise InvalidInput(f"{name}: {centre!r} is no centre", hint=f"one of {', '.join(SEATS)}")
    if forced is not None and not forced.strip():
        raise InvalidInput("an override needs its reason", hint="say which centres are down, and how that is known")


def _explain(verdict: Verdict, registers: Registers) -> TricenterError:
    silent = _silence(registers)
    force = "are the others down? two people may attest that: force it, with the reason"
    match verdict:
        case TooFew(answered):
            told = f"{len(answered)} of the {QUORUM} centres answer that it needs ({', '.join(answered) or 'none'})"
            return Refused(f"the epoch was not raised: {told}; {silent or 'no other centre has a vault'}", hint=force)
        case Doubtful(record):
            told = f"epoch {record.epoch} of run {record.run} may have been decided, and cannot be told: {silent}"
            return Refused(f"the epoch was not raised: {told}", hint=force)
        case Moved(state):
            return Refused(
                f"the epoch was not raised: it is {state.epoch} now, and another one than what was approved",
                hint="tricenter epoch show; plan and ask again: an approval is good for the epoch it was given at",
            )
        case Lost(known=True):
            return Refused("the epoch was not raised: others raise it at this moment", hint="tricenter epoch show")
    return Unreachable(
        f"it is not known whether the epoch was raised: {silent}",
        hint="tricenter epoch show tells once the centres answer; the same run may be repeated",
    )


def _silence(registers: Registers) -> str:
    return "; ".join(f"{name}: {error}" for name, error in sorted(registers.silent.items()))
