"""The flows of tenants by name, so that any worker can run them from a row of the catalogue.

Nothing is replayed here: what is there is looked at anew whenever a run begins or is resumed, and what is left is done.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from orchestrator.catalogue import leases
from orchestrator.catalogue.lives import not_applied
from orchestrator.engine.port import FlowSpec, Run
from orchestrator.errors import CheckFailed, InvalidInput, Refused, UnknownName
from orchestrator.tenants.applying import (
    FLOW,
    Connections,
    Outcome,
    carry_out_all,
    slots_of,
    subject_of,
)
from orchestrator.tenants.desired import CENTRES, Desired, all_desired
from orchestrator.tenants.drift_run import LEASE, Town, look_for_drift
from orchestrator.tenants.life import refuse_unless_applied
from orchestrator.tenants.looking import Look, look
from orchestrator.tenants.planning import Approval, conflicts
from orchestrator.tenants.quota_use import see_uses
from policies.tiers import CentreName

APPROVAL = "approve"
APPROVAL_SECONDS = 48 * 3600.0


def _apply(run: Run, program: Town, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Make one tenant at one centre what the site says. A person approves the plan, unless it came approved.

    Nothing is destroyed without `allow_destroy`; with it, only what the approved plan has named.
    """
    wanted = _wanted(program, arguments["tenant"], arguments["centre"])
    allow_destroy = arguments.get("allow_destroy") == "yes"
    found = _look(program, wanted, allow_destroy)
    planned = run.step("plan", Approval.of, found.actions)
    if conflicts(found.actions):
        raise Refused(
            f"{found.target}: {len(conflicts(found.actions))} conflict(s), nothing written",
            hint=f"tricenter tenant plan {found.target.tenant} shows them; what others created is never touched",
        )
    if planned.shown and arguments.get("approved") != "yes" and run.wait(APPROVAL, APPROVAL_SECONDS) is None:
        raise Refused("nobody approved the plan in time", hint="start it again when somebody can look at it")
    with leases.hold(program.catalogue, LEASE, run.id, exclusive=False):
        refuse_unless_applied([wanted.target.tenant], not_applied(program.catalogue))
        return _carry_out(run, program, wanted, planned, allow_destroy)


def _carry_out(run: Run, program: Town, wanted: Desired, approved: Approval, allow_destroy: bool) -> dict[str, Any]:
    found = _look(program, wanted, allow_destroy)
    if surplus := [str(each) for each in found.actions if not approved.covers(each)]:
        raise Refused(
            f"{found.target} has changed since its plan was made: {'; '.join(surplus[:3])}",
            hint="start it again: the new plan wants a new approval",
        )
    outcome = Outcome(found.target, found.actions, found.unchanged)
    connections = Connections(program)
    try:
        carry_out_all(run, program, connections, found, outcome, threading.Event(), lambda action: None)
    finally:
        connections.close()
    left = run.attempt("look-again", lambda: [str(each) for each in _look(program, wanted, allow_destroy).actions])
    target = found.target
    program.catalogue.record_tenant(target.tenant, target.centre, writes=outcome.writes, pending=len(left))
    if left:
        raise CheckFailed(f"{target} still differs after the apply: {left[0]}", hint="tricenter tenant plan shows it")
    told = {"left": [str(each) for each in found.left]} if found.left else {}
    return {"done": [str(each) for each in outcome.done], "unchanged": found.unchanged, **told}


def _drift(run: Run, program: Town, arguments: Mapping[str, str]) -> dict[str, int]:
    """Note what differs from the site at one centre, and make again what policy lets be healed. Destroys nothing.

    Before that it is seen how full the quotas are: what cannot be healed must not keep that from being told.
    """
    centre = _centre(arguments["centre"])
    see_uses(run, program, centre)
    return look_for_drift(run, program, centre)


def _wanted(program: Town, tenant: str, centre: str) -> Desired:
    if tenant not in program.site.tenants:
        raise UnknownName("tenant", tenant, program.site.tenants)
    wanted = all_desired(program.site, [tenant], _centre(centre))
    if not wanted:
        raise InvalidInput(f"{tenant} wants nothing at {centre}", hint="a centre without cloud and vault holds nothing")
    return wanted[0]


def _centre(name: str) -> CentreName:
    if name not in CENTRES:
        raise UnknownName("centre", name, CENTRES)
    return name


def _look(program: Town, wanted: Desired, allow_destroy: bool = False) -> Look:
    looks = look(program, [wanted], allow_destroy=allow_destroy)
    for error in looks.unreachable.values():
        raise error
    return looks.found[0]


def _drift_slots(program: Town, arguments: Mapping[str, str]) -> tuple[str, ...]:
    centre = arguments["centre"]
    return (f"centre:{centre}", *((f"cloud:{centre}",) if centre in program.site.clouds() else ()))


TENANT_APPLY = FlowSpec(
    name=FLOW,
    arguments=("tenant", "centre", "approved?", "allow_destroy?"),
    subject=subject_of,
    slots=slots_of,
    run=_apply,
)

TENANT_DRIFT = FlowSpec(
    name="tenant-drift",
    arguments=("centre",),
    subject=lambda arguments: arguments["centre"],
    slots=_drift_slots,
    run=_drift,
)
