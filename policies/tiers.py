"""Tiers: what the city promises for a class of systems, centre by centre."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from policies.values import Duration, Model, Name, Text

CentreName = Literal["production", "same-city", "provincial"]


class Retention(Model):
    """How long recovery points stay at one centre. A far centre keeps at least what the nearer one keeps."""

    keep_within: Duration
    lock: Duration = Field(description="object lock (compliance mode) from upload; the vault refuses deletion until then")


class CopyRule(Model):
    """What a tier demands of one centre: the objectives there, and how long its points are kept."""

    rpo: Duration
    rto: Duration
    retention: Retention


class DrillRule(Model):
    """How often a plan of this tier must have been drilled."""

    every: Duration


class Tier(Model):
    """A class of protection: how often systems are backed up, and each centre's objectives."""

    tier: Name
    title: Text
    backup_every: Duration
    copies: dict[CentreName, CopyRule]
    drill: DrillRule
    gbt20988_level: int = Field(ge=1, le=6, description="the GB/T 20988 level aimed at; reaching it takes all seven elements")

    @model_validator(mode="after")
    def _objectives_can_be_met(self) -> Self:
        if not self.copies:
            raise ValueError("a tier needs a copy at one centre at least")
        if "production" in self.copies:
            raise ValueError("a copy beside the original protects nothing: same-city or provincial")
        for centre, copy in self.copies.items():
            if self.backup_every > copy.rpo:
                raise ValueError(f"backup_every is longer than the RPO at {centre}, which could then never be met")
        near, far = self.copies.get("same-city"), self.copies.get("provincial")
        if near and far and far.retention.keep_within < near.retention.keep_within:
            raise ValueError("the provincial centre must keep points at least as long as the same-city centre")
        return self
