"""When several jobs will be done: the sum of their times, with an interval."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

SHARED = 0.15
"""Share of the variance of a job's time that its neighbours have in common (a machine that is busy, a line that is
off): what sums do not average out."""


@dataclass(frozen=True)
class Eta:
    """Seconds: the mean, and between what `predict.INTERVAL` of such sums lie."""

    seconds: float
    low: float
    high: float


def remaining(jobs: Iterable[tuple[float, float, float]]) -> Eta:
    """The time of all of these jobs, one after another, given the mean, low and high of each.

    Of each job's distances one part is its own, and those add as squares; the other is shared, and adds as it is.
    """
    mean = own_up = own_down = all_up = all_down = 0.0
    for seconds, low, high in jobs:
        up, down = max(0.0, high - seconds), max(0.0, seconds - low)
        mean += seconds
        own_up, own_down = own_up + up * up, own_down + down * down
        all_up, all_down = all_up + up, all_down + down
    up = math.sqrt((1 - SHARED) * own_up + SHARED * all_up**2)
    down = math.sqrt((1 - SHARED) * own_down + SHARED * all_down**2)
    return Eta(mean, max(0.0, mean - down), mean + up)
