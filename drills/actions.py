"""What takes back a recovery, by the names that runs register: another process may do it. Each may be repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from drills import activation, promotion
from drills.grounds import standby
from drills.name_switch import undo_name
from orchestrator.backups.seal import unseal
from orchestrator.cloud import sweep

if TYPE_CHECKING:
    from drills.flows import Program


def _delete_bubble(program: Program, centre: str, tenant: str, drill: str, heir: str | None = None) -> None:
    if promotion.heir_of(program, drill) not in (None, heir):
        return  # what a failover has taken over is not the sandbox's to delete any more
    sweep.delete_bubble(program.tenant_cloud(centre, tenant), drill)


def _undo_recovery(program: Program, run: str, system: str, centre: str) -> None:
    standby.undo_recovery(program, run, program.system(system), centre)


def _unseal(program: Program, place: str, run: str) -> None:
    if not activation.is_committed(program, run):
        unseal(program, place, run)


ACTIONS: dict[str, Callable[..., None]] = {
    "delete-bubble": _delete_bubble,
    "undo-recovery": _undo_recovery,
    "settle-parts": activation.settle_parts,
    "undo-name": undo_name,
    "unseal": _unseal,
    "return-epoch": activation.return_epoch,
}
