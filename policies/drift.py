"""What becomes of what people change by hand: reported, or made again as the site says."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from policies.values import Misfit, MisfitError, Model

#: The things of a tenant, as a site names them.
DriftNoun = Literal[
    "domain",
    "project",
    "group",
    "user",
    "role",
    "membership",
    "quota",
    "access",
    "key-pair",
    "credential",
    "network",
    "share",
    "subnet",
    "router",
    "interface",
    "link",
    "security-group",
    "rule",
    "bucket",
]


class Drift(Model):
    """What the scheduled look at a tenant does with a difference. Nothing is ever destroyed by it."""

    default: Literal["report", "heal"] = Field("report", description="what becomes of nouns that are not named")
    heal: tuple[DriftNoun, ...] = Field((), description="differences of these are made again as the site says")
    report: tuple[DriftNoun, ...] = Field((), description="differences of these wait for a person")

    @model_validator(mode="after")
    def _one_fate_each(self) -> Self:
        if both := sorted(set(self.heal) & set(self.report)):
            raise MisfitError([Misfit(("heal",), ", ".join(both), "nouns that report does not name too")])
        return self

    def heals(self, noun: DriftNoun) -> bool:
        """Tell whether a difference of this noun is healed. Pure."""
        return noun in self.heal or (self.default == "heal" and noun not in self.report)
