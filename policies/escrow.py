"""The escrow of a site: who keeps the shares of the key that opens it, and how often it is written and tried."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from policies.values import Duration, Misfit, MisfitError, Model, Span, Whole, Words

#: One person alone must never do, and a share's number is one byte that people read.
FEWEST, MOST = 2, 9


class Escrow(Model):
    """The rescue bundles in every vault, and the custodians who open them together."""

    custodians: Annotated[tuple[Words, ...], Field(min_length=FEWEST, max_length=MOST)] = Field(
        description="who keeps a share each, in the order of the shares; people of different offices"
    )
    threshold: Whole = Field(2, ge=FEWEST, le=MOST, description="so many of them open a bundle together")
    bundle_every: Span = Field(
        timedelta(days=1), description="a new bundle in each vault; one is also written after a change of the site"
    )
    check_every: Span = Field(timedelta(days=180), description="custodians prove that their shares open the bundles")
    lock: Duration = Field(
        timedelta(days=30), description="for how long nobody can delete a bundle; 0s: no object lock"
    )

    @model_validator(mode="after")
    def _enough(self) -> Self:
        misfits = []
        if self.threshold > len(self.custodians):
            want = f"{len(self.custodians)} at most, as many as there are custodians"
            misfits.append(Misfit(("threshold",), str(self.threshold), want))
        if len(set(self.custodians)) < len(self.custodians):
            hint = "who keeps two shares of two opens the bundle alone"
            misfits.append(Misfit(("custodians",), ", ".join(self.custodians), "different people", hint))
        if misfits:
            raise MisfitError(misfits)
        return self
