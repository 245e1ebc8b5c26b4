"""The flows of this room by name, so that any worker can run them from a row of the catalogue.

Imports of what keeps, proves and heals points stand inside the flows on purpose: a backup, of which there are most and
which a timer may start as a process of its own, does not pay for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from orchestrator.backups.access import Access
from orchestrator.backups.replication import replicate_system
from orchestrator.backups.run import back_up
from orchestrator.engine.port import FlowSpec, Run
from orchestrator.errors import InvalidInput, UnknownName
from policies.bandwidth import Rates
from policies.site import SystemRef
from policies.spot import parse_share
from policies.tenant import KINDS_OF_CLOUD
from policies.work import copy_centres


class Program(Access, Protocol):
    """What these flows need of the object graph."""

    def system(self, name: str) -> SystemRef: ...

    def limited(self) -> Program:
        """The same, whose ways to the vaults keep to their bandwidth."""

    def rates(self) -> Mapping[str, Rates]:
        """The rates of the ways to the vaults now, by centre."""


def _at_its_pace(run: Run, program: Program) -> Program:
    """Return what a run works with: within the bandwidth of the vaults, unless it is part of a recovery.

    The rates that hold as it begins stand in its evidence.
    """
    if program.catalogue.run(run.id).parent:
        return program
    limited = program.limited()
    if limited.rates():
        run.attempt("bandwidth", limited.rates)
    return limited


def _back_up(run: Run, program: Program, arguments: Mapping[str, str]) -> Any:
    program = _at_its_pace(run, program)
    ref, at = program.system(arguments["system"]), arguments.get("at")
    if at is not None and at not in copy_centres(ref):
        raise UnknownName(f"centre that keeps copies of {ref}", at, copy_centres(ref))
    return back_up(run, program, ref, at=at, sealed_by=arguments.get("sealed"))


def _backup_slots(program: Program, arguments: Mapping[str, str]) -> tuple[str, ...]:
    ref = program.system(arguments["system"])
    near = arguments.get("at") or copy_centres(ref)[0]
    clouds = ("cloud:production",) if any(s.kind in KINDS_OF_CLOUD for s in ref.system.sources.values()) else ()
    # The source is read at the production centre.
    return ("centre:production", f"centre:{near}", f"vault:{near}", f"tenant:{ref.tenant.tenant}", *clouds)


def _replicate(run: Run, program: Program, arguments: Mapping[str, str]) -> Any:
    ref = program.system(arguments["system"])
    return replicate_system(run, _at_its_pace(run, program), ref, arguments["source"], arguments["target"])


def _replicate_slots(program: Program, arguments: Mapping[str, str]) -> tuple[str, ...]:
    source, target = arguments["source"], arguments["target"]
    tenant = program.system(arguments["system"]).tenant.tenant
    return (f"centre:{source}", f"centre:{target}", f"vault:{source}", f"vault:{target}", f"tenant:{tenant}")


def _verify(run: Run, program: Program, arguments: Mapping[str, str]) -> Any:
    from orchestrator.backups.verify import DEPTHS, verify_system

    ref, depth = program.system(arguments["system"]), arguments["depth"]
    if depth not in DEPTHS:
        raise UnknownName("depth of verification", depth, DEPTHS)
    everything, paced = _is_yes(arguments, "everything"), _at_its_pace(run, program)
    return verify_system(run, paced, ref, arguments["centre"], depth, everything=everything)


def _expire(run: Run, program: Program, arguments: Mapping[str, str]) -> Any:
    from orchestrator.backups.retention import expire_system

    ref = program.system(arguments["system"])
    return expire_system(run, program, ref, arguments["centre"], force=_is_yes(arguments, "force"))


def _lock(run: Run, program: Program, arguments: Mapping[str, str]) -> Any:
    from orchestrator.backups.locking import lock_system

    return lock_system(run, program, program.system(arguments["system"]), arguments["centre"])


def _spot_check(run: Run, program: Program, arguments: Mapping[str, str]) -> Any:
    from orchestrator.backups.spot import spot_check

    sample = arguments.get("sample")
    try:
        share = None if sample is None else parse_share(sample)
    except ValueError as error:
        raise InvalidInput(f"sample: {error}") from error
    return spot_check(run, _at_its_pace(run, program), program.system(arguments["system"]), sample=share)


def _spot_check_slots(program: Program, arguments: Mapping[str, str]) -> tuple[str, ...]:
    # Only the sources are read, and of a vault one small document.
    return ("centre:production", f"tenant:{program.system(arguments['system']).tenant.tenant}")


def _heal(run: Run, program: Program, arguments: Mapping[str, str]) -> Any:
    from orchestrator.backups.healing import heal_system

    return heal_system(run, _at_its_pace(run, program), program.system(arguments["system"]), arguments["centre"])


def _slots_at(program: Program, arguments: Mapping[str, str]) -> tuple[str, ...]:
    tenant, centre = program.system(arguments["system"]).tenant.tenant, arguments["centre"]
    return (f"centre:{centre}", f"vault:{centre}", f"tenant:{tenant}")


def _is_yes(arguments: Mapping[str, str], name: str) -> bool:
    value = arguments.get(name, "no")
    if value not in ("yes", "no"):
        raise InvalidInput(f"{name}: want yes or no, got {value!r}")
    return value == "yes"


BACKUP = FlowSpec(
    name="backup",
    arguments=("system", "at?", "sealed?"),
    subject=lambda arguments: arguments["system"],
    slots=_backup_slots,
    run=_back_up,
)

REPLICATE = FlowSpec(
    name="replicate",
    arguments=("system", "source", "target"),
    subject=lambda arguments: f"{arguments['system']} {arguments['source']}>{arguments['target']}",
    slots=_replicate_slots,
    run=_replicate,
)

VERIFY = FlowSpec(
    name="verify",
    arguments=("system", "centre", "depth", "everything?"),
    subject=lambda arguments: f"{arguments['system']}@{arguments['centre']} {arguments['depth']}",
    slots=_slots_at,
    run=_verify,
)

SPOT_CHECK = FlowSpec(
    name="spot-check",
    arguments=("system", "sample?"),
    subject=lambda arguments: arguments["system"],
    slots=_spot_check_slots,
    run=_spot_check,
)

RETENTION = FlowSpec(
    name="retention",
    arguments=("system", "centre", "force?"),
    subject=lambda arguments: f"{arguments['system']}@{arguments['centre']}",
    slots=_slots_at,
    run=_expire,
)

LOCK = FlowSpec(
    name="lock",
    arguments=("system", "centre"),
    subject=lambda arguments: f"{arguments['system']}@{arguments['centre']}",
    slots=_slots_at,
    run=_lock,
)

HEAL = FlowSpec(
    name="heal",
    arguments=("system", "centre"),
    subject=lambda arguments: f"{arguments['system']}@{arguments['centre']}",
    slots=_slots_at,
    run=_heal,
)
