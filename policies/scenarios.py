"""What is lost if centres are lost: where each system would be recovered, with which data, in what order, by when.

Values and arithmetic; the moment of the loss is handed in. Systems live at the production centre: when it stands,
nothing has to be recovered, and what is lost with the others is protection. Times to recover count from the loss;
that people must notice and decide comes on top.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from policies.limits import Limits
from policies.objectives import NOTHING, Landing, RestoreSample, estimated_rto, exposure, verdict
from policies.recovery_order import Job, list_schedule, recovery_slots

HOME = "production"


class Sample(NamedTuple):
    """A recovery that a drill measured: which system, where, how much, and the seconds of restore, start and verify."""

    tenant: str
    system: str
    centre: str
    size_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Copy:
    """A system at one centre by the moment of the loss. Without `newest` no recovery point has landed there."""

    centre: str
    rpo: timedelta
    rto: timedelta
    newest: Landing | None = None
    size_bytes: int = 0
    #: The newest data there that a restore has proved.
    proved_data_time: datetime | None = None
    #: What verification found wrong there and nobody has healed.
    faults: int = 0
    #: The last drill there did not recover the system.
    drill_failed: bool = False


@dataclass(frozen=True, slots=True)
class Protected:
    """A system with its copies, the nearest centre first. `level` is its tier's: a higher one is more important."""

    tenant: str
    system: str
    tier: str
    level: int
    known_since: datetime
    copies: tuple[Copy, ...]

    def __str__(self) -> str:
        return f"{self.tenant}/{self.system}"


class Fate(StrEnum):
    """What becomes of a system."""

    LOST = "lost"  # production is gone, and no centre that is left has a recovery point
    RECOVERED = "recovered"  # it can be, at a centre that is left
    UNPROTECTED = "unprotected"  # it goes on in production, and no copy of it is left
    RUNNING = "running"  # it goes on in production, and a copy is left


class Standing(StrEnum):
    """Whether an objective would be kept."""

    MET = "met"
    MISSED = "missed"
    UNKNOWN = "unknown"  # nothing was ever measured that would say, or what is known last speaks against it


class Basis(StrEnum):
    """What an estimated time rests on."""

    OWN = "own"  # drills of this system at this centre
    ELSEWHERE = "elsewhere"  # drills of this system at another centre
    OTHERS = "others"  # drills of other systems at this centre
    NONE = "none"  # no drill: nobody knows


@dataclass(frozen=True, slots=True)
class Choice:
    """A centre that is left and holds a recovery point: what would be lost if the system came back there."""

    copy: Copy
    data_time: datetime
    loss: timedelta
    #: What the newest proved point there would cost beside the newest; None when none was ever proved.
    proved_price: timedelta | None

    @property
    def centre(self) -> str:
        return self.copy.centre

    @property
    def rpo(self) -> Standing:
        return Standing(verdict(self.loss, self.copy.rpo))


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long a recovery is likely to take; None when nothing was ever measured. `drills` is how many it rests on."""

    takes: timedelta | None
    basis: Basis
    drills: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """The turn of a system: its place in the city's order, and when it would be back, counted from the loss."""

    order: int
    estimate: Estimate
    rto_objective: timedelta
    #: None when it waits for one of which nobody knows how long it takes.
    waits: timedelta | None
    #: Verification found faults in the copy, or the last drill there failed: nobody can say that it comes back.
    doubtful: bool

    @property
    def back_after(self) -> timedelta | None:
        takes = self.estimate.takes
        return None if self.waits is None or takes is None else self.waits + takes

    @property
    def rto(self) -> Standing:
        # What is not known only adds to what is.
        at_least = (self.waits or NOTHING) + (self.estimate.takes or NOTHING)
        if verdict(at_least, self.rto_objective) == "missed":
            return Standing.MISSED
        return Standing.UNKNOWN if self.doubtful or self.back_after is None else Standing.MET


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one system. `choice` is None when no copy is left, `recovery` when there is none to do."""

    system: Protected
    fate: Fate
    #: The work that is lost, counted in time.
    loss: timedelta
    choice: Choice | None
    alternatives: tuple[Choice, ...]
    recovery: Recovery | None

    @property
    def holds(self) -> bool:
        """Whether the system comes through within its objectives. What is not known does not hold."""
        if self.recovery is None or self.choice is None:
            return self.fate is Fate.RUNNING
        return self.choice.rpo is Standing.MET and self.recovery.rto is Standing.MET


@dataclass(frozen=True, slots=True)
class Totals:
    """Of a bureau or of the city. `last_back` is None when nothing comes back, or nobody knows when all are back."""

    systems: int
    recovered: int
    lost: int
    unprotected: int
    rpo_missed: int
    rto_missed: int
    rto_unknown: int
    hold: int
    worst_loss: timedelta
    last_back: timedelta | None


def assess(
    systems: Iterable[Protected], samples: Collection[Sample], lost: Collection[str], at: datetime, limits: Limits
) -> tuple[Outcome, ...]:
    """Return what becomes of each system when the centres `lost` are lost at `at`.

    Those that are lost stand first, then what is recovered in the order of its turns, then what goes on running.
    """
    drilled = Drilled(samples)
    found = [(each, *_choose(each, lost, at)) for each in systems]
    ends = {str(each): _fate(choice, lost) for each, choice, _ in found}
    urgent = sorted((each for each in found if ends[str(each[0])] is Fate.RECOVERED), key=lambda each: _urgency(*each))
    turns = _turns([(system, choice) for system, choice, _ in urgent if choice], drilled, limits)
    outcomes = [
        Outcome(each, ends[str(each)], _loss(each, ends[str(each)], choice, at), choice, others, turns.get(str(each)))
        for each, choice, others in found
    ]
    return tuple(sorted(outcomes, key=_place))


def totals(outcomes: Sequence[Outcome]) -> Totals:
    """Return the sum of what becomes of these systems."""
    turns = [each.recovery for each in outcomes if each.recovery]
    backs = [each.back_after for each in turns]
    return Totals(
        systems=len(outcomes),
        recovered=len(turns),
        lost=sum(each.fate is Fate.LOST for each in outcomes),
        unprotected=sum(each.fate is Fate.UNPROTECTED for each in outcomes),
        rpo_missed=sum(each.recovery is not None and _rpo_missed(each) for each in outcomes),
        rto_missed=sum(each.rto is Standing.MISSED for each in turns),
        rto_unknown=sum(each.rto is Standing.UNKNOWN for each in turns),
        hold=sum(each.holds for each in outcomes),
        worst_loss=max((each.loss for each in outcomes), default=NOTHING),
        last_back=None if None in backs else max((each for each in backs if each is not None), default=None),
    )


# --- where


def _choose(system: Protected, lost: Collection[str], at: datetime) -> tuple[Choice | None, tuple[Choice, ...]]:
    """Return where a system would be recovered, and where else it could be, the best first.

    The newest data wins; of equals, the nearer centre. A copy with open faults comes after all copies without.
    """
    choices = [
        _choice(copy, copy.newest, system.known_since, at)
        for copy in system.copies
        if copy.newest and copy.newest.landed_at <= at and copy.centre not in lost
    ]
    choices.sort(key=lambda each: (each.copy.faults > 0, each.loss))
    return (choices[0] if choices else None), tuple(choices[1:])


def _choice(copy: Copy, newest: Landing, known_since: datetime, at: datetime) -> Choice:
    proved = copy.proved_data_time
    return Choice(
        copy=copy,
        data_time=newest.data_time,
        loss=exposure([newest], known_since, at),
        proved_price=None if proved is None else max(newest.data_time - proved, NOTHING),
    )


def _fate(choice: Choice | None, lost: Collection[str]) -> Fate:
    if HOME in lost:
        return Fate.RECOVERED if choice else Fate.LOST
    return Fate.RUNNING if choice else Fate.UNPROTECTED


def _loss(system: Protected, fate: Fate, choice: Choice | None, at: datetime) -> timedelta:
    if fate in (Fate.RUNNING, Fate.UNPROTECTED):
        return NOTHING
    # Everything. A catalogue that was rebuilt from the vaults is younger than the points that it knows.
    points = (copy.newest for copy in system.copies if copy.newest and copy.newest.landed_at <= at)
    since = min((point.data_time for point in points), default=at)
    return choice.loss if choice else exposure([], min(system.known_since, since), at)


def _rpo_missed(outcome: Outcome) -> bool:
    return outcome.choice is not None and outcome.choice.rpo is Standing.MISSED


# --- when


class Drilled:
    """What was measured, by system and by centre: what all estimates rest on."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = tuple(samples)
        self._of_system: dict[tuple[str, str], list[Sample]] = {}
        self._of_centre: dict[str, list[Sample]] = {}
        for each in self._samples:
            self._of_system.setdefault((each.tenant, each.system), []).append(each)
            self._of_centre.setdefault(each.centre, []).append(each)

    def estimate(self, system: Protected, copy: Copy) -> Estimate:
        """Return the time to recover, from the nearest measurements that there are."""
        own = self._of_system.get((system.tenant, system.system), [])
        here = [each for each in own if each.centre == copy.centre]
        for basis, samples in (
            (Basis.OWN, here),
            (Basis.ELSEWHERE, own),
            (Basis.OTHERS, self._of_centre.get(copy.centre, [])),
        ):
            if (takes := expected(copy.size_bytes, samples)) is not None:
                return Estimate(takes, basis, len(samples))
        return Estimate(None, Basis.NONE, 0)


def expected(size_bytes: int, samples: Sequence[Sample]) -> timedelta | None:
    """Return how long the recovery of so much data is likely to take, from these measurements; None without any."""
    takes = estimated_rto(size_bytes, (RestoreSample(each.size_bytes, each.seconds) for each in samples))
    return None if takes is None else max(takes, _quickest(size_bytes, samples))


def _quickest(size_bytes: int, samples: Iterable[Sample]) -> timedelta:
    """Return the quickest of what was no larger: more data takes no less, and a slow start is no slow throughput."""
    return timedelta(seconds=min((each.seconds for each in samples if each.size_bytes <= size_bytes), default=0.0))


def _urgency(system: Protected, choice: Choice | None, others: tuple[Choice, ...]) -> tuple[timedelta, int, str, str]:
    """The earliest deadline first; of equals, the higher tier."""
    assert choice is not None
    return choice.copy.rto, -system.level, system.tier, str(system)


def _turns(urgent: Sequence[tuple[Protected, Choice]], drilled: Drilled, limits: Limits) -> dict[str, Recovery]:
    estimates = [drilled.estimate(system, choice.copy) for system, choice in urgent]
    jobs = [
        Job(
            math.inf if estimate.takes is None else estimate.takes.total_seconds(),
            recovery_slots(system.tenant, choice.centre),
        )
        for (system, choice), estimate in zip(urgent, estimates, strict=True)
    ]
    starts = list_schedule(jobs, limits)
    return {
        str(system): Recovery(
            order=order,
            estimate=estimate,
            rto_objective=choice.copy.rto,
            waits=None if start == math.inf else timedelta(seconds=start),
            doubtful=choice.copy.faults > 0 or choice.copy.drill_failed,
        )
        for order, ((system, choice), estimate, start) in enumerate(zip(urgent, estimates, starts, strict=True), 1)
    }


def _place(outcome: Outcome) -> tuple[int, int, str]:
    return list(Fate).index(outcome.fate), outcome.recovery.order if outcome.recovery else 0, str(outcome.system)
