"""Plans: how a system is recovered at a centre, and what proves that it was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from policies.tenant import System, Tenant
from policies.values import LongName, Model, Name, Span, Text, Words

SYSTEM_PATTERN = r"^[a-z0-9-]+/[a-z0-9-]+$"


class ManifestProbe(Model):
    """Every restored file has the size and SHA-256 that the source had at backup time."""

    kind: Literal["manifest"] = "manifest"
    source: Name


class FingerprintProbe(Model):
    """Every restored table has the row count and digest that it had in the dump's own transaction."""

    kind: Literal["fingerprint"] = "fingerprint"
    source: Name


class SqlProbe(Model):
    """A query on the restored database answers what is expected (compared as text)."""

    kind: Literal["sql"]
    source: Name
    query: Words = Field(description="one SELECT that answers one value")
    expect: str = Field(description="the answer as text, in quotes: '0'")


class ImageProbe(Model):
    """The restored volume has the size and SHA-256 of the bytes that were read at backup time."""

    kind: Literal["image"] = "image"
    source: Name


Probe = Annotated[ManifestProbe | FingerprintProbe | SqlProbe | ImageProbe, Field(discriminator="kind")]

#: The probe that every source of a kind gets, whether a plan names it or not.
PROOF_OF_KIND: dict[str, type[ManifestProbe | FingerprintProbe | ImageProbe]] = {
    "path": ManifestProbe,
    "postgresql": FingerprintProbe,
    "volume": ImageProbe,
}


class Plan(Model):
    """How one system is recovered. A system without a plan file gets one with the proofs of its sources."""

    plan: LongName
    system: str = Field(pattern=SYSTEM_PATTERN, description="TENANT/SYSTEM")
    title: Text | None = None
    owner: Words | None = Field(None, description="who answers for this plan")
    deadline: Span | None = Field(None, description="the drill is stopped after this; twice the RTO when not given")
    probes: tuple[Probe, ...] = Field((), description="checked after recovery, beside the proofs of all sources")


def effective_probes(plan: Plan, system: System) -> tuple[Probe, ...]:
    """Return what must hold after recovery: the proof of every source, then the plan's other probes."""
    proofs: list[Probe] = [PROOF_OF_KIND[each.kind](source=name) for name, each in system.sources.items()]
    return (*proofs, *(probe for probe in plan.probes if probe not in proofs))


def default_plans(tenants: Iterable[Tenant], plans: Iterable[Plan]) -> tuple[Plan, ...]:
    """Return a plan named TENANT-SYSTEM, with the proofs of its sources, for every system that `plans` leaves out."""
    planned = {plan.system for plan in plans}
    bare = (
        (Plan(plan=f"{tenant.tenant}-{name}", system=f"{tenant.tenant}/{name}"), system)
        for tenant in tenants
        for name, system in tenant.systems.items()
        if f"{tenant.tenant}/{name}" not in planned
    )
    return tuple(plan.model_copy(update={"probes": effective_probes(plan, system)}) for plan, system in bare)
