"""JSON Schemas of the files of a site folder, made from the models, for editors that complete and check."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from policies.plan import Plan
from policies.site import SiteFile
from policies.tenant import Tenant
from policies.tiers import Tier

Kind = Literal["site", "tier", "tenant", "plan"]

#: What each kind of file holds.
MODELS: dict[Kind, type[BaseModel]] = {"site": SiteFile, "tier": Tier, "tenant": Tenant, "plan": Plan}

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(kind: Kind) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one kind of file. What spans files is left to `tricenter validate`."""
    return {"$schema": DIALECT, **MODELS[kind].model_json_schema(mode="validation")}
