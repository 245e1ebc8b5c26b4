"""Plans: how a system is recovered at a centre, and what proves that it was."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from policies.values import Duration, Model, Name, Text


class ManifestProbe(Model):
    """Every restored file has the size and SHA-256 that the source had at backup time."""

    kind: Literal["manifest"]
    source: Name


class FingerprintProbe(Model):
    """Every restored table has the row count and digest that it had in the dump's own transaction."""

    kind: Literal["fingerprint"]
    source: Name


class SqlProbe(Model):
    """A query on the restored database answers what is expected (compared as text)."""

    kind: Literal["sql"]
    source: Name
    query: str
    expect: str


class ImageProbe(Model):
    """The restored volume has the size and SHA-256 of the bytes that were read at backup time."""

    kind: Literal["image"]
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

    plan: Name
    system: str = Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$", description="TENANT/SYSTEM")
    title: Text | None = None
    owner: str | None = Field(None, description="who answers for this plan")
    deadline: Duration | None = Field(None, description="the drill is stopped after this; twice the RTO when not given")
    probes: tuple[Probe, ...] = ()
