"""When several jobs will be done: the sum of their times, with an interval that covers what it is meant to."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

SHARED = 0.05
"""Share of the variance of a job's time that its neighbours have in common, where nothing else is known: a line that
is off, say. Sums do not average it out."""

ONE_IN_TEN = 1.28
"""Standard deviations beyond which one of ten lies."""

INSIDE = 0.8
"""Share of sums that shall lie within the interval."""

LASTS = 15.0
"""Jobs after which a pace that is faster or slower than usual has gone back by two thirds."""

LENGTHS = (1, 2, 4, 8, 16, 32)
"""Numbers of jobs of whose sums it is kept how far off they were."""

KEPT = 60
"""Sums of each length that are kept."""

PRIOR = 0.2
"""How far off sums are taken to be, relatively, before any was seen …"""

PRIOR_SUMS = 1.0
"""… and how many sums that counts as."""

STRETCH = 0.2
"""By how much the interval of a length grows or shrinks with each sum, divided by the root of the length: sums of many
jobs share most of them."""

STRETCHED = 4.0
"""Times wider or narrower at most."""

GRAIN = 0.1
"""Seconds below which a difference is noise."""


class Eta(NamedTuple):
    """Seconds: the mean, and between what `INSIDE` of such sums lie."""

    seconds: float
    low: float
    high: float


class Pace(NamedTuple):
    """How fast the machine is now, and how far off sums were.

    Times are `factor` of what they usually are; those that are told of single jobs hold the factor already. `off`: by
    number of jobs, the distance of the interval's ends, as logarithm of the factor to the mean.
    """

    factor: float = 1.0
    off: Mapping[int, float] = MappingProxyType({})

    def ends(self, jobs: int) -> float:
        """The distance for so many jobs: that of the largest number that is known and not larger."""
        return max(((count, off) for count, off in self.off.items() if count <= jobs), default=(0, 0.0))[1]


STEADY = Pace()


class Sums:
    """How far off the time of several jobs in a row was: neighbours are late together, where the machine is busy."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, float, float]] = deque(maxlen=LENGTHS[-1])
        """Of each job: expected at the usual pace, the pace before it, taken."""
        self._off: dict[int, deque[float]] = {n: deque(maxlen=KEPT) for n in LENGTHS}
        self._stretch = dict.fromkeys(LENGTHS, 1.0)
        self._told: dict[int, deque[float]] = {n: deque(maxlen=n) for n in LENGTHS}
        """The ends that would have been told before each of the last jobs."""

    def learn(self, expected: float, pace: float, took: float) -> None:
        """Take in a job: seconds expected of it at the usual pace, the pace when it began, seconds taken."""
        ends = self.ends
        for length in LENGTHS:
            self._told[length].append(ends[length])
        self._past.append((expected, pace, took))
        past = list(self._past)
        for length in LENGTHS:
            if len(past) < length:
                break
            off = _off(past[-length:])
            self._off[length].append(off)
            # Outside four times as much as inside: then four of five are inside.
            step = STRETCH / math.sqrt(length)
            inside = abs(off) <= self._told[length][0]
            stretch = self._stretch[length] * (1 - step * (1 - INSIDE) if inside else 1 + step * INSIDE)
            self._stretch[length] = min(STRETCHED, max(1 / STRETCHED, stretch))

    @property
    def ends(self) -> dict[int, float]:
        """As `Pace.off`."""
        return {length: self._ends(length) for length in LENGTHS}

    def _ends(self, length: int) -> float:
        # Sums of many jobs in a row are nearly the same as the one a job earlier: they count for less.
        alike = math.sqrt(length)
        squares, count = sum(off * off for off in self._off[length]) / alike, len(self._off[length]) / alike
        variance = (squares + PRIOR_SUMS * PRIOR**2) / (count + PRIOR_SUMS)
        return ONE_IN_TEN * math.sqrt(variance) * self._stretch[length]


def _off(jobs: list[tuple[float, float, float]]) -> float:
    """Logarithm of what these took together, against what would have been told when the first began."""
    expected = took = 0.0
    left, pace = 1.0, jobs[0][1]
    for usual, _, seconds in jobs:
        expected += usual * (left * pace + 1.0 - left)
        left *= 1.0 - 1.0 / LASTS
        took += seconds
    return math.log((took + GRAIN) / (expected + GRAIN))


def remaining(jobs: Iterable[tuple[float, float, float]], pace: Pace = STEADY) -> Eta:
    """The time of all of these jobs, one after another, given the mean, low and high of each.

    The pace is shared by all of them, and goes back to the usual the farther away they are.

    Of each job's distances one part is its own, and those add as squares; the other is shared, and adds as it is. Where
    sums of as many jobs were farther off than that, the interval is as wide as it had to be for them.
    """
    mean = own_up = own_down = all_up = all_down = 0.0
    left, count = 1.0, 0
    for seconds, low, high in jobs:
        back = left + (1.0 - left) / pace.factor
        seconds, low, high = seconds * back, low * back, high * back
        left *= 1.0 - 1.0 / LASTS
        up, down = max(0.0, high - seconds), max(0.0, seconds - low)
        mean += seconds
        count += 1
        own_up, own_down = own_up + up * up, own_down + down * down
        all_up, all_down = all_up + up, all_down + down
    ends = pace.ends(count)
    up = max(math.sqrt((1 - SHARED) * own_up + SHARED * all_up**2), mean * math.expm1(ends))
    down = max(math.sqrt((1 - SHARED) * own_down + SHARED * all_down**2), -mean * math.expm1(-ends))
    return Eta(mean, max(0.0, mean - down), mean + up)
