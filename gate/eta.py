"""When several jobs will be done: the sum of their times, with an interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHARED = 0.05
"""Share of the variance of a job's time that its neighbours have in common (a machine that is busy, a line that is
off): what sums do not average out."""


@dataclass(frozen=True)
class Eta:
    """Seconds: the mean, and between what `predict.INTERVAL` of such sums lie."""

    seconds: float
    low: float
    high: float


ONE_IN_TEN = 1.28
"""Standard deviations beyond which one of ten lies."""


LASTS = 30.0
"""Jobs after which a pace that is faster or slower than usual has gone back by two thirds."""


@dataclass(frozen=True)
class Pace:
    """How fast the machine is now: times are `factor` of what they usually are, and that swings by `swing`, relatively.

    Times that are told of single jobs hold the factor already.
    """

    factor: float = 1.0
    swing: float = 0.0


STEADY = Pace()


def remaining(jobs: Iterable[tuple[float, float, float]], pace: Pace = STEADY) -> Eta:
    """The time of all of these jobs, one after another, given the mean, low and high of each.

    The pace is shared by all of them, and goes back to the usual the farther away they are.

    Of each job's distances one part is its own, and those add as squares; the other is shared, and adds as it is.
    """
    mean = own_up = own_down = all_up = all_down = 0.0
    left = 1.0
    for seconds, low, high in jobs:
        back = left + (1.0 - left) / pace.factor
        seconds, low, high = seconds * back, low * back, high * back
        left *= 1.0 - 1.0 / LASTS
        up, down = max(0.0, high - seconds), max(0.0, seconds - low)
        mean += seconds
        own_up, own_down = own_up + up * up, own_down + down * down
        all_up, all_down = all_up + up, all_down + down
    common = (ONE_IN_TEN * pace.swing * mean) ** 2
    up = math.sqrt((1 - SHARED) * own_up + SHARED * all_up**2 + common)
    down = math.sqrt((1 - SHARED) * own_down + SHARED * all_down**2 + common)
    return Eta(mean, max(0.0, mean - down), mean + up)


def swing_of(paces: Sequence[float], factors: Sequence[float], weight: float) -> float:
    """How much the pace went up and down, less what it would have by the differences between single runs alone.

    Args:
        paces: logarithms of the smoothed factor, oldest first.
        factors: logarithms of what they were smoothed from.
        weight: of the newest in the smoothing.
    """
    if len(paces) < 3:
        return 0.0
    alone = statistics.fmean((a - b) ** 2 for a, b in zip(factors, list(factors)[1:], strict=False)) / 2
    return math.sqrt(max(0.0, statistics.pvariance(paces) - alone * weight / (2 - weight)))
