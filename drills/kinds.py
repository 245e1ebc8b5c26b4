"""The kinds of runs of a plan, and all in which they differ. The path is one; what a kind has not is passed over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from policies.plan import Kind

#: Where sources and servers come to stand: in a scratch place, in an isolated bubble, or where the system will be used.
Target = Literal["nowhere", "scratch", "bubble", "standby"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a kind of run does."""

    kind: Kind
    target: Target
    #: People confirm each step, and nothing else happens.
    spoken: bool = False
    #: Somebody else must approve before anything is changed.
    approved: bool = False
    #: The site's epoch is raised: the target is active afterwards, and the centre before it is fenced.
    activates: bool = False
    #: The centre that gives up being active is alive: it is sealed, and its last state is taken along.
    sealed: bool = False
    #: The outage began before anybody asked for this run.
    unplanned: bool = False

    @property
    def drill(self) -> bool:
        """Whether this is a rehearsal: nobody uses afterwards what it recovers."""
        return not self.activates

    @property
    def servers(self) -> bool:
        return self.target in ("bubble", "standby")


SHAPES: dict[Kind, Shape] = {
    "tabletop": Shape("tabletop", "nowhere", spoken=True),
    "restore": Shape("restore", "scratch"),
    "sandbox": Shape("sandbox", "bubble"),
    "switchover": Shape("switchover", "standby", approved=True, activates=True, sealed=True),
    "failover": Shape("failover", "standby", approved=True, activates=True, unplanned=True),
    "failback": Shape("failback", "standby", approved=True, activates=True, sealed=True),
}
