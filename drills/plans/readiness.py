"""Is a plan ready? Everything that a run of it would need is looked at, side by side, and nothing is run or changed.

A look takes seconds, also when the centre is dead: whether its vault and its cloud answer at all is asked first, and
what lies behind one that does not is not waited for.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

from drills.key_access import judge_escrow
from drills.kinds import SHAPES, Shape
from drills.plans import cloud_checks, data_checks
from drills.plans.control_checks import Program as Control
from drills.plans.control_checks import control_checks
from drills.plans.looking import GATE_SECONDS, ITEM_SECONDS, Answer, Check, look_at
from drills.plans.turns import expected_turns
from orchestrator.catalogue.keys import read_keys
from orchestrator.catalogue.plans import PlanAt, read_plans
from orchestrator.catalogue.records import Point
from orchestrator.errors import InvalidInput
from policies.plan import Kind, Plan
from policies.plan_state import PlanState, plan_cadence
from policies.readiness import Readiness
from policies.site import Site, SystemRef
from policies.tiers import CentreName
from policies.values import format_duration
from policies.work import plan_centres, plan_systems

#: How many people a run needs that one declares and another approves.
TWO = 2
VAULT, CLOUD = "vault", "cloud"


class Program(cloud_checks.Program, data_checks.Program, Control, Protocol):
    """What is needed of the object graph."""

    @property
    def site(self) -> Site: ...

    @property
    def state(self) -> Path: ...


def usual_kind(site: Site, plan: Plan) -> Kind:
    """Return the kind that a look is for when nobody says: a failover where people are on duty, else the tier's."""
    return "failover" if plan.duty else plan_cadence(site, plan).kind


def check_plan(program: Program, plan: Plan, centre: CentreName, kind: Kind, now: datetime) -> Readiness:
    """Look at all that a run of the plan would need. Raises InvalidInput where the plan can never be run there."""
    if centre not in plan_centres(program.site, plan):
        where = ", ".join(plan_centres(program.site, plan)) or "no centre"
        raise InvalidInput(
            f"plan {plan.plan} cannot be recovered at {centre}: not all of its systems keep copies there",
            hint=f"it can be at {where}",
        )
    begin = time.monotonic()
    looker = _Looker(program, plan, centre, SHAPES[kind], now)
    items = look_at(looker.gates(), list(looker.checks()))
    return Readiness(plan.plan, centre, kind, tuple(items), time.monotonic() - begin)


class _Looker:
    """What is to be looked at for one plan, centre and kind."""

    def __init__(self, program: Program, plan: Plan, centre: CentreName, shape: Shape, now: datetime) -> None:
        self.program, self.plan, self.centre, self.shape, self.now = program, plan, centre, shape, now
        self.refs = list(plan_systems(program.site, plan))
        self.points = {str(ref): point for ref in self.refs if (point := self._newest(ref))}

    def gates(self) -> dict[str, Check]:
        gates = {VAULT: data_checks.vault_gate(self.program, self.centre)}
        if self._uses_cloud and self.centre in self.program.site.clouds():
            gates[CLOUD] = cloud_checks.cloud_gate(self.program, self.centre, GATE_SECONDS - 1)
        return gates

    def checks(self) -> Iterator[Check]:
        yield Check("state", self.plan.plan, self._state)
        yield Check("order", self.plan.plan, self._order)
        if self.program.site.escrow is not None:
            yield Check("escrow", self.centre, self._escrow)
        if self.shape.approved:
            yield Check("people", self.plan.plan, self._people)
        if self.shape.activates:
            yield from control_checks(self.program, self.plan)
        for ref in self.refs:
            yield from data_checks.data_checks(self.program, self.centre, ref, VAULT, self.now)
            yield from data_checks.step_checks(self.program, self.plan, ref)
            if self.shape.target == "standby":
                yield from data_checks.place_checks(self.program, self.centre, ref, self.points.get(str(ref)))
        if self.shape.target in ("scratch", "bubble"):
            yield data_checks.scratch_check(self.program.state / "scratch", self.points)
        if self._uses_cloud:
            yield from self._cloud()

    @property
    def _uses_cloud(self) -> bool:
        return self.shape.servers and any(ref.system.servers for ref in self.refs)

    def _newest(self, ref: SystemRef) -> Point | None:
        landed = self.program.catalogue.points_at(self.centre, ref.tenant.tenant, ref.name)
        return next((each.point for each in landed if each.good), None)

    def _cloud(self) -> Iterator[Check]:
        if self.centre not in self.program.site.clouds():
            yield Check("cloud", self.centre, self._no_cloud)
            return
        tenants: defaultdict[str, list[tuple[SystemRef, Point | None]]] = defaultdict(list)
        for ref in self.refs:
            tenants[ref.tenant.tenant].append((ref, self.points.get(str(ref))))
        for tenant, systems in tenants.items():
            of = cloud_checks.OfTenant(tenant, tuple(systems))
            yield from cloud_checks.cloud_checks(self.program, self.centre, of, CLOUD, ITEM_SECONDS)

    def _no_cloud(self) -> Answer:
        zh, en = "该中心没有云，而系统有云主机", "the plan has servers, and the centre has no cloud"
        return Answer("fail", zh, en, "recover it at a centre with a cloud, or hold a restore drill there")

    def _state(self) -> Answer:
        found = next(each for each in self._standings() if each.centre == self.centre)
        hint = f"tricenter drill run {self.plan.plan} --centre {self.centre}"
        zh, en = found.standing.reason.zh, found.standing.reason.en
        if found.standing.state is PlanState.FAILED:
            return Answer("fail", zh, en, f"see what it found, mend it, then {hint}")
        if found.standing.state is PlanState.NEEDS_VERIFY:
            return Answer("warn", zh, en, hint)
        return (
            Answer("warn", f"{zh}，未达目标", f"{en}, which missed an objective", hint)
            if found.standing.missed
            else (Answer("ok", zh, en))
        )

    def _standings(self) -> tuple[PlanAt, ...]:
        only = self.program.site.model_copy(update={"plans": {self.plan.plan: self.plan}})
        return read_plans(only, self.program.catalogue, self.now)

    def _order(self) -> Answer:
        """Whether every system is expected back within its RTO when all are recovered under the limits."""
        waves = expected_turns(self.program.site, self.program.catalogue, self.plan, self.centre, self.now)
        rto = {str(ref): ref.copies[self.centre].rto.total_seconds() for ref in self.refs}
        late = [turn.name for turn in waves.turns if turn.end > rto[turn.name]]
        told = f"{format_duration(waves.makespan)} / {format_duration(waves.bound)}"
        if late:
            zh, en = f"预计超出 RTO：{', '.join(late)}", f"expected back after their RTO: {', '.join(late)}"
            return Answer("warn", zh, en, "raise the limits of the centre, or begin what is urgent earlier")
        if waves.guesses:
            zh = f"预计 {told}（从未实测的系统：{waves.guesses}）"
            return Answer("ok", zh, f"expected in {told} (systems never measured: {waves.guesses})")
        return Answer("ok", f"预计全部恢复 {told}（下限）", f"all expected back in {told} (the least possible)")

    def _escrow(self) -> Answer:
        """Whether custodians have shown, not too long ago, that they can open what the centre has."""
        rule = self.program.site.escrow
        assert rule is not None
        return judge_escrow(rule, read_keys(self.program.catalogue), self.centre, self.now)

    def _people(self) -> Answer:
        people = sorted(set(self.plan.duty))
        if len(people) < TWO:
            zh, en = f"值班人员 {len(people)} 人，需要两人", f"{len(people)} on duty, and two are needed"
            return Answer("fail", zh, en, "name them in the plan's `duty`: who declares may not approve")
        return Answer("ok", f"值班：{', '.join(people)}", f"on duty: {', '.join(people)}")
