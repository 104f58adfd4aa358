"""When a batch will be done, with how sure that is, from the durations of the jobs that have ended."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE_Z = statistics.NormalDist().inv_cdf(0.9)
"""Between the 10 % and the 90 % quantile lie 80 of 100 batches."""
MIN_JOBS = 3
"""Ended jobs from which on a spread is told; two say nothing of it."""
WINDOW = 50
"""The latest durations that count: a batch whose clips grow longer shall be seen to."""


@dataclass(frozen=True)
class Eta:
    """Seconds until the batch is done."""

    expected: float
    low: float | None = None
    """The 10 % quantile; None while too few jobs have ended."""
    high: float | None = None
    """The 90 % quantile."""


def estimate(durations: Sequence[float], waiting: int, running: Sequence[float] = (), lanes: int = 1) -> Eta | None:
    """Estimate the time that is left; None while no job has ended.

    The sum of n more jobs, of mean m and deviation s as estimated from k ended ones, has the variance
    s²·n + s²·n²/k: that of the jobs themselves, and that of the estimate of m. Its quantiles are taken as those of a
    normal distribution.

    Args:
        durations: seconds of the jobs that have ended, the latest last.
        waiting: jobs that have not begun.
        running: for how many seconds each running job has been.
        lanes: how many jobs run at a time.
    """
    known = durations[-WINDOW:]
    if not known:
        return None
    mean = statistics.fmean(known)
    # A job that has run longer than the mean may end at any moment: nothing better is known.
    rest = waiting * mean + sum(max(0.0, mean - elapsed) for elapsed in running)
    number = waiting + sum(max(0.0, 1.0 - elapsed / mean) for elapsed in running) if mean > 0 else float(waiting)
    lanes = max(1, min(lanes, waiting + len(running)))
    expected = rest / lanes
    if len(known) < MIN_JOBS:
        return Eta(expected)
    spread = CONFIDENCE_Z * statistics.stdev(known) * math.sqrt(number + number**2 / len(known)) / lanes
    return Eta(expected, max(0.0, expected - spread), expected + spread)
