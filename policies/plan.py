"""Plans: how systems are recovered at a centre, in which order and steps, and what proves that they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from policies.findings import did_you_mean
from policies.graph import circle
from policies.probe import PROOF_OF_KIND, Probe, Reconciliation
from policies.tenant import Cidr, System, Tenant
from policies.values import LongName, Misfit, MisfitError, Model, Name, Span, Text, Whole, Words

SYSTEM_PATTERN = r"^[a-z0-9-]+/[a-z0-9-]+$"
SystemName = Annotated[str, Field(pattern=SYSTEM_PATTERN, description="TENANT/SYSTEM")]

#: What a run of a plan may be. One code path serves them all; `drills.kinds` says where they differ.
Kind = Literal["tabletop", "restore", "sandbox", "switchover", "failover", "failback"]

StepKind = Literal["restore", "network", "servers", "start", "probe", "switch", "script", "prompt"]

#: The order in which the steps that Tricenter does itself must stand. Scripts and prompts may stand anywhere.
OWN_STEPS: tuple[StepKind, ...] = ("restore", "network", "servers", "start", "probe", "switch")


class Step(Model):
    """One step in the recovery of a system. `script` and `prompt` are call-outs at their position in the list."""

    do: StepKind
    name: Name | None = Field(None, description="names a script or a prompt; unique within the system")
    command: tuple[Words, ...] = Field((), description="of a script: program and arguments; no shell")
    say: Text | None = Field(None, description="of a prompt: what a person is asked to do and to confirm")
    timeout: Span | None = Field(
        None, description="the step is stopped after this; the drill's deadline when not given"
    )
    retries: Whole = Field(0, ge=0, le=9, description="tried again so many times when it fails")
    owner: Words | None = Field(None, description="who answers for the step; the plan's owner when not given")
    on_failure: Literal["halt", "continue"] = Field("halt", description="what a failure does to the plan")
    kinds: tuple[Kind, ...] = Field((), description="only in these kinds; in all that recover when not given")

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        misfits = []
        for key, of, given in (("command", "script", bool(self.command)), ("say", "prompt", self.say is not None)):
            if given is not (self.do == of):
                got, want = (
                    (f"a {self.do} with {key}", f"none: {key} is for a {of}") if given else ("nothing", f"a {key}")
                )
                misfits.append(Misfit((key,), got, want))
        if (self.name is None) is (self.do in ("script", "prompt")):
            want = "a name" if self.name is None else "none: only scripts and prompts have names"
            misfits.append(Misfit(("name",), self.name or "nothing", want))
        if misfits:
            raise MisfitError(misfits)
        return self

    @property
    def label(self) -> str:
        """What the step is called in a run: `restore`, `script-warm-cache`."""
        return f"{self.do}-{self.name}" if self.name else self.do


class Recovery(Model):
    """How one system of a plan comes back."""

    after: tuple[SystemName, ...] = Field((), description="systems of this plan that must have been recovered before")
    group: Name | None = Field(None, description="one of the plan's groups; a group begins when the one before ended")
    steps: tuple[Step, ...] = Field((), description="in their order; what the system needs when not given")
    probes: tuple[Probe, ...] = Field((), description="checked after recovery, beside the proofs of all sources")

    @model_validator(mode="after")
    def _steps_in_order(self) -> Self:
        own = [each.do for each in self.steps if each.do in OWN_STEPS]
        labels = [each.label for each in self.steps]
        misfits = []
        if own != sorted(own, key=OWN_STEPS.index) or len(set(own)) != len(own):
            misfits.append(
                Misfit(("steps",), ", ".join(own), f"each once at most, in this order: {', '.join(OWN_STEPS)}")
            )
        if self.steps and not {"restore", "probe"} <= set(own):
            misfits.append(Misfit(("steps",), ", ".join(own) or "none", "restore and probe among the steps"))
        if len(set(labels)) != len(labels):
            misfits.append(Misfit(("steps",), "two call-outs of one name", "names that differ"))
        if misfits:
            raise MisfitError(misfits)
        return self


class Elsewhere(Model):
    """A network's addresses at the other centres. Hosts keep their place in it; not given: the same network."""

    same_city: Cidr | None = Field(None, alias="same-city")
    provincial: Cidr | None = None


class NameSwitch(Model):
    """A name in the DNS that points to where the system is active."""

    system: SystemName
    server: Name | None = Field(None, description="a server of the system, whose address the name gets")
    addresses: dict[Literal["production", "same-city", "provincial"], IPv4Address] = Field(
        default_factory=dict, description="the address at each centre, when it is not a server's"
    )
    ttl: Span | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.server is None) is (not self.addresses):
            raise MisfitError([Misfit(("server",), "both or neither", "a server, or addresses")])
        return self


class Plan(Model):
    """How one or several systems are recovered. A system in no plan file gets a plan with the proofs of its sources."""

    plan: LongName
    title: Text | None = None
    owner: Words | None = Field(None, description="who answers for this plan")
    duty: tuple[Words, ...] = Field((), description="login names of the people on duty, who may declare and approve")
    deadline: Span | None = Field(None, description="the drill is stopped after this; twice the RTO when not given")
    systems: dict[SystemName, Recovery] = Field(min_length=1, description="what is recovered, by TENANT/SYSTEM")
    groups: tuple[Name, ...] = Field((), description="groups of systems in the order of their recovery")
    reconcile: tuple[Reconciliation, ...] = Field((), description="what must agree between systems after recovery")
    networks: dict[str, Elsewhere] = Field(default_factory=dict, description="addresses elsewhere, by TENANT/NETWORK")
    names: dict[str, NameSwitch] = Field(default_factory=dict, description="names in the DNS that are switched")
    undo_window: Span | None = Field(None, description="a switch may be undone for so long; it is committed then")

    @model_validator(mode="after")
    def _order_makes_sense(self) -> Self:
        misfits = []
        for name, recovery in self.systems.items():
            for other in recovery.after:
                if other not in self.systems:
                    hint = did_you_mean(other, self.systems)
                    misfits.append(Misfit(("systems", name, "after"), other, "a system of this plan", hint))
            if recovery.group is not None and recovery.group not in self.groups:
                hint = did_you_mean(recovery.group, self.groups)
                misfits.append(Misfit(("systems", name, "group"), recovery.group, "one of the plan's groups", hint))
        if not misfits and (found := circle(before(self))):
            misfits.append(Misfit(("systems",), " → ".join(found), "an order without a circle"))
        if misfits:
            raise MisfitError(misfits)
        return self


def before(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return what must have been recovered before each system: what it is `after`, and every earlier group. Pure."""
    rank = {group: place for place, group in enumerate(plan.groups)}
    found = {}
    for name, recovery in plan.systems.items():
        earlier = [
            other
            for other, its in plan.systems.items()
            if recovery.group and its.group and rank.get(its.group, 0) < rank.get(recovery.group, 0)
        ]
        found[name] = tuple(dict.fromkeys((*recovery.after, *earlier)))
    return found


def effective_probes(plan: Plan, system_name: str, system: System) -> tuple[Probe, ...]:
    """Return what must hold after recovery: the proof of every source, then the plan's other probes."""
    proofs: list[Probe] = [PROOF_OF_KIND[each.kind](source=name) for name, each in system.sources.items()]
    return (*proofs, *(probe for probe in plan.systems[system_name].probes if probe not in proofs))


def effective_steps(plan: Plan, system_name: str, system: System) -> tuple[Step, ...]:
    """Return the steps that recover a system: the plan's, or what the system needs when the plan names none. Pure."""
    return plan.systems[system_name].steps or tuple(_needed(plan, system_name, system))


def _needed(plan: Plan, system_name: str, system: System) -> Iterator[Step]:
    yield Step(do="restore")
    if system.servers:
        yield from (Step(do="network"), Step(do="servers"), Step(do="start"))
    yield Step(do="probe")
    if any(each.system == system_name for each in plan.names.values()):
        yield Step(do="switch")


def default_plans(tenants: Iterable[Tenant], plans: Iterable[Plan]) -> tuple[Plan, ...]:
    """Return a plan named TENANT-SYSTEM, with the proofs of its sources, for every system that `plans` leaves out."""
    planned = {system for plan in plans for system in plan.systems}
    return tuple(
        Plan(plan=f"{tenant.tenant}-{name}", systems={f"{tenant.tenant}/{name}": Recovery()})
        for tenant in tenants
        for name in tenant.systems
        if f"{tenant.tenant}/{name}" not in planned
    )
