"""What a rule is. Texts are Chinese first and English, in one string: whoever is woken reads either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

#: `critical` pages a person at any hour; `warning` waits for the morning.
Severity = Literal["critical", "warning"]
#: What an alert can be a mere consequence of: see `Alert.follows`.
Cause = Literal["vault", "engine"]


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that is reckoned ahead. The name is LEVEL:METRIC:OPERATION, as Prometheus advises."""

    name: str
    expression: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `hold` is how long its expression must be true before it fires.

    `cause` marks an alert that makes others follow, `follows` one that says nothing new while its cause fires: a dead
    vault is one page, and so is a dead engine. `runbook` is a page of docs/runbooks.
    """

    name: str
    expression: str
    severity: Severity
    summary: str
    description: str
    runbook: str
    hold: timedelta = timedelta(0)
    cause: Cause | None = None
    follows: Cause | None = None

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that the rule adds to those of its series."""
        said = {"severity": self.severity, "cause": self.cause, "follows": self.follows}
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together, one after the other, each `interval`."""

    name: str
    interval: timedelta
    recordings: tuple[Recording, ...] = ()
    alerts: tuple[Alert, ...] = field(default=())
