"""The state of a plan at a centre: whether a drill has shown that it works, as it is written now.

NEEDS-VERIFY until then, and again as soon as the plan, its systems, their tiers' objectives or the site change, or the
cadence of its tiers has passed. No clock: every moment is handed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from policies.plan import Kind, Plan
from policies.site import Site
from policies.values import Text, format_duration
from policies.work import plan_systems

#: How much each kind shows. A talk at a table shows nothing; what moves the city shows most.
STRENGTH: Mapping[str, int] = {
    "tabletop": 0,
    "restore": 1,
    "sandbox": 2,
    "switchover": 3,
    "failover": 3,
    "failback": 3,
}  # fmt: skip

#: Verdicts of runs that did recover the system.
RECOVERED = ("met", "missed")


class PlanState(StrEnum):
    NEEDS_VERIFY = "needs-verify"
    VERIFIED = "verified"
    FAILED = "failed"


class Drilled(NamedTuple):
    """The last run of a plan of one kind, for one system of it."""

    system: str
    kind: str
    verdict: str
    ended_at: datetime
    digest: str | None


class Cadence(NamedTuple):
    """How often a plan must be drilled, and the least kind that counts: the strictest of its systems' tiers."""

    every: timedelta
    kind: Kind


@dataclass(frozen=True, slots=True)
class Standing:
    """The state with its reason. `kind` is the strongest that holds now; `last` the end of the last that showed it.

    `due_at` is when the plan falls back to NEEDS-VERIFY, or since when it does. `missed`: it recovers, and the last
    run of that kind missed an objective.
    """

    state: PlanState
    reason: Text
    kind: str | None
    last: datetime | None
    due_at: datetime
    missed: bool = False


def last_that_counts(held: Mapping[str, datetime], kind: str) -> datetime | None:
    """Return the end of the last run among those of each kind that shows at least what `kind` does. Pure."""
    return max((end for each, end in held.items() if STRENGTH.get(each, 0) >= STRENGTH[kind]), default=None)


def plan_cadence(site: Site, plan: Plan) -> Cadence:
    """Return how often the plan must be drilled, and by which kind at least."""
    rules = [ref.tier.drill for ref in plan_systems(site, plan)]
    return Cadence(min(each.every for each in rules), max((each.kind for each in rules), key=STRENGTH.__getitem__))


def standing(
    plan: Plan, digest: str, cadence: Cadence, drilled: Iterable[Drilled], known_since: datetime, now: datetime
) -> Standing:
    """Return the state of a plan at one centre, from the last runs of each kind there. Pure."""
    runs = [each for each in drilled if each.system in plan.systems and STRENGTH.get(each.kind, 0) > 0]
    since = known_since + cadence.every
    if not runs:
        return _needs(Text(zh="从未演练", en="never drilled"), since)
    newest = max(runs, key=lambda each: each.ended_at)
    current = [each for each in runs if each.digest == digest]
    if newest.verdict not in RECOVERED and newest.digest == digest:
        zh, en = f"最近一次 {newest.kind} 演练失败", f"the last {newest.kind} drill failed"
        return Standing(PlanState.FAILED, Text(zh=zh, en=en), None, newest.ended_at, since)
    shown = dict(_shown(plan, current))
    enough = [kind for kind in shown if STRENGTH[kind] >= STRENGTH[cadence.kind]]
    if not enough:
        return _needs(_why(plan, cadence, runs, current, shown), since, newest.ended_at)
    last = max(shown[kind].ended_at for kind in enough)
    due = last + cadence.every
    if due < now:
        length = format_duration(cadence.every.total_seconds())
        return _needs(Text(zh=f"超过 {length} 未演练", en=f"not drilled for {length}"), due, last)
    fresh = [kind for kind, each in shown.items() if each.ended_at + cadence.every >= now]
    best = max(fresh, key=lambda kind: (STRENGTH[kind], shown[kind].ended_at))
    reason = Text(zh=f"{best} 演练通过", en=f"shown by a {best} drill")
    return Standing(PlanState.VERIFIED, reason, best, shown[best].ended_at, due, shown[best].missed)


class _Shown(NamedTuple):
    ended_at: datetime
    missed: bool


def _shown(plan: Plan, runs: list[Drilled]) -> Iterator[tuple[str, _Shown]]:
    """Yield each kind whose last runs recovered every system of the plan, and when the first of them ended."""
    for kind in STRENGTH:
        found = {each.system: each for each in runs if each.kind == kind and each.verdict in RECOVERED}
        if found.keys() == plan.systems.keys():
            ended = min(each.ended_at for each in found.values())
            yield kind, _Shown(ended, any(each.verdict == "missed" for each in found.values()))


def _needs(reason: Text, due: datetime, last: datetime | None = None) -> Standing:
    return Standing(PlanState.NEEDS_VERIFY, reason, None, last, due)


def _why(
    plan: Plan, cadence: Cadence, runs: list[Drilled], current: list[Drilled], shown: Mapping[str, _Shown]
) -> Text:
    if not current:
        return Text(zh="上次演练后有改动", en="changed since it was last drilled")
    if shown:
        return Text(zh=f"等级要求至少 {cadence.kind} 演练", en=f"its tier asks for a {cadence.kind} drill at least")
    lacking = sorted(set(plan.systems) - {each.system for each in current if each.verdict in RECOVERED})
    names = ", ".join(lacking) or ", ".join(sorted({each.system for each in runs}))
    return Text(zh=f"未演练或未恢复:{names}", en=f"not drilled, or not recovered: {names}")
