"""What the server's pages and its API work with, so that they know no more of the program than this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.catalogue.store import Catalogue
from policies.site import ApprovalRule, Site

if TYPE_CHECKING:
    from orchestrator.catalogue.ledger import Ledger
    from orchestrator.engine.port import FlowSpec


class Beating(Protocol):
    """The engine of this process, as far as the pages look at it."""

    @property
    def id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Control:
    """What may be asked and done over HTTP."""

    ledger: Ledger
    flows: Mapping[str, FlowSpec]
    #: The object graph that a flow's slots are computed from.
    program: Any
    #: Who may ask: the bearer token of every request.
    token: str
    #: What an approval needs besides a second person.
    approval: ApprovalRule | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """What one process serves. Without `control` it shows pages and metrics only."""

    site: Site
    catalogue: Catalogue
    control: Control | None = None
    engine: Beating | None = None
