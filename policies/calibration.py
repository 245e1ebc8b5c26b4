"""How good the estimates of recovery times are: each drill held against what the drills before it would have said.

The estimator is that of `policies.scenarios`, and there is no other. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, median

from policies.scenarios import Sample, expected

#: So many drills tell a trend; two make a line through any two points.
LEAST_FOR_A_TREND = 3


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the drills of one system at one centre say of its estimates.

    `error` is of the last: (estimated - measured) / measured, so -0.2 says that it took a fourth longer than expected.
    `mean_error` is the mean of all without their signs. `trend` is by which share of the usual time each drill takes
    longer than the one before, the amount of data set aside. None where too few were held.
    """

    drills: int
    error: float | None
    mean_error: float | None
    trend: float | None


def calibrate(history: Sequence[Sample]) -> Calibration:
    """Return how well the estimates did, from the drills of one system at one centre, the oldest first."""
    errors = []
    for place, sample in enumerate(history):
        if sample.seconds > 0 and (told := expected(sample.size_bytes, history[:place])) is not None:
            errors.append((told.total_seconds() - sample.seconds) / sample.seconds)
    return Calibration(
        drills=len(history),
        error=errors[-1] if errors else None,
        mean_error=fmean(map(abs, errors)) if errors else None,
        trend=_trend(history),
    )


def _trend(history: Sequence[Sample]) -> float | None:
    """Return the median of the slopes between any two drills (Theil and Sen): one that stands out changes little."""
    if len(history) < LEAST_FOR_A_TREND:
        return None
    shares = []
    for sample in history:
        usual = expected(sample.size_bytes, history)
        if usual is None:
            return None
        shares.append(sample.seconds / usual.total_seconds())
    return median(
        (after - before) / (later - first) for (first, before), (later, after) in combinations(enumerate(shares), 2)
    )
